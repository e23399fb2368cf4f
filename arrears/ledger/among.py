"""One of many values, as a statement that is the same however many there are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, any_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped
from sqlalchemy.types import String
from sqlmodel import Session


def among(session: Session, column: Mapped[str], values: Collection[str]) -> ColumnElement[bool]:
    """Whether `column` is one of `values`.

    PostgreSQL gets them as one array: a list of two hundred parameters is put together, taken apart and planned anew
    each time, which costs more than finding the rows. SQLite knows no arrays.
    """
    if session.get_bind().dialect.name != "postgresql":
        return column.in_(values)
    return column == any_(bindparam(None, values, type_=_WrittenArray(String), unique=True))


def array_of(values: Iterable[str]) -> str:
    """An array as PostgreSQL reads it. psycopg writes one value by value, with a pattern: four times as long."""
    return "{" + ",".join(['"' + each.replace("\\", "\\\\").replace('"', '\\"') + '"' for each in values]) + "}"


class _WrittenArray(ARRAY[str]):
    """An array that is written by us: to psycopg it is a word of no type, which PostgreSQL takes for the array it is."""

    cache_ok = True
    render_bind_cast = True

    def bind_processor(self, dialect: Any) -> Callable[[Any], Any]:
        return array_of
