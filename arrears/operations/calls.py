"""What a collector reports about a call."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

import models
from arrears.engine.vocabulary import Disposition, StepStatus
from arrears.ledger.cases import read_case_file
from arrears.ledger.events import log_event
from arrears.operations.services import Services
from arrears.operations.wake import make_due


class CallRefused(Exception):
    """The outcome was not recorded; the message says why."""


def record_call(
    services: Services, account_id: str, disposition: Disposition, *, by: str, note: str = "", at: datetime
) -> models.CallTask:
    """Record the outcome of the account's open call task.

    Or of one taken out of the queue while it was being worked: what was said was said. Raises
    UnknownAccount and CallRefused.
    """
    with services.ledger.write() as session:
        file = read_case_file(session, account_id, lock=True)
        task = session.exec(
            select(models.CallTask)
            .where(
                models.CallTask.account_id == account_id,
                col(models.CallTask.status).in_(("open", "cancelled")),
                col(models.CallTask.disposition).is_(None),
            )
            .order_by(col(models.CallTask.status).desc(), col(models.CallTask.created_at).desc())
        ).first()
        if task is None:
            raise CallRefused(f"account {account_id} has no open call task")
        task.status, task.disposition, task.worked_by = "done", disposition, by
        task.note, task.worked_at = note, at
        session.add(task)
        step = file.step(task.rung, task.attempt)
        if step is not None:
            step.disposition, step.disposed_at = disposition, at
            if step.status == StepStatus.SKIPPED:
                step.status, step.reason = StepStatus.DONE, ""
            session.add(step)
        data = {"rung": task.rung, "attempt": task.attempt, "disposition": str(disposition)}
        log_event(session, "call", who=by, at=at, wall=services.clock.wall(), case=file.case, data=data)
        make_due(session, file.case, at=at)
        return task
