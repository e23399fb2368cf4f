"""A reason not to collect."""

from datetime import date, datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from models.types import instant

_OPEN = text("released_at IS NULL")


class Hold(SQLModel, table=True):
    """In force from `since` until `until` or `released_at`, whichever comes first; None is open-ended.

    `holder_id` is the account's: some kinds cover all of a person's accounts. `number`: for an opt-out from
    texts or calls, the number it was said for, whoever else's accounts name it. `event_id`: the life event that
    set it. On `review_on` a person looks whether it still stands.
    """

    __tablename__ = "holds"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        Index("ix_holds_holder_open", "holder_id", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_holds_number_open", "number", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    id: int | None = Field(default=None, primary_key=True)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    holder_id: str = Field(max_length=64)
    number: str = ""
    event_id: int | None = Field(default=None, foreign_key="life_events.id")
    kind: str
    channel: str | None = None
    since: datetime = instant()
    until: datetime | None = instant(default=None)
    set_by: str
    evidence: str = ""
    review_on: date | None = None
    released_at: datetime | None = instant(default=None)
    released_by: str = ""
