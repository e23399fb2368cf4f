"""A letter as it left."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.types import instant


class Letter(SQLModel, table=True):
    """`path` is relative to the outbox; `sha256` the digest of the PDF; `batch`: the one it is printed in."""

    __tablename__ = "letters"  # pyright: ignore[reportAssignmentType]

    reference: str = Field(primary_key=True, max_length=16)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    case_id: str = Field(foreign_key="cases.id")
    template: str
    locale: str
    path: str
    sha256: str
    at: datetime = instant()
    batch: int | None = Field(default=None, foreign_key="print_batches.id", index=True)
