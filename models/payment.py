"""Money received."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from models.types import instant


class Payment(SQLModel, table=True):
    """One payment, posted once per `reference`; `amount` in minor units of `currency`."""

    __tablename__ = "payments"  # pyright: ignore[reportAssignmentType]

    reference: str = Field(primary_key=True, max_length=128)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    amount: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    paid_at: datetime = instant()
    received_at: datetime = instant()
    source: str
