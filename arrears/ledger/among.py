"""One of many values, as a statement that is the same however many there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Dialect, any_, bindparam
from sqlalchemy.orm import Mapped
from sqlalchemy.types import UserDefinedType
from sqlmodel import Session


def among(session: Session, column: Mapped[str], values: Collection[str]) -> ColumnElement[bool]:
    """Whether `column` is one of `values`.

    PostgreSQL gets them as one array: a list of two hundred parameters is put together, taken apart and planned anew
    each time, which costs more than finding the rows. SQLite knows no arrays.
    """
    if session.get_bind().dialect.name != "postgresql":
        return column.in_(values)
    return column == any_(bindparam(None, values, type_=_WrittenArray(), unique=True))


def array_of(values: Iterable[str]) -> str:
    """An array as PostgreSQL reads it. psycopg writes one value by value, with a pattern: four times as long."""
    return "{" + ",".join(['"' + each.replace("\\", "\\\\").replace('"', '\\"') + '"' for each in values]) + "}"


class _WrittenArray(UserDefinedType[Collection[str]]):
    """An array that is written by us: to psycopg a word of no type, which PostgreSQL takes for the array it is."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_: Any) -> str:
        return "VARCHAR[]"

    def bind_processor(self, dialect: Dialect) -> Any:
        return array_of
