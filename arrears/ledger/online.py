"""For migrations: an index on a table that is in use."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op
from sqlalchemy import text


def create_index(name: str, table: str, columns: Sequence[str], *, where: str | None = None) -> None:
    """Create an index without keeping writers off: CONCURRENTLY on PostgreSQL, which commits what came before.

    Called again after it was interrupted, it first drops what that left behind. Let it be its migration's only act.
    """
    condition = text(where) if where is not None else None
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(name, table, list(columns), sqlite_where=condition)
        return
    invalid = text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    with op.get_context().autocommit_block():
        if op.get_bind().scalar(invalid, {"name": name}):
            op.drop_index(name, table, postgresql_concurrently=True)
        op.create_index(
            name, table, list(columns), postgresql_where=condition, postgresql_concurrently=True, if_not_exists=True
        )
