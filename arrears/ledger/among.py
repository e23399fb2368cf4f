"""One of many values, as a statement that is the same however many there are."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, String, any_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped
from sqlmodel import Session


def among(session: Session, column: Mapped[str], values: Collection[str]) -> ColumnElement[bool]:
    """Whether `column` is one of `values`.

    PostgreSQL gets them as one array: a list of two hundred parameters is put together, taken apart and planned anew
    each time, which costs more than finding the rows. SQLite knows no arrays.
    """
    if session.get_bind().dialect.name != "postgresql":
        return column.in_(values)
    return column == any_(bindparam(None, list(values), type_=ARRAY(String), unique=True))
