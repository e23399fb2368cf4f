"""The inbox: what happened to an account outside, each thing once."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.types import instant


class LifeEvent(SQLModel, table=True):
    """One outside fact. It `happened_at` one instant and was `received_at` another, through the door `via`.

    `source` is the register it is kept in and `external_id` its name there: together they come once. `data`
    holds what the kind needs, amounts in minor units of the account's currency. Rows are never changed:
    balances, cases and promises are reckoned from them.
    """

    __tablename__ = "life_events"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("source", "external_id"),)

    id: int | None = Field(default=None, primary_key=True)
    source: str = Field(max_length=64)
    external_id: str = Field(max_length=128)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    kind: str
    happened_at: datetime = instant()
    received_at: datetime = instant()
    data: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    via: str
    recorded_by: str
