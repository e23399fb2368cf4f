"""Something happened to a case: how high it stands, and when whoever drives it looks again."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

import models
from arrears.engine.vocabulary import CaseStatus, Stage


def make_due(session: Session, case: models.Case, *, at: datetime) -> None:
    """An open case is decided anew at `at`; a closed one only still has its timeline's run to end.

    But not one that has a successor: that has the run from then on, and nobody looks at the earlier one.
    """
    if case.status == CaseStatus.CLOSED and (case.timeline is None or _has_successor(session, case)):
        return
    if case.next_due_at is None or case.next_due_at > at:
        case.next_due_at = at
    session.add(case)


def mark_halted(case: models.Case, why: str) -> None:
    """Nothing is due in the case until a person resumes it."""
    case.status, case.halted_why = CaseStatus.HALTED, why
    case.next_due_at, case.next_rung, case.next_reason = None, None, f"halted: {why}"


def raise_stage(case: models.Case, step: models.Step) -> None:
    """A case stands as high as the highest step that was made in it."""
    if Stage(step.stage).height > Stage(case.stage).height:
        case.stage = step.stage


def _has_successor(session: Session, case: models.Case) -> bool:
    later = select(models.Case.id).where(
        models.Case.account_id == case.account_id, col(models.Case.opened_at) > case.opened_at
    )
    return session.exec(later.limit(1)).first() is not None
