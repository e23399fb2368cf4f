"""The step: the checkpoint of one attempt at one rung."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, UniqueConstraint, text
from sqlmodel import Field

from models.types import Row, instant


def step_key(case_id: str, rung: str, attempt: int) -> str:
    """What names a step for good, whatever its reference: its intent's key, and that of the call task it queues."""
    return f"{case_id}/{rung}/{attempt}"


class Step(Row, table=True):
    """planned -> intended -> done | failed | skipped | unknown.

    `reference` is the short unique mark printed in texts and letters; `proof` is what shows that the
    effect happened (message SID, digest, task key). `number` is the one called or texted, `actor` the
    party that spoke; a call took place at `disposed_at`. `lease_until` and `intended_wall` count in wall time.
    `carried_by`: the reference of the step about another account of the holder within whose contact this one is
    told; its proof is that step's. Of a text that did not arrive, `again_at`: the rung is made again from then;
    `unreached`: it cannot reach the holder, and another way is to be tried.
    """

    __tablename__ = "steps"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        UniqueConstraint("case_id", "rung", "attempt"),
        UniqueConstraint("reference"),
        # What went out today, for the day's ceiling: rows come in the order of their time, so a word a block suffices.
        Index("ix_steps_at", "at", postgresql_using="brin"),
        Index(
            "ix_steps_intended",
            "intended_wall",
            sqlite_where=text("status = 'intended'"),
            postgresql_where=text("status = 'intended'"),
        ),
        Index(
            "ix_steps_carried",
            "carried_by",
            sqlite_where=text("carried_by <> ''"),
            postgresql_where=text("carried_by <> ''"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    case_id: str = Field(foreign_key="cases.id")
    account_id: str = Field(foreign_key="accounts.id", index=True)
    rung: str
    attempt: int
    stage: str
    channel: str
    status: str
    reference: str = Field(max_length=16)
    due_at: datetime = instant()
    at: datetime | None = instant(default=None)
    not_before: datetime | None = instant(default=None)
    needs_person: bool = False
    reason: str = ""
    rules: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    verdict: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    proof: str = ""
    carried_by: str = Field(default="", max_length=16)
    number: str = ""
    actor: str = ""
    disposition: str | None = None
    disposed_at: datetime | None = instant(default=None)
    again_at: datetime | None = instant(default=None)
    unreached: bool = False
    tries: int = 0
    owner: str = ""
    lease_until: datetime | None = instant(default=None)
    intended_wall: datetime | None = instant(default=None)

    @property
    def key(self) -> str:
        """As `step_key` has it."""
        return step_key(self.case_id, self.rung, self.attempt)
