"""The second half of the checkpoint: the effect, its outcome, and the look-up after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from sqlalchemy import exists
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, or_, select

import models
from arrears.channels.effect import (
    Absent,
    Bulk,
    Declined,
    Done,
    Finding,
    Found,
    InDoubt,
    Intent,
    LookUpFailed,
    Outcome,
    Refused,
    TryAgain,
    Unprovable,
)
from arrears.engine.contact.facts import Proposal, contact_channel
from arrears.engine.contact.holds import blocking_holds
from arrears.engine.vocabulary import CaseStatus, ChannelName, StepStatus
from arrears.ledger.ahead import forget, is_reported
from arrears.ledger.among import among
from arrears.ledger.cases import CaseFile, file_of, lock_person, read_case_file
from arrears.ledger.events import log_event
from arrears.operations.backoff import backoff
from arrears.operations.brakes import stopped_why
from arrears.operations.close import drop_calls_if_paid
from arrears.operations.deliveries import gone_after_all, heed, note, proof_of
from arrears.operations.recall import hand_on_placements, recall_what_is_due
from arrears.operations.services import Services
from arrears.operations.standstill import standstill
from arrears.operations.told import CARRIES, settle_told
from arrears.operations.undelivered import follow, is_a_code
from arrears.operations.wake import raise_stage

_LONGEST_BACKOFF = timedelta(hours=1)
# Of a lease, what must be left of it for an effect to be begun.
_MARGIN = 0.1
_FIRST_BACKOFF = timedelta(seconds=2)


def carry_out(services: Services, intent: Intent, channel: ChannelName, *, who: str) -> StepStatus:
    """Make the effect of an intent that is ours, unless it is no longer wanted, and commit the outcome.

    Nothing is done if it stopped being ours: whoever slept through its lease may find others at it.
    """
    result = attempt(services, intent, channel)
    return result if isinstance(result, StepStatus) else settle(services, intent, channel, result, who=who)


# What came of the last look before an effect: `Found`, where the provider has reported it already.
Before = TryAgain | Found | StepStatus


def attempt(services: Services, intent: Intent, channel: ChannelName) -> Outcome | Found | StepStatus:
    """Make the effect of an intent that is ours, unless it is no longer wanted; the step's status if it is not ours."""
    # Waited for before the last look, so that nothing that arrives meanwhile is missed, nor the lease outlived.
    if late := _out_of_turn(services, intent):
        return late
    [before] = _last_look(services, [intent])
    return services.channels[channel].perform(_as_of_now(services, intent)) if before is None else before


def attempt_all(services: Services, intents: Sequence[Intent], channel: Bulk) -> list[Outcome | Found | StepStatus]:
    """`attempt` for many intents of a channel that makes many effects as one, after one last look for all."""
    before = _last_look(services, intents)
    wanted = [intent for intent, why in zip(intents, before, strict=True) if why is None]
    made = iter(channel.perform_all(wanted) if wanted else ())
    return [next(made) if why is None else why for why in before]


def _out_of_turn(services: Services, intent: Intent) -> TryAgain | None:
    """Wait until the text's sender may send it; why it goes later, when that takes too long.

    Never longer than half of a lease, nor than until the intent's own is nearly over: a turn taken then would be lost.
    """
    sender = intent.payload.get("from")
    if not sender:
        return None
    half = timedelta(seconds=services.settings.lease_seconds / 2)
    left = intent.lease_until - services.clock.wall() - _margin(services) if intent.lease_until else half
    # Too late for any turn: the last look says whose it is.
    if left <= timedelta(0) or services.pace.wait(sender, at_most=min(half, left)):
        return None
    return TryAgain("its sender may not send more texts just now", after=half)


def _margin(services: Services) -> timedelta:
    """So that what is asked of a provider reaches it within the lease, or not long after."""
    return timedelta(seconds=services.settings.lease_seconds * _MARGIN)


def _hours_left(services: Services, intent: Intent) -> int | None:
    """For how many seconds more a text may be queued at its provider; None for what no hours bind.

    By the time that the provider counts in, from the intent on: that is when the hours of contact were asked for.
    """
    validity = intent.payload.get("validity_seconds")
    if validity is None:
        return None
    return validity - max(0, round((services.clock.wall() - intent.wall).total_seconds()))


def _as_of_now(services: Services, intent: Intent) -> Intent:
    """The intent as its channel is to carry it out: what has passed of the hours that a text had is gone."""
    left = _hours_left(services, intent)
    if left is None:
        return intent
    return replace(intent, payload={**intent.payload, "validity_seconds": max(1, left)})


def reconcile(services: Services, intent: Intent, channel: ChannelName, *, who: str) -> StepStatus:
    """Find out what became of an intent that was cut short, and commit that. Nothing is repeated here."""
    return settle(services, intent, channel, look_up(services, intent, channel), who=who)


def look_up(services: Services, intent: Intent, channel: ChannelName) -> Finding:
    """What the evidence says of an intent that was cut short."""
    with services.ledger.read() as session:
        sid = proof_of(session, intent.reference)
    # The provider's own report settles it sooner than its list, and does not depend on its being reachable.
    return Found(sid) if sid else services.channels[channel].look_up(intent)


# Life events after which a case may stand still though something is due.
_MAY_PAUSE = ("promise", "plan", "charge", "returned_mail")
# What can withdraw an intent, in one small query: it is asked before every effect.
_STANDING = (
    select_columns(
        col(models.Step.reference),
        col(models.Step.status),
        col(models.Step.owner),
        col(models.Step.lease_until),
        col(models.Step.channel),
        col(models.Step.verdict)["purpose"].as_string(),
        col(models.Case.status),
        col(models.Account.amount_due),
        or_(
            exists().where(
                or_(
                    col(models.Hold.holder_id) == col(models.Account.holder_id),
                    (col(models.Hold.number) == col(models.Step.number)) & (col(models.Step.number) != ""),
                ),
                col(models.Hold.released_at).is_(None),
            ),
            exists().where(
                col(models.LifeEvent.account_id) == col(models.Step.account_id),
                col(models.LifeEvent.kind).in_(_MAY_PAUSE),
            ),
        ),
        col(models.Delivery.sid),
    )
    .join(models.Case, col(models.Case.id) == col(models.Step.case_id))
    .join(models.Account, col(models.Account.id) == col(models.Step.account_id))
    .outerjoin(models.Delivery, col(models.Delivery.reference) == col(models.Step.reference))
)


@dataclass(frozen=True, slots=True)
class _Standing:
    """An intent as it is just before its effect."""

    reference: str
    status: str
    owner: str
    lease_until: datetime | None
    channel: str
    purpose: str | None
    case_status: str
    amount_due: int
    may_stand_still: bool
    sid: str | None


def _standing(session: Session, intents: Sequence[Intent]) -> list[_Standing]:
    references = [intent.reference for intent in intents]
    rows = session.connection().execute(_STANDING.where(among(session, col(models.Step.reference), references)))
    by_reference = {row[0]: _Standing(*row) for row in rows}
    return [by_reference[intent.reference] for intent in intents]


def _last_look(services: Services, intents: Sequence[Intent]) -> list[Before | None]:
    """What arrived since each intent and stops it: a payment, a hold, a halt, the kill switch, or that it went already.

    The step's status when the intent is not ours any more. Where its lease ran out it may be anybody's in a moment, so
    it is put back; that is ours to say as long as nobody has taken it.
    """
    with services.ledger.read() as session:
        stopped = stopped_why(session)
        rows = zip(intents, _standing(session, intents), strict=True)
        return [
            _withdrawn(services, session, intent, step)
            or (TryAgain(f"stopped before it went out: {stopped}", after=timedelta(0)) if stopped else None)
            for intent, step in rows
        ]


def _withdrawn(services: Services, session: Session, intent: Intent, step: _Standing) -> Before | None:
    if step.status != StepStatus.INTENDED or step.owner != intent.claim:
        return StepStatus(step.status)
    if step.sid:
        return Found(step.sid)
    if step.lease_until is None or step.lease_until <= services.clock.wall() + _margin(services):
        return TryAgain("its lease ran out before its turn came", after=timedelta(0))
    left = _hours_left(services, intent)
    if left is not None and left <= 0:
        return TryAgain("the hours of contact ended before its turn came", after=timedelta(0))
    # Put back, not declined: what is decided next leaves it out for as long as this holds, and no longer.
    if step.amount_due <= 0:
        return TryAgain("paid before it went out", after=timedelta(0))
    if step.case_status in (CaseStatus.HALTED, CaseStatus.CLOSED):
        return TryAgain(f"case {step.case_status} before it went out", after=timedelta(0))
    channel, purpose, now = ChannelName(step.channel), step.purpose or "", services.clock.now()
    if step.may_stand_still:
        file = read_case_file(session, intent.account_id)
        held = standstill(services, file, now=now)
        if held is not None:
            return TryAgain(f"held before it went out: {held.reason}", after=timedelta(0))
        if channel is ChannelName.LETTER and file.mail_returned:
            return TryAgain("mail came back from this address before it went out", after=timedelta(0))
        proposal = Proposal(contact_channel(channel), file.actor, purpose)
        if blocking_holds(proposal, services.rulebook, file.facts(), now=now):
            return TryAgain("the holder closed this channel before it went out", after=timedelta(0))
    for other in intent.payload.get(CARRIES, ()):
        if _must_not_be_told(services, session, other, channel=channel, purpose=purpose):
            return TryAgain(f"{other} is not to be told about any more", after=timedelta(0))
    return None


def _must_not_be_told(
    services: Services, session: Session, account_id: str, *, channel: ChannelName, purpose: str
) -> bool:
    """Whether what arrived since the intent stands in the way of telling about another account along with it."""
    file = read_case_file(session, account_id)
    now = services.clock.now()
    if file.account.amount_due <= 0 or file.case.status in (CaseStatus.HALTED, CaseStatus.CLOSED):
        return True
    proposal = Proposal(contact_channel(channel), file.actor, purpose)
    held = blocking_holds(proposal, services.rulebook, file.facts(), now=now)
    return bool(held) or standstill(services, file, now=now) is not None


def settle(
    services: Services, intent: Intent, channel: ChannelName, result: Outcome | Finding, *, who: str
) -> StepStatus:
    """Commit what is known about an intent. Nothing changes if it stopped being ours."""
    with services.ledger.write() as session:
        return settle_in(services, session, intent, channel, result, who=who)


def settle_in(
    services: Services, session: Session, intent: Intent, channel: ChannelName, result: Outcome | Finding, *, who: str
) -> StepStatus:
    """`settle` in the caller's transaction."""
    now, wall = services.clock.now(), services.clock.wall()
    doubt = timedelta(seconds=services.settings.doubt_seconds)
    # What becomes of a text may concern all that the person has.
    if intent.payload.get(CARRIES) or channel is ChannelName.SMS:
        lock_person(session, intent.account_id)
    file = read_case_file(session, intent.account_id, lock=True)
    step = file.step_known_as(intent.reference)
    is_newest = step is not None
    if step is None:
        # Of a case that has closed since, and another has been opened.
        file, step = _file_before(session, file, intent)
    if step.status != StepStatus.INTENDED or step.owner != intent.claim:
        _keep_what_is_known(services, session, step, result, who=who, at=now, wall=wall)
        return StepStatus(step.status)
    if isinstance(result, Absent) and (sid := proof_of(session, intent.reference)):
        # It was reported while the list was being asked.
        result = Found(sid)
    file.case.retry_at = None
    data = {"rung": step.rung, "attempt": step.attempt, "reference": step.reference}
    why = ""
    match result:
        case Done(proof, _) | Found(proof, _):
            step.status, step.proof = StepStatus.DONE, proof
            raise_stage(file.case, step)
            _keep(session, intent, step)
            if is_newest:
                # The payment that closed the case may have come while a call was being queued.
                drop_calls_if_paid(session, file, who=who, at=now, wall=wall)
            elif channel is ChannelName.AGENCY:
                _look_after_placement(services, session, file, at=now, who=who)
            data["proof"] = proof
            why = "found after an interruption" if isinstance(result, Found) else ""
        case Refused(code, reason):
            step.status, step.reason = StepStatus.FAILED, f"{code}: {reason}"
            why = step.reason
        case Declined(code, reason):
            step.status, step.reason = StepStatus.SKIPPED, f"{code}: {reason}"
            why = step.reason
        case Absent():
            step.status, step.reason = StepStatus.PLANNED, "interrupted; proved not to have happened"
            why = step.reason
        case TryAgain(reason, after):
            step.status, step.reason = StepStatus.PLANNED, reason
            step.tries += 1
            # What is put back again is not decided anew in the same breath: that could go on for ever.
            pause = _pause(step.tries) if after is None or (not after and step.tries > 1) else after
            # A provider that asks for days is asked again before.
            file.case.retry_at = wall + min(pause, _LONGEST_BACKOFF)
            file.case.next_reason, file.case.next_rung = reason, step.rung
            why = reason
        case InDoubt(reason):
            step.reason, step.owner = reason, ""
            step.lease_until = wall + doubt
            why = reason
        case LookUpFailed(reason):
            step.tries += 1
            step.reason, step.owner = reason, ""
            # Whoever asks next may take it that nobody has been at it for as long as the provider takes.
            step.lease_until = wall + max(_pause(step.tries), doubt)
            why = reason
        case Unprovable(reason):
            step.status, step.reason, step.needs_person = StepStatus.UNKNOWN, reason, True
            why = reason
        case _:
            assert_never(result)
    if step.status == StepStatus.PLANNED and step.verdict.get("answers"):
        # What answers the holder's own message is sent at once or not at all.
        step.status, step.at, why = StepStatus.SKIPPED, now, step.reason
        file.case.retry_at, file.case.next_rung = None, None
    retry_at = file.case.retry_at
    if step.status == StepStatus.PLANNED:
        step.at = None
        if file.case.status == CaseStatus.CLOSED:
            step.status, step.at, step.reason = StepStatus.SKIPPED, now, f"case closed: {file.case.outcome}"
            file.case.retry_at, file.case.next_rung = None, None
            file.case.next_reason = why = step.reason
    what = _event_name(StepStatus(step.status), result)
    log_event(session, what, who=who, at=now, wall=wall, case=file.case, why=why, data=data)
    settle_told(session, step, retry_at=retry_at, who=who, at=now, wall=wall)
    if channel is ChannelName.SMS:
        _what_became(services, session, file, step, result, who=who)
    return StepStatus(step.status)


def _file_before(session: Session, newest: CaseFile, intent: Intent) -> tuple[CaseFile, models.Step]:
    """An earlier case of the account, as it is, and the intent's step in it."""
    forget(session, newest.account.holder_id)
    step = session.exec(select(models.Step).where(models.Step.reference == intent.reference)).one()
    file = file_of(session, newest.account, session.get_one(models.Case, step.case_id))
    found = file.step_known_as(intent.reference)
    assert found is not None
    return file, found


def _look_after_placement(services: Services, session: Session, file: CaseFile, *, at: datetime, who: str) -> None:
    """Nobody looks at an earlier case again: what an agency has by it goes on in the newest, or is called back."""
    session.flush()
    if file.case.outcome == "merged":
        newest = read_case_file(session, file.account.id, lock=True).case
        hand_on_placements(services, session, file, newest)
        file = file_of(session, file.account, newest)
    recall_what_is_due(services, session, file, at=at, who=who)


def _keep_what_is_known(
    services: Services,
    session: Session,
    step: models.Step,
    result: Outcome | Finding,
    *,
    who: str,
    at: datetime,
    wall: datetime,
) -> None:
    """That a text went out is never forgotten, though somebody else has its step.

    Their look-up finds it; where it was put back, it is done after all.
    """
    if isinstance(result, Done | Found) and ChannelName(step.channel) is ChannelName.SMS:
        note(services, session, step, sid=result.reference, **_told(result), wall=wall)
        gone_after_all(session, step, result.reference, who=who, at=at, wall=wall)


def _told(result: Done | Found) -> dict[str, str]:
    detail = result.detail
    return {"status": str(detail.get("status") or "queued"), "error_code": str(detail.get("error_code") or "")}


def _what_became(
    services: Services, session: Session, file: CaseFile, step: models.Step, result: Outcome | Finding, *, who: str
) -> None:
    """What the provider said of a text, now or in a report that came before: its failure has consequences."""
    now, wall = services.clock.now(), services.clock.wall()
    match result:
        case Done(sid, detail) | Found(sid, detail):
            if "status" in detail:
                note(services, session, step, sid=sid, **_told(result), wall=wall)
                heed(services, session, step, who=who, at=now, wall=wall)
            elif is_reported(session, step.account_id, step.reference):
                heed(services, session, step, who=who, at=now, wall=wall)
        case Refused(code) | Declined(code) if is_a_code(code):
            follow(services, session, file, step, code=code, who=who, at=now, wall=wall)
        case _:
            pass


def _event_name(status: StepStatus, result: Outcome | Finding) -> str:
    if isinstance(result, InDoubt | LookUpFailed):
        return "in doubt"
    return "put back" if status is StepStatus.PLANNED else str(status)


def _keep(session: Session, intent: Intent, step: models.Step) -> None:
    """The row that stands for a file: letters and referrals are found by theirs."""
    payload = intent.payload
    match ChannelName(step.channel):
        case ChannelName.LETTER:
            session.add(
                models.Letter(
                    reference=intent.reference,
                    account_id=intent.account_id,
                    case_id=step.case_id,
                    template=payload["template"],
                    locale=payload["locale"],
                    path=payload["path"],
                    sha256=payload["sha256"],
                    at=intent.at,
                )
            )
        case ChannelName.LEGAL:
            session.add(
                models.Referral(
                    reference=intent.reference,
                    account_id=intent.account_id,
                    case_id=step.case_id,
                    path=payload["path"],
                    sha256=payload["sha256"],
                    approved_by=payload["approved_by"],
                    firm=payload["pack"]["facts"]["firm"],
                    at=intent.at,
                )
            )
        case ChannelName.SMS | ChannelName.CALL | ChannelName.AGENCY:
            pass


def _pause(tries: int) -> timedelta:
    return backoff(tries, first=_FIRST_BACKOFF, longest=_LONGEST_BACKOFF)
