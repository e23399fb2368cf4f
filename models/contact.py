"""A contact that no step of a ladder made."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.types import instant


class Contact(SQLModel, table=True):
    """A call or message received, one made by hand, or a notice given elsewhere: the caps count them too.

    `direction`: inbound or outbound. `outcome`: a disposition, or `conversation`. `actor`: the party
    that spoke for the lender. `notice`: the statutory notice that the contact gave, such as `default_notice`.
    `external_id`: the name by which it is known elsewhere, once.
    """

    __tablename__ = "contacts"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    channel: str
    direction: str
    at: datetime = instant()
    outcome: str = ""
    number: str = ""
    actor: str = ""
    notice: str = ""
    note: str = ""
    recorded_by: str
    external_id: str | None = Field(default=None, max_length=192, unique=True)
