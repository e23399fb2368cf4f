"""What the provider says became of a text."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.types import instant


class Delivery(SQLModel, table=True):
    """The furthest status that a text has reached, by the reference of its step.

    It may be known before the step is settled. `sid` is the provider's name for the text, `error_code` its
    reason why it was not delivered. `at` counts in wall time, as do `since`, when the text was sent or first
    heard of, and `ask_at`: when the provider is to be asked what became of it, None when that is known.
    """

    __tablename__ = "deliveries"  # pyright: ignore[reportAssignmentType]

    reference: str = Field(primary_key=True, max_length=16)
    sid: str = Field(index=True)
    status: str
    error_code: str = ""
    at: datetime = instant()
    since: datetime = instant()
    ask_at: datetime | None = instant(default=None, index=True)
