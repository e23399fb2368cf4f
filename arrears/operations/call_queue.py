"""The call queue in the ledger, and what collectors report back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

import models
from arrears.channels.effect import Intent
from arrears.ledger.claims import hold_fast
from arrears.ledger.database import Ledger
from arrears.operations.told import CARRIES, withdraw_from_calls, withdraw_with_call


class LedgerCallQueue:
    """Call tasks as rows. A new task replaces what nobody has worked of the accounts it is about."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add(self, intents: Sequence[Intent]) -> set[str]:
        """Add the tasks of `intents` that are not there yet; older open tasks of their accounts lapse.

        The keys of all that are there now; none of intents that somebody else has taken.
        """
        with self._ledger.write() as session:
            ours = hold_fast(session, {intent.reference: intent.claim for intent in intents})
            intents = [intent for intent in intents if intent.reference in ours]
            keys = [intent.key for intent in intents]
            known = set(session.exec(select(models.CallTask.key).where(col(models.CallTask.key).in_(keys))))
            new = [intent for intent in intents if intent.key not in known]
            about = {account for intent in new for account in (intent.account_id, *intent.payload.get(CARRIES, ()))}
            older = select(models.CallTask).where(
                col(models.CallTask.account_id).in_(about), models.CallTask.status == "open"
            )
            for task in session.exec(older):
                task.status = "lapsed"
                session.add(task)
            session.add_all(_task(intent) for intent in new)
            return set(keys)

    def has(self, key: str) -> bool:
        """Whether the task is in the queue, whatever became of it."""
        with self._ledger.read() as session:
            return session.get(models.CallTask, key) is not None


def _task(intent: Intent) -> models.CallTask:
    payload = intent.payload
    return models.CallTask(
        key=intent.key,
        account_id=intent.account_id,
        rung=intent.rung,
        attempt=intent.attempt,
        number=payload["number"],
        script=payload["script"],
        zone=payload["zone"],
        best_from=payload["best_from"],
        best_to=payload["best_to"],
        priority=payload["priority"],
        created_at=intent.at,
    )


def cancel_open_tasks(
    session: Session, account_id: str, *, but: str = "", who: str, at: datetime, wall: datetime
) -> Sequence[models.CallTask]:
    """Take an account's open call tasks out of the queue, and return them: there is no reason left to call.

    Nor is it told about in calls about other accounts; those that were to be told in its own are due again. What
    the case with the id `but` has there stays.
    """
    withdraw_from_calls(session, account_id, but=but, who=who, at=at, wall=wall)
    tasks = session.exec(
        select(models.CallTask).where(
            models.CallTask.account_id == account_id,
            models.CallTask.status == "open",
            # Every key begins with its case's id.
            col(models.CallTask.key).not_like(f"{but}/%"),
        )
    ).all()
    for task in tasks:
        task.status = "cancelled"
        task.worked_at = at
        session.add(task)
        withdraw_with_call(session, task, who=who, at=at, wall=wall)
    return tasks
