"""Letters that go to the print house together."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.types import instant


class PrintBatch(SQLModel, table=True):
    """One folder of the outbox for the print house, and the lock under which it is written.

    The letters whose `batch` it is were given to it in the transaction that made it. `path`: its folder in the outbox;
    `one_file`: all letters in one PDF, `duplex`: printed on both sides. `pages` and `sha256`, the manifest's digest,
    are known once it is written; until then it is `unwritten`, and belongs to `owner` until `lease_until` (wall time).
    """

    __tablename__ = "print_batches"  # pyright: ignore[reportAssignmentType]

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = instant()
    one_file: bool
    duplex: bool
    path: str = ""
    letters: int = 0
    pages: int = 0
    sha256: str = ""
    unwritten: bool = Field(default=True, index=True)
    owner: str = ""
    lease_until: datetime | None = instant(default=None)
    written_at: datetime | None = instant(default=None)
