"""Accounts handed to lawyers."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.types import instant


class Referral(SQLModel, table=True):
    """One referral pack; `path` is relative to the outbox.

    `firm`: the law firm it is for; empty for the lender's own lawyers. `approved_by`: everybody who approved it.
    """

    __tablename__ = "referrals"  # pyright: ignore[reportAssignmentType]

    reference: str = Field(primary_key=True, max_length=16)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    case_id: str = Field(foreign_key="cases.id")
    path: str
    sha256: str
    approved_by: str
    firm: str = ""
    at: datetime = instant()
