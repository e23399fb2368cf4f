"""Click to dial: the collector's telephone rings, and the holder's only if the gate allows it at that very moment.

Three transactions: the intent to ring the collector, what came of it, and, when the collector has answered and
asks for it, the one that dials the holder. Only the last touches a holder, and it happens once for a dial.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session, col, func, select

import models
from arrears.channels.dialler import Ring, TwilioDialler
from arrears.channels.effect import (
    Absent,
    Declined,
    Done,
    Found,
    InDoubt,
    LookUpFailed,
    Refused,
    TryAgain,
    Unprovable,
)
from arrears.clock import iso
from arrears.engine.contact.facts import ContactChannel
from arrears.engine.contact.verdict import Allow
from arrears.engine.delinquency import local_date
from arrears.ledger.cases import CaseFile, lock_person, read_case_file, step_named
from arrears.ledger.events import log_event
from arrears.ledger.references import step_reference
from arrears.operations.brakes import stopped_why
from arrears.operations.call_claims import claim_of, claim_on
from arrears.operations.calls import CallRefused
from arrears.operations.claim import Judged, claim, in_words, judge_call, named, open_task
from arrears.operations.links import voice_link
from arrears.operations.services import Services
from arrears.operations.verdicts import recorded

INTENDED, RINGING, CONNECTED, ENDED = "intended", "ringing", "connected", "ended"
FAILED, REFUSED, UNKNOWN = "failed", "refused", "unknown"
_ON_THE_LINE: Final = (RINGING, CONNECTED)
# Twilio is told to end a call by then.
LONGEST_CALL: Final = timedelta(hours=1)


class DialRefused(CallRefused):
    """No telephone rings; the message says why."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The holder may be dialled now: with this number, recorded or not."""

    number: str
    record: bool


def dial(
    services: Services, dialler: TwilioDialler, account_id: str, *, by: str, agent_number: str, now: datetime
) -> models.CallDial:
    """Let the telephone of `by` ring, for the account's open task, which becomes theirs if it is nobody's.

    An earlier dial cut short is looked up first, never repeated. Raises UnknownAccount, CallRefused and DialRefused.
    """
    if not services.settings.links_configured:
        raise DialRefused(
            "calls are put through with PUBLIC_BASE_URL and ARREARS_SECRET set, and `arrears serve` running"
        )
    claim(services, account_id, by=by, now=now)
    _settle_earlier(services, dialler, account_id, now=now)
    row = _intend(services, account_id, by=named(by), agent_number=agent_number, now=now)
    outcome = dialler.ring(_ring(services, row))
    with services.ledger.write() as session:
        row = session.get_one(models.CallDial, row.reference, with_for_update=True, populate_existing=True)
        match outcome:
            case Done(reference=sid):
                row.sid = sid
                # Who answers at once may be connected before we are told that it rings.
                row.state = RINGING if row.state == INTENDED else row.state
            case TryAgain(reason=reason) | Refused(reason=reason) | Declined(reason=reason):
                row.state, row.reason, row.ended_at = FAILED, reason, now
            case InDoubt(reason=reason):
                row.reason = reason
        session.add(row)
        _log(session, services, row, at=now)
    if row.state == FAILED:
        raise DialRefused(f"account {account_id}: {row.reason.replace('the text', 'the call')}")
    return row


def dialler_of(services: Services) -> TwilioDialler:
    """The provider that puts calls through. Raises DialRefused where none is set."""
    settings = services.settings
    if not settings.twilio_configured:
        raise DialRefused("calls are put through by Twilio: set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM")
    return TwilioDialler(
        settings.twilio_account_sid,
        settings.twilio_auth_token,
        settings.caller_id or settings.twilio_from,
        settings.twilio_base_url or None,
        settle=timedelta(seconds=settings.doubt_seconds),
    )


def connect(services: Services, reference: str, *, sid: str, now: datetime) -> Connection | None:
    """The collector has answered and asks for the holder: the gate once more, and the attempt is counted.

    Once for a dial, whatever is asked again. None when the holder is not to be dialled; the row says why.
    """
    with services.ledger.write() as session:
        row = session.get(models.CallDial, reference, with_for_update=True)
        if row is None or row.state not in (INTENDED, RINGING) or row.sid not in ("", sid):
            return None
        lock_person(session, row.account_id)
        file = read_case_file(session, row.account_id, lock=True)
        judged, why = _may_connect(services, session, file, row, now=now)
        row.sid = sid
        if judged is not None:
            version = services.rulebook.version
            row.verdict = recorded(judged.verdict, judged.proposal, judged.facts, version, now)
        if judged is None or why:
            row.state, row.reason, row.ended_at = REFUSED, why, now
        else:
            row.state, row.connected_at = CONNECTED, now
            row.recorded = services.settings.record_calls and services.floor.may_record(file.account.jurisdictions)
            _count(session, row, judged, now=now)
            _keep_claim(session, row, now + LONGEST_CALL + services.floor.claim)
        session.add(row)
        _log(session, services, row, at=now)
        return Connection(row.number, row.recorded) if row.state == CONNECTED else None


def hung_up(services: Services, reference: str, *, status: str, seconds: int, holder: bool, now: datetime) -> None:
    """An end of the line is down: the holder's (`holder`), which tells how the call went, or the collector's."""
    with services.ledger.write() as session:
        row = session.get(models.CallDial, reference, with_for_update=True)
        if row is None or row.state in (FAILED, REFUSED):
            return
        if holder:
            row.status, row.seconds = status, seconds
        if row.state != ENDED:
            row.reason = "" if row.connected_at else "the collector did not answer, or did not ask for the holder"
            row.state, row.ended_at = ENDED, now
            if row.connected_at:
                _keep_claim(session, row, now + services.floor.claim)
            _log(session, services, row, at=now)
        session.add(row)


def dials_of(session: Session, task: str) -> list[models.CallDial]:
    """A task's dials, the first one first."""
    query = select(models.CallDial).where(models.CallDial.task == task).order_by(col(models.CallDial.intended_wall))
    return list(session.exec(query).all())


def _intend(services: Services, account_id: str, *, by: str, agent_number: str, now: datetime) -> models.CallDial:
    with services.ledger.write() as session:
        lock_person(session, account_id)
        file = read_case_file(session, account_id, lock=True)
        task = open_task(session, account_id)
        if any(row.state in (INTENDED, *_ON_THE_LINE) for row in dials_of(session, task.key)):
            raise DialRefused(f"account {account_id} is being dialled already")
        judged, why = _may_dial(services, session, file, task, by, now=now)
        if judged is None or why:
            raise DialRefused(f"account {account_id} is not to be called now: {why}")
        number = session.exec(
            select(func.count()).select_from(models.CallDial).where(models.CallDial.task == task.key)
        ).one()
        row = models.CallDial(
            reference=step_reference(task.key, "dial", number),
            task=task.key,
            account_id=account_id,
            collector=by,
            agent_number=agent_number,
            number=task.number,
            state=INTENDED,
            verdict=recorded(judged.verdict, judged.proposal, judged.facts, services.rulebook.version, now),
            at=now,
            intended_wall=services.clock.wall(),
        )
        session.add(row)
        _log(session, services, row, at=now)
        return row


def _may_dial(
    services: Services, session: Session, file: CaseFile, task: models.CallTask, by: str, *, now: datetime
) -> tuple[Judged | None, str]:
    """What the gate says, and why not if not."""
    if why := stopped_why(session):
        return None, f"everything is stopped: {why}"
    held = claim_on(session, file.account.holder_id)
    if held is None or held.collector != by or held.task != task.key:
        return None, f"{by} does not have this person any more"
    today = local_date(now, file.zone)
    made = [d for d in dials_of(session, task.key) if d.connected_at and local_date(d.connected_at, file.zone) == today]
    if len(made) >= services.floor.attempts_per_day:
        return None, f"it was called {len(made)} times today, which is the floor's target (policies/floor.yaml)"
    judged = judge_call(services, session, file, task, now=now)
    return judged, "" if isinstance(judged.verdict, Allow) else in_words(judged.verdict, file.zone)


def _may_connect(
    services: Services, session: Session, file: CaseFile, row: models.CallDial, *, now: datetime
) -> tuple[Judged | None, str]:
    task = session.get_one(models.CallTask, row.task, with_for_update=True)
    if task.status != "open":
        return None, "the task has left the queue"
    try:
        return _may_dial(services, session, file, task, row.collector, now=now)
    except CallRefused as error:
        return None, str(error)


def _keep_claim(session: Session, row: models.CallDial, until: datetime) -> None:
    """Whoever is on the line keeps the person, however long it takes, and then has the usual time for the outcome."""
    held = claim_of(session, row.collector)
    if held is not None and held.task == row.task:
        held.until = until
        session.add(held)


def _count(session: Session, row: models.CallDial, judged: Judged, *, now: datetime) -> None:
    """The attempt that the queue counted is this call, and took place now; a second one counts by itself."""
    step = step_named(session, row.task)
    if step is not None and step.disposed_at is None:
        step.disposed_at = now
        session.add(step)
        return
    session.add(
        models.Contact(
            account_id=row.account_id,
            channel=ContactChannel.CALL,
            direction="outbound",
            at=now,
            number=row.number,
            actor=judged.proposal.actor,
            note="dialled again",
            recorded_by=row.collector,
            external_id=f"dial:{row.reference}",
        )
    )


def _settle_earlier(services: Services, dialler: TwilioDialler, account_id: str, *, now: datetime) -> None:
    """Whatever became of this task's earlier dials is known, or nothing rings."""
    with services.ledger.read() as session:
        rows = dials_of(session, open_task(session, account_id).key)
        known = set(session.exec(select(models.CallDial.sid).where(models.CallDial.sid != "")).all())
    for row in rows:
        if row.state in _ON_THE_LINE:
            if dialler.is_over(row.sid) is not True:
                raise DialRefused(f"account {account_id} is on the line since {iso(row.at)}")
            hung_up(services, row.reference, status="", seconds=0, holder=False, now=now)
        elif row.state == INTENDED:
            _reconcile(services, dialler, row, known, now=now)


def _reconcile(
    services: Services, dialler: TwilioDialler, row: models.CallDial, known: set[str], *, now: datetime
) -> None:
    """A dial cut short: asked about, never repeated."""
    finding = dialler.look_up(_ring(services, row), known)
    with services.ledger.write() as session:
        kept = session.get_one(models.CallDial, row.reference, with_for_update=True, populate_existing=True)
        if kept.state != INTENDED:
            return
        match finding:
            case Found(reference=sid):
                kept.state, kept.sid = RINGING, sid
            case Absent():
                kept.state, kept.reason, kept.ended_at = FAILED, "it never reached the provider", now
            case Unprovable(reason=reason):
                # Should it ring after all, nobody is connected: an unknown dial dials no holder.
                kept.state, kept.reason, kept.ended_at = UNKNOWN, reason, now
            case LookUpFailed():
                pass
        session.add(kept)
        _log(session, services, kept, at=now)
    if isinstance(finding, Found | LookUpFailed):
        why = finding.reason if isinstance(finding, LookUpFailed) else "it rings"
        raise DialRefused(f"account {row.account_id}: an earlier dial is not settled ({why}); try again in a minute")


def _ring(services: Services, row: models.CallDial) -> Ring:
    answered, over = (
        voice_link(services.settings, row.reference, what, wall=row.intended_wall) for what in ("answered", "over")
    )
    return Ring(row.agent_number, answered, over, row.intended_wall)


def _log(session: Session, services: Services, row: models.CallDial, *, at: datetime) -> None:
    data: dict[str, object] = {"dial": row.reference, "state": row.state, "task": row.task}
    wall = services.clock.wall()
    log_event(
        session, "dial", who=row.collector, at=at, wall=wall, account_id=row.account_id, why=row.reason, data=data
    )
