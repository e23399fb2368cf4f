"""A named person's yes to one rung of one case."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from models.types import instant


class Approval(SQLModel, table=True):
    """Who approved, when, and what was owed then (minor units; None where nobody wrote it down).

    Rows are never removed: an approval that has lapsed stays on record, and the same person may give another.
    """

    __tablename__ = "approvals"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    case_id: str = Field(foreign_key="cases.id", index=True)
    rung: str
    approved_by: str
    at: datetime = instant()
    balance: int | None = Field(default=None, sa_type=BigInteger)
