"""Column types shared by all tables."""

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, Dialect
from sqlalchemy.orm.attributes import instance_state
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
        return value.replace(tzinfo=UTC) if value is not None else None

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        if dialect.name == "postgresql":
            # PostgreSQL's are aware. Two dozen a step: one call for each instead of two.
            return _in_utc
        return super().result_processor(dialect, coltype)


def _in_utc(value: datetime | None) -> datetime | None:
    return value if value is None or value.tzinfo is UTC else value.astimezone(UTC)


class Row(SQLModel):
    """A row whose columns are set by SQLAlchemy alone.

    SQLModel sets each once more by way of pydantic, which validates nothing in tables: a fifth of a sweep's time.
    """

    def __init__(self, **columns: Any) -> None:
        """Columns left out get their defaults. Raises TypeError for what is no column."""
        known, defaults, made = _columns(type(self))  # pyright: ignore[reportArgumentType]
        if unknown := columns.keys() - known:
            raise TypeError(f"{type(self).__name__} has no column {', '.join(sorted(unknown))}")
        # A new row has no earlier values for SQLAlchemy to remember, so it need not be told of each that is set.
        values = vars(self)
        values.update(defaults)
        values.update(columns)
        values.update((name, make()) for name, make in made if name not in columns)

    def take(self, **columns: Any) -> None:
        """Set columns, quicker than one by one as long as the row has never been in the database."""
        if instance_state(self).key is None:
            vars(self).update(columns)
        else:
            for name, value in columns.items():
                setattr(self, name, value)

    if not TYPE_CHECKING:
        # Straight to SQLAlchemy's descriptors, and for what is not there no search among pydantic's private attributes.
        __setattr__ = object.__setattr__
        __getattr__ = object.__getattribute__


@cache
def _columns(row: type[Row]) -> tuple[frozenset[str], dict[str, Any], list[tuple[str, Any]]]:
    """The names of all columns, the defaults that rows share, and for other columns what makes the default."""
    optional = {name: field for name, field in row.model_fields.items() if not field.is_required()}
    made = [(name, field.default_factory) for name, field in optional.items() if field.default_factory is not None]
    shared = {name: field.default for name, field in optional.items() if field.default_factory is None}
    return frozenset(row.model_fields), shared, made


def instant(*, index: bool = False, default: Any = ...) -> Any:
    """A column of UTC instants."""
    return Field(default, sa_type=UTCDateTime, index=index)  # pyright: ignore[reportArgumentType, reportCallIssue]
