"""Files that partners send, and the money that arrives from them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.types import instant

_NUMBERED = text("status = 'taken' AND number <> ''")


class AgencyFile(SQLModel, table=True):
    """One file of one partner, known by the digest of what it holds and, where it has one, by the partner's number.

    `status`: taken, all of it in the transaction that made this row so; quarantined, nothing of it. `lines`: its
    facts; `sums`: by currency what was collected and kept of it, in minor units. `path`: where a quarantined one lies,
    relative to the outbox.
    """

    __tablename__ = "agency_files"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        UniqueConstraint("partner", "digest"),
        Index(
            "uq_agency_files_number",
            "partner",
            "number",
            unique=True,
            sqlite_where=_NUMBERED,
            postgresql_where=_NUMBERED,
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    partner: str
    digest: str = Field(max_length=64)
    number: str = Field(default="", max_length=64)
    name: str
    status: str
    lines: int = 0
    wrong: int = 0
    sums: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    path: str = ""
    at: datetime = instant()
    wall: datetime = instant()
    who: str


class AgencyReceipt(SQLModel, table=True):
    """Money that arrived from a partner at the bank, once by the bank's `reference`; minor units, below zero: to it."""

    __tablename__ = "agency_receipts"  # pyright: ignore[reportAssignmentType]

    partner: str = Field(primary_key=True)
    reference: str = Field(primary_key=True, max_length=128)
    amount: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    at: datetime = instant()
    who: str
