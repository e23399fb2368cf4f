"""Column types shared by all tables."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = naming_convention


class UTCDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python; `timestamptz` on PostgreSQL, naive UTC text on SQLite, which sorts the same."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant without a time zone must not enter the ledger")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Row(SQLModel):
    """A row whose columns are set by SQLAlchemy alone.

    SQLModel sets each once more by way of pydantic, which validates nothing in tables: a tenth of a sweep's time.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        column = type(self).__dict__.get(name)
        if isinstance(column, InstrumentedAttribute):
            column.__set__(self, value)
        else:
            super().__setattr__(name, value)


def instant(*, index: bool = False, default: Any = ...) -> Any:
    """A column of UTC instants."""
    return Field(default, sa_type=UTCDateTime, index=index)  # pyright: ignore[reportArgumentType, reportCallIssue]
