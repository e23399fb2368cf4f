"""For migrations: indexes on tables that are in use.

On PostgreSQL they are built and dropped CONCURRENTLY, which keeps no writer off and commits what came before; so a
migration that calls this does nothing else. Called again after it was interrupted, it clears up what that left.
"""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op
from sqlalchemy import text


def create_index(
    name: str, table: str, columns: Sequence[str], *, where: str | None = None, using: str = "btree"
) -> None:
    """Create an index; `where` makes it partial, `using` is PostgreSQL's method."""
    condition = text(where) if where is not None else None
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(name, table, list(columns), sqlite_where=condition)
        return
    invalid = text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    with op.get_context().autocommit_block():
        if op.get_bind().scalar(invalid, {"name": name}):
            op.drop_index(name, table, postgresql_concurrently=True)
        op.create_index(
            name,
            table,
            list(columns),
            postgresql_where=condition,
            postgresql_using=using,
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def drop_index(name: str, table: str) -> None:
    """Drop an index."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index(name, table)
        return
    with op.get_context().autocommit_block():
        op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)


def replace_index(
    name: str, table: str, columns: Sequence[str], *, where: str | None = None, using: str = "btree"
) -> None:
    """Give an index another shape: the new one is built beside the old, which serves until it is there."""
    if op.get_bind().dialect.name == "sqlite":
        drop_index(name, table)
        create_index(name, table, columns, where=where)
        return
    beside = f"{name}_new"
    create_index(beside, table, columns, where=where, using=using)
    drop_index(name, table)
    op.execute(text(f"ALTER INDEX {beside} RENAME TO {name}"))
