"""Rows that several processes may want to make at once: one of them does."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel


def insert_into(session: Session, kind: type[SQLModel]) -> postgresql.Insert | sqlite.Insert:
    """An insert that can say what is to happen on a conflict."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    return insert(kind)


def insert_if_absent(session: Session, kind: type[SQLModel], values: dict[str, Any]) -> None:
    """Add the row unless one with its key is there; whoever makes it meanwhile is waited for."""
    session.connection().execute(insert_into(session, kind).values(**values).on_conflict_do_nothing())
