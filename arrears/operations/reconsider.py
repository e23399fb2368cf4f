"""What a case says and what its call queue holds, after something about the holder has changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session

from arrears.engine.contact.facts import ContactChannel, Proposal
from arrears.engine.contact.holds import blocking_holds
from arrears.engine.vocabulary import CaseStatus, StepStatus
from arrears.ledger.cases import CaseFile, read_case_file, step_named
from arrears.ledger.events import log_event
from arrears.operations.call_queue import cancel_open_tasks
from arrears.operations.recall import recall_what_is_due
from arrears.operations.services import Services
from arrears.operations.standstill import standstill
from arrears.operations.wake import make_due


def reconsider(services: Services, session: Session, account_ids: Iterable[str], *, at: datetime, who: str) -> None:
    """Let the cases of these accounts say at once whether they stand still; what is next is decided later.

    Calls that may not be made any more leave the queue. The caller holds the person's locks.
    """
    session.flush()
    for account_id in account_ids:
        file = read_case_file(session, account_id, lock=True)
        if file.case.status in (CaseStatus.DELINQUENT, CaseStatus.HELD):
            say_whether_held(services, file, at=at)
        _withdraw_calls(services, session, file, at=at, who=who)
        recall_what_is_due(services, session, file, at=at, who=who)
        make_due(session, file.case, at=at)


def say_whether_held(services: Services, file: CaseFile, *, at: datetime) -> None:
    """Let the status of an open case say whether it stands still at `at`."""
    case = file.case
    stands_still = standstill(services, file, now=at)
    case.status = CaseStatus.HELD if stands_still else CaseStatus.DELINQUENT
    case.next_reason = f"held: {stands_still.reason}" if stands_still else "to be decided"


def _withdraw_calls(services: Services, session: Session, file: CaseFile, *, at: datetime, who: str) -> None:
    """Nobody is called who may not be any more; an attempt that nobody made is no attempt."""
    call = Proposal(ContactChannel.CALL, file.actor)
    held = blocking_holds(call, services.rulebook, file.facts(), now=at)
    stands_still = standstill(services, file, now=at)
    if not held and stands_still is None:
        return
    because = ", ".join(dict.fromkeys(hold.kind for hold, _ in held)) or (stands_still.reason if stands_still else "")
    why = f"withdrawn before anybody called: {because}"
    wall = services.clock.wall()
    for task in cancel_open_tasks(session, file.account.id, who=who, at=at, wall=wall):
        step = step_named(session, task.key)
        if step is not None and step.status == StepStatus.DONE:
            step.status, step.reason = StepStatus.SKIPPED, why
            step.rules = [rule.id for _, rule in held]
            session.add(step)
            data: dict[str, object] = {"rung": step.rung, "attempt": step.attempt, "reference": step.reference}
            log_event(session, "skipped", who=who, at=at, wall=wall, case=file.case, why=why, data=data)
