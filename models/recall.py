"""Accounts called back from collection agencies."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel

from models.placement import AgencyBatch
from models.types import instant


class Recall(SQLModel, table=True):
    """One recall of one placement, in the recall file of `day` (UTC): one pending, to which the agency may object,
    and one that is final. `row` is the line of the file as it stood then.
    """

    __tablename__ = "recalls"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("ix_recalls_agency_day", "agency", "day"),)

    placement: str = Field(foreign_key="placements.reference", primary_key=True, max_length=16)
    final: bool = Field(primary_key=True)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    agency: str
    day: date
    why: str
    row: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    at: datetime = instant()


class RecallBatch(AgencyBatch, table=True):
    """The recall file of one agency and day."""

    __tablename__ = "recall_batches"  # pyright: ignore[reportAssignmentType]
