"""Files handed to partners."""

from datetime import date, datetime

from sqlalchemy import BigInteger, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.types import instant


class Handoff(SQLModel, table=True):
    """One file, as it stood with the digest `sha256`, on its way to one partner's folder.

    `path` is relative to the outbox, `name` its name at the partner's. `sealed_sha256` and `size` are of the bytes that
    leave: the ciphertext where it is encrypted. `status`: intended; moving, from just before it gets its name at the
    partner's; done; unknown, a person must say; replaced, the file was written anew before it had gone.
    `problem`: why it has not gone yet. Only the `owner` acts on it while the lease runs.
    """

    __tablename__ = "handoffs"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("partner", "path", "sha256"),)

    id: int | None = Field(default=None, primary_key=True)
    partner: str
    path: str
    sha256: str = Field(max_length=64)
    kind: str
    day: date
    name: str
    sealed_sha256: str = Field(default="", max_length=64)
    size: int = Field(default=0, sa_type=BigInteger)
    status: str = Field(index=True)
    tries: int = 0
    problem: str = ""
    intended_at: datetime = instant()
    retry_at: datetime | None = instant(default=None)
    done_at: datetime | None = instant(default=None)
    owner: str = ""
    lease_until: datetime | None = instant(default=None)
