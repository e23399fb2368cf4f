"""Accounts handed to collection agencies."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from models.types import instant


class Placement(SQLModel, table=True):
    """One account placed with one agency, in the file of `day` (UTC).

    `status`: placed. `row` holds the account as it stood then, so that writing the day's file again gives
    the same bytes.
    """

    __tablename__ = "placements"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("ix_placements_agency_day", "agency", "day"),)

    reference: str = Field(primary_key=True, max_length=16)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    case_id: str = Field(foreign_key="cases.id")
    agency: str
    day: date
    balance: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    status: str
    row: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    at: datetime = instant()


class PlacementNumber(SQLModel, table=True):
    """The number by which the field's layouts know a placement; given when it first stands in such a file."""

    __tablename__ = "placement_numbers"  # pyright: ignore[reportAssignmentType]

    number: int | None = Field(default=None, primary_key=True)
    placement: str = Field(foreign_key="placements.reference", unique=True, max_length=16)


class AgencyBatch(SQLModel):
    """A file for one agency and day; its row is the lock under which the file is written.

    `unwritten`: it has rows that the file does not show yet.
    """

    agency: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    path: str = ""
    count: int = 0
    sha256: str = ""
    written_at: datetime | None = instant(default=None)
    unwritten: bool = Field(default=False, index=True)


class PlacementBatch(AgencyBatch, table=True):
    """The placement file of one agency and day."""

    __tablename__ = "placement_batches"  # pyright: ignore[reportAssignmentType]
