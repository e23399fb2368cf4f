"""Which accounts name a telephone number."""

from sqlmodel import Field, SQLModel


class AccountNumber(SQLModel, table=True):
    """The index of `accounts.phones`: who a message from `number` (E.164) may be about."""

    __tablename__ = "account_numbers"  # pyright: ignore[reportAssignmentType]

    number: str = Field(primary_key=True, max_length=20)
    account_id: str = Field(foreign_key="accounts.id", primary_key=True)
