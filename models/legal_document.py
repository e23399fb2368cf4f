"""Documents of the lender that legal referrals enclose."""

from datetime import date, datetime

from sqlalchemy import BigInteger, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.types import instant


class LegalDocument(SQLModel, table=True):
    """One document as it came in, once by its `reference`. The file is kept under its digest.

    `name`: what it was called. A bill of sale says that `seller` sold the debt to `buyer` on `sold_on`.
    """

    __tablename__ = "legal_documents"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("account_id", "reference"),)

    id: int | None = Field(default=None, primary_key=True)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    kind: str
    reference: str = Field(max_length=128)
    name: str
    sha256: str = Field(max_length=64)
    size: int = Field(sa_type=BigInteger)
    seller: str = ""
    buyer: str = ""
    sold_on: date | None = None
    at: datetime = instant()
    added_by: str
