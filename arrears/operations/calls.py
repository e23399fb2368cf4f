"""What a collector reports about a call, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session, col, select

import models
from arrears.clock import iso
from arrears.engine.contact.facts import ContactChannel
from arrears.engine.life.events import ConsentGiven, HoldSet, LifeEvent, NumberChecked, Promise
from arrears.engine.money import Money
from arrears.engine.vocabulary import ChannelName, Disposition, StepStatus
from arrears.ledger.cases import CaseFile, lock_person, read_case_file, step_named
from arrears.ledger.events import log_event
from arrears.ledger.life import key_of
from arrears.operations.arrange import ARRANGEMENTS, must_be_possible
from arrears.operations.call_claims import claim_on, end_claim
from arrears.operations.consent import CONSENTS
from arrears.operations.hold import HOLDS
from arrears.operations.inbox import EventRefused, take
from arrears.operations.numbers import NUMBERS
from arrears.operations.pay import in_currency
from arrears.operations.services import Services
from arrears.operations.told import hear
from arrears.operations.wake import make_due
from arrears.operations.work import Work, open_item
from arrears.policies.hold_kinds import HoldKind


class CallRefused(EventRefused):
    """The outcome was not recorded; the message says why."""


@dataclass(frozen=True, slots=True)
class Promised:
    """What was promised on the telephone."""

    amount: Money | str
    due_on: date


@dataclass(frozen=True, slots=True)
class Worked:
    """The call as it was worked. `new` is False when it was known: nothing has changed."""

    task: models.CallTask
    new: bool


def record_call(
    services: Services,
    account_id: str,
    disposition: Disposition,
    *,
    by: str,
    note: str = "",
    promised: Promised | None = None,
    call_back_at: datetime | None = None,
    reference: str = "",
    at: datetime,
) -> Worked:
    """Record the outcome of the account's open call task, and what follows from it, in one transaction.

    What was told about other accounts in the same call has the same outcome.

    Nobody records an outcome about a person whom another collector has claimed; a claim of `by` ends.

    Or of one taken out of the queue while it was being worked: what was said was said. A wrong number or one
    out of service is not used again; a death holds all the person's accounts; who asks to be called back
    has consented to calls, and is to be called by a person (at `call_back_at`); a promise pauses the ladder. Known
    by `reference` it changes nothing. Raises UnknownAccount, CallRefused, MoneyError and
    EventRefused.
    """
    if promised is not None and disposition is not Disposition.PROMISE:
        raise CallRefused(f"an amount and a date belong to the outcome promise, not to {disposition}")
    amount = in_currency(services, account_id, promised.amount, what="promise").amount if promised else 0
    with services.ledger.write() as session:
        lock_person(session, account_id)
        file = read_case_file(session, account_id, lock=True)
        known = session.exec(select(models.CallTask).where(models.CallTask.reference == reference)).first()
        if reference and known is not None:
            if (known.account_id, known.disposition) != (account_id, disposition):
                raise CallRefused(f"reference {reference!r} was already used for another call")
            return Worked(known, new=False)
        task = _task(session, account_id)
        _end_claim(session, file.account.holder_id, task, by=by, at=at)
        if promised is not None:
            must_be_possible(services, file, [promised.due_on], at, "promise")
        task.status, task.disposition, task.worked_by = "done", disposition, by
        task.note, task.worked_at, task.reference = note, at, reference or None
        session.add(task)
        step = step_named(session, task.key)
        if step is not None:
            step.disposition, step.disposed_at = disposition, at
            if step.status == StepStatus.SKIPPED:
                step.status, step.reason = StepStatus.DONE, ""
            session.add(step)
        heard = hear(session, step, disposition, at=at) if step is not None else []
        data = {"rung": task.rung, "attempt": task.attempt, "disposition": str(disposition)}
        log_event(session, "call", who=by, at=at, wall=services.clock.wall(), case=file.case, data=data)
        make_due(session, file.case, at=at)
        session.flush()
        _follow(services, session, file, task, disposition, call_back_at, by=by, at=at)
        if disposition.spoils_the_number:
            for other in heard:
                _spoil(services, session, task, other.account_id, f"{task.key}/number/{other.account_id}", by=by, at=at)
        if promised is not None:
            name = f"{task.key}/{disposition}"
            event = Promise(key=key_of(ARRANGEMENTS, name), at=at, amount=amount, due_on=promised.due_on)
            _tell(services, session, task.account_id, event, by=by, at=at)
        return Worked(task, new=True)


def must_be_noted(services: Services, disposition: Disposition, note: str) -> None:
    """CallRefused for an outcome that is worth nothing without the words that were said.

    Asked of collectors at the faces; a fact from a feed is not lost for want of a note.
    """
    if disposition in services.floor.note_needed and not note.strip():
        raise CallRefused(f"the outcome {disposition} needs a note (--note): what was said, as it was said")


def _end_claim(session: Session, holder_id: str, task: models.CallTask, *, by: str, at: datetime) -> None:
    """The collector is done with the person. CallRefused while another has them."""
    held = claim_on(session, holder_id)
    if held is None:
        return
    if held.collector != " ".join(by.split()):
        if held.until > at:
            raise CallRefused(f"{held.collector} is calling this person until {iso(held.until)}")
        return
    if held.task == task.key:
        end_claim(session, held, "outcome", at=at)


def _follow(
    services: Services,
    session: Session,
    file: CaseFile,
    task: models.CallTask,
    disposition: Disposition,
    call_back_at: datetime | None,
    *,
    by: str,
    at: datetime,
) -> None:
    """What an outcome means beyond the call."""
    if disposition.spoils_the_number:
        _spoil(services, session, task, task.account_id, f"{task.key}/number", by=by, at=at)
    if disposition is Disposition.DECEASED and not any(h.kind == HoldKind.DECEASED for h in file.holds):
        reference = f"{task.key}/deceased"
        event = HoldSet(key=key_of(HOLDS, reference), at=at, kind=HoldKind.DECEASED, evidence=f"call {task.key}")
        _tell(services, session, task.account_id, event, by=by, at=at)
    if disposition is Disposition.CALLBACK_REQUESTED:
        reference = f"{task.key}/yes"
        event = ConsentGiven(
            key=key_of(CONSENTS, reference),
            at=at,
            channel=ContactChannel.CALL,
            evidence=f"asked on the telephone, {task.key}",
        )
        _tell(services, session, task.account_id, event, by=by, at=at)
        open_item(
            session,
            file.account.id,
            Work.CALLBACK,
            key=f"call:{task.key}",
            note=task.note,
            at=at,
            due_at=call_back_at,
        )
    if disposition is Disposition.LANGUAGE:
        open_item(session, file.account.id, Work.LANGUAGE, key=f"call:{task.key}", note=task.note, at=at)


def _spoil(
    services: Services,
    session: Session,
    task: models.CallTask,
    account_id: str,
    reference: str,
    *,
    by: str,
    at: datetime,
) -> None:
    """The number that was called is no good for an account that the call was about."""
    why = str(task.disposition)
    event = NumberChecked(key=key_of(NUMBERS, reference), at=at, number=task.number, good=False, why=why)
    _tell(services, session, account_id, event, by=by, at=at)


def _tell(services: Services, session: Session, account_id: str, event: LifeEvent, *, by: str, at: datetime) -> None:
    """Let the inbox have what the call told, in the call's own transaction."""
    take(services, session, account_id, event, received_at=at, via="call", who=by)


def _task(session: Session, account_id: str) -> models.CallTask:
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
        raise CallRefused(f"account {account_id} has no open call task{_told_elsewhere(session, account_id)}")
    return task


def _told_elsewhere(session: Session, account_id: str) -> str:
    step = session.exec(
        select(models.Step).where(
            models.Step.account_id == account_id,
            col(models.Step.channel) == ChannelName.CALL,
            models.Step.status == StepStatus.DONE,
            col(models.Step.carried_by) != "",
            col(models.Step.disposition).is_(None),
        )
    ).first()
    return f"; it is {step.reason}: record the outcome there" if step is not None else ""
