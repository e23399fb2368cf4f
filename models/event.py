"""The append-only log: who did what, when and why."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from models.types import instant


class Event(SQLModel, table=True):
    """One thing that happened. `at` is ledger time, `wall` the machine's. Rows are never changed or removed:
    triggers on both databases refuse it."""

    __tablename__ = "events"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    account_id: str | None = Field(default=None, index=True)
    case_id: str | None = None
    at: datetime = instant()
    wall: datetime = instant()
    who: str
    what: str
    why: str = ""
    data: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
