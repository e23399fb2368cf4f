"""A call that the provider was asked to put through for a collector."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from models.types import instant


class CallDial(SQLModel, table=True):
    """`state`: intended -> ringing (the collector's telephone) -> connected (the holder's) -> ended.

    Or failed: the provider did not take it; refused: the gate did not allow it; unknown: for a person to settle.
    The holder's telephone is dialled once, in the transaction that sets `connected_at`, if the gate allows it then:
    `verdict` is what it said last. `sid` is the provider's name for the call; `status` and `seconds` what it
    reported of the holder's end. `intended_wall` counts in wall time.
    """

    __tablename__ = "call_dials"  # pyright: ignore[reportAssignmentType]

    reference: str = Field(primary_key=True, max_length=16)
    task: str = Field(foreign_key="call_tasks.key", index=True)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    collector: str = Field(index=True)
    agent_number: str
    number: str
    state: str
    reason: str = ""
    sid: str = ""
    status: str = ""
    seconds: int = 0
    recorded: bool = False
    verdict: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    at: datetime = instant()
    intended_wall: datetime = instant()
    connected_at: datetime | None = instant(default=None)
    ended_at: datetime | None = instant(default=None)
