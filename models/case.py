"""The case: one delinquency episode of one account."""

from datetime import date, datetime
from uuid import uuid4

from sqlalchemy import Index, text
from sqlmodel import Field

from models.types import Row, instant


class Case(Row, table=True):
    """Where an account stands on its ladder, what is next, and who drives it.

    `began` is the first due date that was missed; `due_date` the oldest one unpaid, from which days past due count.

    `next_due_at` counts in ledger time and is None when only an event or a person can move the case;
    `recall_at`: when an agency that has the account is to be asked for it, whatever else is next;
    `retry_at` counts in wall time and keeps everybody off until then. `limitation_ends`: the first day on which the
    claim is time-barred, as it was last reckoned; `limit_told`: the one that a person has been told is near.
    """

    __tablename__ = "cases"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        Index(
            "uq_cases_open_account",
            "account_id",
            unique=True,
            sqlite_where=text("status <> 'closed'"),
            postgresql_where=text("status <> 'closed'"),
        ),
        Index(
            "ix_cases_due",
            "next_due_at",
            "account_id",
            sqlite_where=text("next_due_at IS NOT NULL"),
            postgresql_where=text("next_due_at IS NOT NULL"),
        ),
        Index(
            "ix_cases_recall_at",
            "recall_at",
            sqlite_where=text("recall_at IS NOT NULL"),
            postgresql_where=text("recall_at IS NOT NULL"),
        ),
    )

    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True, max_length=32)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    status: str
    stage: str = "none"
    began: date
    due_date: date
    ladder: str
    ladder_version: int
    driver: str
    flow_run_id: str | None = Field(default=None, index=True)
    next_due_at: datetime | None = instant(default=None)
    recall_at: datetime | None = instant(default=None)
    next_rung: str | None = None
    next_reason: str = ""
    retry_at: datetime | None = instant(default=None)
    failures: int = 0
    halted_why: str = ""
    outcome: str = ""
    opened_at: datetime = instant()
    closed_at: datetime | None = instant(default=None)
    limitation_ends: date | None = Field(default=None, index=True)
    limit_told: date | None = None

    @property
    def timeline(self) -> str | None:
        """The id of the flow run that drives the case; None when the sweep does, whatever run drove it before."""
        return self.flow_run_id if self.driver == "timeline" else None
