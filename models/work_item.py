"""Something that a person must see to."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.types import instant


class WorkItem(SQLModel, table=True):
    """What the holder said or asked for that no rule can answer. `key` names what it came from, once.

    What belongs to no account, such as a file, has none. `note` may hold the holder's own words. Open until `done_at`;
    not before `due_at` where that is set.
    """

    __tablename__ = "work_items"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True, max_length=256)
    account_id: str | None = Field(default=None, foreign_key="accounts.id", index=True)
    kind: str
    note: str = ""
    at: datetime = instant()
    due_at: datetime | None = instant(default=None)
    done_at: datetime | None = instant(default=None)
    done_by: str = ""
    answer: str = ""
