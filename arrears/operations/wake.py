"""Something happened to a case: make it due, so that whoever drives it looks again."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

import models
from arrears.engine.vocabulary import CaseStatus


def make_due(session: Session, case: models.Case, *, at: datetime) -> None:
    """An open case is decided anew at `at`; a closed one only still has its timeline's run to end.

    But not one that has a successor: that has the run from then on, and nobody looks at the earlier one.
    """
    if case.status == CaseStatus.CLOSED and (case.timeline is None or _has_successor(session, case)):
        return
    if case.next_due_at is None or case.next_due_at > at:
        case.next_due_at = at
    session.add(case)


def _has_successor(session: Session, case: models.Case) -> bool:
    later = select(models.Case.id).where(
        models.Case.account_id == case.account_id, col(models.Case.opened_at) > case.opened_at
    )
    return session.exec(later.limit(1)).first() is not None
