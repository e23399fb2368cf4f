"""Rows that several processes may want to make at once: one of them does."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import Session, SQLModel


def insert_if_absent(session: Session, kind: type[SQLModel], values: dict[str, Any]) -> None:
    """Add the row unless one with its key is there; whoever makes it meanwhile is waited for."""
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else pg_insert
    session.connection().execute(insert(kind).values(**values).on_conflict_do_nothing())
