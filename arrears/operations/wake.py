"""Something happened to a case: make it due, so that whoever drives it looks again."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

import models
from arrears.engine.vocabulary import CaseStatus


def make_due(session: Session, case: models.Case, *, at: datetime) -> None:
    """An open case is decided anew at `at`; a closed one only still has its timeline's run to end."""
    if case.status == CaseStatus.CLOSED and case.timeline is None:
        return
    if case.next_due_at is None or case.next_due_at > at:
        case.next_due_at = at
    session.add(case)
