"""A call for a collector to make."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.types import instant


class CallTask(SQLModel, table=True):
    """`key` is the step's: one task per attempt. `status`: open, done, lapsed (replaced) or cancelled.

    `best_from` and `best_to` are local hours (`10:00`) in `zone`; a higher `priority` comes first.
    `dealt_to`: the collector in whose day list it stands.
    `reference`: the name its outcome is known by elsewhere, once.
    """

    __tablename__ = "call_tasks"  # pyright: ignore[reportAssignmentType]

    key: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    rung: str
    attempt: int
    number: str
    script: str
    zone: str
    best_from: str
    best_to: str
    priority: int = Field(index=True)
    status: str = Field(default="open", index=True)
    disposition: str | None = None
    dealt_to: str = ""
    worked_by: str = ""
    note: str = ""
    reference: str | None = Field(default=None, max_length=128, unique=True)
    created_at: datetime = instant()
    worked_at: datetime | None = instant(default=None)
