"""The account and its holder."""

from datetime import date, datetime

from sqlalchemy import JSON, BigInteger, Column
from sqlmodel import Field, SQLModel

from models.types import instant


class Account(SQLModel, table=True):
    """A credit-card account as the lender last told us, and what has happened to it since.

    `opening_due` and `opening_balance` are the lender's word at enrolment; `amount_due` and `balance` what they
    have become by the account's life events.

    `holder_id` is the person's: accounts that share it share the counters that law keeps for a person.
    `phones` are E.164; `zones` the IANA zones the holder may be in, the most likely first, `jurisdictions`
    the places whose law may bind (`US`, `US-NY`, `US-NY-NYC`). Amounts are
    minor units of `currency`. `opening_address`, in one line: the first, once another has taken its place.
    """

    __tablename__ = "accounts"  # pyright: ignore[reportAssignmentType]

    id: str = Field(primary_key=True, max_length=64)
    holder_id: str = Field(max_length=64, index=True)
    portfolio: str = Field(index=True)
    name: str
    phones: list[str] = Field(sa_column=Column(JSON, nullable=False))
    email: str = ""
    street: str
    city: str
    region: str
    postal_code: str
    country: str = Field(max_length=2)
    locale: str
    jurisdictions: list[str] = Field(sa_column=Column(JSON, nullable=False))
    zones: list[str] = Field(sa_column=Column(JSON, nullable=False))
    currency: str = Field(max_length=3)
    opening_due: int = Field(sa_type=BigInteger)
    opening_balance: int = Field(sa_type=BigInteger)
    amount_due: int = Field(sa_type=BigInteger)
    balance: int = Field(sa_type=BigInteger)
    minimum_due: int | None = Field(default=None, sa_type=BigInteger)
    due_date: date
    last_payment_on: date | None = None
    last_payment_amount: int | None = Field(default=None, sa_type=BigInteger)
    opened_on: date | None = None
    creditor: str
    segment: str = ""
    enrolled_at: datetime = instant()
    opening_address: str = ""
