"""Ends a case, and everything that was still meant to happen in it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from arrears.engine.vocabulary import CaseStatus, StepStatus
from arrears.ledger.cases import CaseFile
from arrears.ledger.events import log_event
from arrears.operations.call_queue import cancel_open_tasks


def close_case(
    session: Session, file: CaseFile, outcome: str, *, lasts: str = "", who: str, at: datetime, wall: datetime
) -> None:
    """Close the case once. Planned steps are skipped with the outcome as reason, open call tasks cancelled.

    But not the tasks of the case with the id `lasts`, which goes on when this one ends. A timeline's run stays due, so
    that whoever drives it brings it to its end.
    """
    case = file.case
    if case.status == CaseStatus.CLOSED:
        return
    for step in file.steps:
        if step.status == StepStatus.PLANNED:
            step.status, step.at, step.reason = StepStatus.SKIPPED, at, f"case closed: {outcome}"
            session.add(step)
    case.status, case.outcome, case.closed_at = CaseStatus.CLOSED, outcome, at
    drop_calls_if_paid(session, file, lasts=lasts, who=who, at=at, wall=wall)
    case.next_rung, case.next_reason, case.retry_at = None, f"closed: {outcome}", None
    case.next_due_at, case.recall_at = at if case.timeline else None, None
    session.add(case)
    log_event(session, "closed", who=who, at=at, wall=wall, case=case, why=outcome)


def drop_calls_if_paid(
    session: Session, file: CaseFile, *, lasts: str = "", who: str, at: datetime, wall: datetime
) -> None:
    """A referred account is still owed and may still be called back; a paid one has no reason to be called."""
    if file.case.status == CaseStatus.CLOSED and file.case.outcome in ("paid", "cured"):
        cancel_open_tasks(session, file.account.id, but=lasts, who=who, at=at, wall=wall)
