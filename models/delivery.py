"""What the provider says became of a text."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.types import instant


class Delivery(SQLModel, table=True):
    """The furthest status that a text has reached, by the reference of its step.

    It may be known before the step is settled. `sid` is the provider's name for the text, `error_code` its
    reason why it was not delivered. `at` counts in wall time.
    """

    __tablename__ = "deliveries"  # pyright: ignore[reportAssignmentType]

    reference: str = Field(primary_key=True, max_length=16)
    sid: str = Field(index=True)
    status: str
    error_code: str = ""
    at: datetime = instant()
