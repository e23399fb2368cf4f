"""The holder's word that a channel may be used."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.types import instant


class Consent(SQLModel, table=True):
    """Given at `at`, in force until `withdrawn_at`; `evidence` says where it is written or recorded.

    `event_id`: the life event that gave it; None for one that came with the portfolio.
    """

    __tablename__ = "consents"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    event_id: int | None = Field(default=None, foreign_key="life_events.id")
    channel: str
    at: datetime = instant()
    evidence: str = ""
    recorded_by: str
    withdrawn_at: datetime | None = instant(default=None)
    withdrawn_how: str = ""
