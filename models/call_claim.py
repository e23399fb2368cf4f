"""A collector's hold on a person: nobody else calls them meanwhile."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from models.types import instant


class CallClaim(SQLModel, table=True):
    """`collector` works the task from `began_at`, at the latest until `until`, when it goes back to the queue.

    `how` it ended: outcome, released or abandoned; empty while it stands. One person has one claim at a time, and
    so has one collector.
    """

    __tablename__ = "call_claims"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        Index(
            "uq_call_claims_holder",
            "holder_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(
            "uq_call_claims_collector",
            "collector",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    task: str = Field(foreign_key="call_tasks.key", index=True)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    holder_id: str = Field(max_length=64)
    collector: str
    began_at: datetime = instant()
    until: datetime = instant()
    ended_at: datetime | None = instant(default=None)
    how: str = ""
