"""A named person's yes to one rung of one case."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.types import instant


class Approval(SQLModel, table=True):
    """Who approved, and when."""

    __tablename__ = "approvals"  # pyright: ignore[reportAssignmentType]

    case_id: str = Field(foreign_key="cases.id", primary_key=True)
    rung: str = Field(primary_key=True)
    approved_by: str
    at: datetime = instant()
