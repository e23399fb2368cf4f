"""A reason not to collect."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.types import instant


class Hold(SQLModel, table=True):
    """In force from `since` until `until` or `released_at`, whichever comes first; None is open-ended."""

    __tablename__ = "holds"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    kind: str
    channel: str | None = None
    since: datetime = instant()
    until: datetime | None = instant(default=None)
    set_by: str
    released_at: datetime | None = instant(default=None)
    released_by: str = ""
