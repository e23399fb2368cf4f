"""Who calls whom: one collector to a person at a time, as long as a claim lasts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

import models
from arrears.clock import iso
from arrears.engine.contact.facts import ContactChannel, Facts, PastContact, Proposal
from arrears.engine.contact.gate import gate
from arrears.engine.contact.verdict import Allow, Defer, Deny, Review, Verdict
from arrears.ledger.cases import CaseFile, lock_person, read_case_file, step_named
from arrears.ledger.events import log_event
from arrears.operations.call_claims import claim_of, claim_on, end_claim
from arrears.operations.calls import CallRefused
from arrears.operations.day_list import Listed, day_list, in_turn
from arrears.operations.explain import local_time
from arrears.operations.facts import gate_facts, ladder_of, proposal_of
from arrears.operations.services import Services


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task that a collector has. `new` is False when they had it before they asked."""

    claim: models.CallClaim
    task: models.CallTask
    listed: Listed | None
    new: bool


@dataclass(frozen=True, slots=True)
class NothingToCall:
    """No task may be worked now. `looked_at`: how many were judged; `first`: when the first of them may be."""

    looked_at: int
    first: datetime | None


@dataclass(frozen=True, slots=True)
class Judged:
    """What the gate says about a call of this task, and what it was told."""

    verdict: Verdict
    proposal: Proposal
    facts: Facts


def next_call(services: Services, *, by: str, now: datetime) -> Claimed | NothingToCall:
    """The best task that the law lets `by` call now, theirs until the claim ends; the one they have, if they have one.

    Raises CallRefused without a name.
    """
    name = named(by)
    with services.ledger.write() as session:
        _end_abandoned(session, services, now=now)
        mine = claim_of(session, name)
        if mine is not None:
            return Claimed(mine, session.get_one(models.CallTask, mine.task), None, new=False)
    looked_at, first = 0, None
    for one in in_turn(day_list(services, now=now), name):
        if one.claimed_by or one.worked_today >= services.floor.attempts_per_day:
            continue
        looked_at += 1
        got = _try(services, one, name, now=now)
        if isinstance(got, Claimed):
            return got
        if got is not None and (first is None or got < first):
            first = got
    return NothingToCall(looked_at, first)


def claim(services: Services, account_id: str, *, by: str, now: datetime) -> Claimed:
    """The account's open task for `by`. Raises UnknownAccount, and CallRefused when it may not be worked now."""
    name = named(by)
    # By itself: whoever records an outcome locks the person first and their claim then.
    with services.ledger.write() as session:
        _end_abandoned(session, services, now=now)
    try:
        return _take(services, account_id, name, now=now)
    except IntegrityError:
        raise CallRefused(f"{name} has just been given another person: ask again") from None


def _take(services: Services, account_id: str, name: str, *, now: datetime) -> Claimed:
    with services.ledger.write() as session:
        lock_person(session, account_id)
        file = read_case_file(session, account_id, lock=True)
        mine, theirs = claim_of(session, name), claim_on(session, file.account.holder_id)
        if theirs is not None and theirs.collector != name:
            raise CallRefused(f"{theirs.collector} is calling this person until {iso(theirs.until)}")
        if mine is not None:
            if mine.account_id == account_id:
                return Claimed(mine, session.get_one(models.CallTask, mine.task), None, new=False)
            raise CallRefused(f"{name} still has account {mine.account_id}: record its outcome, or release it")
        task = open_task(session, account_id)
        judged = judge_call(services, session, file, task, now=now)
        if not isinstance(judged.verdict, Allow):
            raise CallRefused(f"account {account_id} may not be called now: {in_words(judged.verdict, file.zone)}")
        return Claimed(_claim(session, services, file, task, name, now=now), task, None, new=True)


def release_claim(services: Services, account_id: str, *, by: str, why: str, now: datetime) -> None:
    """The task goes back to the queue as it was. Raises CallRefused when `by` does not have it."""
    name = named(by)
    with services.ledger.write() as session:
        mine = claim_of(session, name)
        if mine is None or mine.account_id != account_id:
            raise CallRefused(f"{name} does not have account {account_id}")
        end_claim(session, mine, "released", at=now)
        _log(session, services, "released", mine, at=now, why=why)


def judge_call(services: Services, session: Session, file: CaseFile, task: models.CallTask, *, now: datetime) -> Judged:
    """The gate on calling the holder now, with the person's counters locked until the commit.

    The attempt that the queue has counted is this very call: it does not stand in its own way.
    """
    ladder = ladder_of(services, session, file, now=now)
    rung = ladder.by_name.get(task.rung)
    if rung is None:
        raise CallRefused(f"the ladder of account {task.account_id} has no rung {task.rung!r} any more")
    if file.number != task.number:
        raise CallRefused(f"the number in the task of account {task.account_id} is not to be used any more")
    facts = gate_facts(services, session, file, ladder, rung, now=now)
    own = step_named(session, task.key)
    if own is not None and own.disposed_at is None:
        facts = replace(facts, history=_without(facts, own))
    proposal = replace(proposal_of(file, rung), number=task.number)
    return Judged(gate(proposal, services.rulebook, facts, now=now), proposal, facts)


def open_task(session: Session, account_id: str) -> models.CallTask:
    """The account's open task, locked. Raises CallRefused."""
    task = session.exec(
        select(models.CallTask)
        .where(models.CallTask.account_id == account_id, models.CallTask.status == "open")
        .order_by(col(models.CallTask.created_at).desc())
        .with_for_update()
    ).first()
    if task is None:
        raise CallRefused(f"account {account_id} has no open call task")
    return task


def named(by: str) -> str:
    """A collector's name without needless blanks. Raises CallRefused when there is none."""
    name = " ".join(by.split())
    if not name:
        raise CallRefused("the collector's name is needed")
    return name


def _try(services: Services, one: Listed, name: str, *, now: datetime) -> Claimed | datetime | None:
    """Claim the task, or say when it may be called; None when it is another's, or never."""
    try:
        with services.ledger.write() as session:
            lock_person(session, one.task.account_id)
            file = read_case_file(session, one.task.account_id, lock=True)
            task = session.get(models.CallTask, one.task.key, with_for_update=True)
            if task is None or task.status != "open" or claim_on(session, one.holder_id) is not None:
                return None
            try:
                verdict = judge_call(services, session, file, task, now=now).verdict
            except CallRefused:
                return None
            if not isinstance(verdict, Allow):
                return getattr(verdict, "until", None)
            return Claimed(_claim(session, services, file, task, name, now=now), task, one, new=True)
    except IntegrityError:
        # Somebody else was quicker: the ledger knows one claim a person, and one a collector.
        return None


def _claim(
    session: Session, services: Services, file: CaseFile, task: models.CallTask, name: str, *, now: datetime
) -> models.CallClaim:
    row = models.CallClaim(
        task=task.key,
        account_id=task.account_id,
        holder_id=file.account.holder_id,
        collector=name,
        began_at=now,
        until=now + services.floor.claim,
    )
    session.add(row)
    session.flush()
    _log(session, services, "claimed", row, at=now)
    return row


def _end_abandoned(session: Session, services: Services, *, now: datetime) -> None:
    over = (
        select(models.CallClaim)
        .where(col(models.CallClaim.ended_at).is_(None), col(models.CallClaim.until) <= now)
        .order_by(col(models.CallClaim.id))
        .with_for_update()
    )
    for row in session.exec(over).all():
        end_claim(session, row, "abandoned", at=now)
        _log(session, services, "abandoned", row, at=now)
    session.flush()


def _without(facts: Facts, own: models.Step) -> tuple[PastContact, ...]:
    """The history less the attempt of `own`, and what is told about other accounts within it."""

    def is_own(contact: PastContact) -> bool:
        return (
            contact.channel is ContactChannel.CALL
            and contact.at == own.at
            and contact.outbound
            and (contact.carried or contact.debt == own.account_id)
        )

    return tuple(contact for contact in facts.history if not is_own(contact))


def in_words(verdict: Verdict, zone: str) -> str:
    """Why not, by which rules, and until when."""
    match verdict:
        case Allow():
            return "it may be called"
        case Defer(until=until, rules=rules, reason=reason):
            return f"{reason}, until {local_time(until, zone)} ({', '.join(rules)})"
        case Deny(rules=rules, reason=reason) | Review(rules=rules, reason=reason):
            return f"{reason} ({', '.join(rules)})"


def _log(
    session: Session, services: Services, what: str, row: models.CallClaim, *, at: datetime, why: str = ""
) -> None:
    data: dict[str, object] = {"task": row.task, "how": what}
    wall = services.clock.wall()
    log_event(session, "claim", who=row.collector, at=at, wall=wall, account_id=row.account_id, why=why, data=data)
