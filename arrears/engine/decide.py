"""What is next for a case: the one decision both drivers make.

`decide` is pure and total. It never looks at contact law (the gate does) but knows what the gate said
about planned steps, so that a deferred rung waits and a reviewed one stays with a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import assert_never

from arrears.engine.case import Case, Step
from arrears.engine.delinquency import at_local, days_later, local_date
from arrears.engine.ladder import (
    AfterDone,
    AnyOf,
    Approved,
    BalanceAtLeast,
    ContactsWithoutPayment,
    DaysPastDue,
    Ladder,
    Late,
    NotTimeBarred,
    Requirement,
    Returned,
    Rung,
    UnreachedCalls,
)
from arrears.engine.vocabulary import CaseStatus, ChannelName, Stage, StepStatus


@dataclass(frozen=True, slots=True)
class Perform:
    """Make this attempt now (if the gate agrees); it fell due at `due_at`."""

    rung: Rung
    attempt: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Skip:
    """Record that this attempt is passed over, and why; then decide again.

    `unreached`: because there is no way to reach the holder by it.
    """

    rung: Rung
    attempt: int
    due_at: datetime
    reason: str
    unreached: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`; None means that only an event or a person can move the case on."""

    until: datetime | None
    reason: str
    rung: str | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """The episode is over."""

    outcome: str


Decision = Perform | Skip | Wait | Close


@dataclass(slots=True)
class _Climb:
    """How far one rung has come: its open attempt if there is one, else the last settled.

    `repeated`: attempts that were not delivered and are made again, which do not use up the ladder's own.

    Mutable while `_climbs` gathers it, for speed; nobody changes it afterwards.
    """

    attempts: int = 0
    repeated: int = 0
    last: Step | None = None
    open: Step | None = None
    done_at: datetime | None = None
    ended: bool = False


_UNTOUCHED = _Climb()


@dataclass(frozen=True, slots=True)
class _Blocked:
    reason: str


@dataclass(frozen=True, slots=True)
class _Never:
    reason: str


_Readiness = datetime | _Blocked | _Never
_BY_NUMBER = (ChannelName.SMS, ChannelName.CALL)
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def decide(case: Case, ladder: Ladder, *, now: datetime) -> Decision:
    """The next thing to do for `case` on `ladder` at `now` (aware UTC)."""
    if case.status is CaseStatus.CLOSED:
        return Close(case.outcome)
    if case.amount_due.amount <= 0:
        return Close("paid" if case.balance.amount <= 0 else "cured")
    if case.status is CaseStatus.HALTED:
        return Wait(None, f"halted: {case.halted_why}")
    if case.suspension is not None:
        return Wait(case.suspension.until, f"held: {case.suspension.reason}")

    under_way = [step.rung for step in case.steps if step.status is StepStatus.INTENDED]
    if under_way:
        return Wait(None, f"{min(under_way)} is being carried out", min(under_way))

    climbs, last_contact = _climbs(case, ladder)
    dues = [_due_at(rung, climbs, case, ladder) for rung in ladder.rungs]
    stood_in = {step.rung for step in case.steps if (by := ladder.by_name.get(step.rung)) and by.stands_in_for}
    resumes = _resume(ladder, climbs, case, dues)
    theirs = _place_of_agency(ladder, climbs) if case.with_agency else 0
    spaced = last_contact + timedelta(hours=ladder.hours_between_contacts) if last_contact else _LONG_AGO

    best: tuple[datetime, datetime, int, str] | None = None
    blocked: tuple[str, str] | None = None
    today = local_date(now, case.zone)
    for place, rung in enumerate(ladder.rungs):
        climb = climbs.get(rung.name, _UNTOUCHED)
        if climb.ended:
            continue
        due = dues[place]
        if rung.stands_in_for and (due is None or stood_in - {rung.name}):
            continue  # the text reached the holder, or a letter has gone in the place of another text
        attempt = climb.open.attempt if climb.open else climb.attempts + 1
        if place < resumes and not climb.attempts and not rung.gives and not rung.stands_in_for:
            return Skip(rung, attempt, due or now, f"passed over for {ladder.terms.after_broken}: a promise was broken")
        if place < theirs and rung.channel.reaches_the_holder and not rung.gives:
            continue  # not skipped: if the account comes back, the rung's lateness decides
        if rung.until_dpd is not None and (today - case.due_date).days >= rung.until_dpd:
            if climb.attempts and not climb.open:
                continue
            return Skip(rung, attempt, due or now, f"its time ended at {rung.until_dpd} days past due")
        if not climb.open and (no_number := _no_number(rung, case)):
            if climb.attempts and not _is_made_again(climb):
                continue
            return Skip(rung, attempt, due or now, no_number, unreached=True)
        if due is None:
            blocked = blocked or (rung.name, _why_not_due(rung))
            continue
        if due <= now and (successor := _superseded_by(place, ladder, dues, now)) is not None:
            if rung.late is Late.ASK:
                if rung.name not in case.approvals:
                    blocked = blocked or (rung.name, f"{rung.name} is late; a person must approve it")
                    continue
            else:
                verb = "merged into" if rung.late is Late.MERGE else "passed over for"
                return Skip(rung, attempt, due, f"its moment passed; {verb} {successor}")
        if case.mail_returned and due <= now and rung.channel is ChannelName.LETTER:
            # Not skipped: it goes as soon as an address is known, unless a later one has taken its place by then.
            blocked = blocked or (rung.name, f"{rung.name} waits for an address: mail came back from the one we have")
            continue
        ready = _ready_at(rung, climb, climbs, case, now, due)
        if not isinstance(ready, datetime) and due > now:
            ready = due  # judged when it is due: by then the reason may be gone
        if isinstance(ready, _Never):
            return Skip(rung, attempt, due, ready.reason)
        if isinstance(ready, _Blocked):
            blocked = blocked or (rung.name, ready.reason)
            continue
        eligible = max(due, ready)
        if rung.channel.reaches_the_holder and spaced > eligible:
            eligible = spaced
        if climb.open and climb.open.not_before and climb.open.not_before > eligible:
            eligible = climb.open.not_before
        why = ""
        if case.turn is not None and rung.takes_turns:
            # At the preferred hour if that comes later on the day, so that a person's contacts keep their hour.
            turn = max(case.turn.at, at_local(local_date(case.turn.at, case.zone), rung.due.at, case.zone))
            if turn > max(eligible, now):
                eligible, why = turn, f": {case.turn.reason}"
        candidate = (max(eligible, now), due, place, why)
        if best is None or candidate < best:
            best = candidate

    if best is not None:
        eligible, due, place, why = best
        rung = ladder.rungs[place]
        climb = climbs.get(rung.name, _UNTOUCHED)
        if eligible <= now:
            return Perform(rung, climb.open.attempt if climb.open else climb.attempts + 1, due)
        # What stands still must not hide behind what only waits its turn.
        also = f"; {blocked[1]}" if blocked else ""
        return Wait(eligible, f"until {rung.name}{why}{also}", rung.name)
    if blocked is not None:
        return Wait(None, blocked[1], blocked[0])
    if _reached(climbs, ladder, Stage.LEGAL):
        return Close("referred")
    return Wait(None, f"with agency {case.with_agency}") if case.with_agency else Close("ladder exhausted")


def _climbs(case: Case, ladder: Ladder) -> tuple[dict[str, _Climb], datetime | None]:
    """Progress by rung, and the instant of the last contact with the holder."""
    climbs: dict[str, _Climb] = {}
    last_contact: datetime | None = None
    by_name = ladder.by_name
    for step in case.steps:
        status, at = step.status, step.at
        went_out = status is StepStatus.DONE or status is StepStatus.UNKNOWN
        if went_out and at and (last_contact is None or at > last_contact) and step.channel.reaches_the_holder:
            last_contact = at
        rung = by_name.get(step.rung)
        if rung is None:
            continue
        climb = climbs.get(step.rung)
        if climb is None:
            climb = climbs[step.rung] = _Climb()
        if status is StepStatus.PLANNED or status is StepStatus.INTENDED:
            climb.open = step
            climb.attempts = max(climb.attempts, step.attempt - 1)
            continue
        climb.open, climb.last = None, step
        climb.attempts = max(climb.attempts, step.attempt)
        if status is StepStatus.DONE:
            climb.done_at = at
            if rung.stands_in_for:
                climbs.setdefault(rung.stands_in_for, _Climb()).done_at = at
        elif step.again_at is not None:
            climb.repeated += 1
        if climb.attempts - climb.repeated >= rung.attempts.most or (
            step.disposition and step.disposition in rung.ends_on
        ):
            climb.ended = True
    return climbs, last_contact


def _no_number(rung: Rung, case: Case) -> str:
    """Why the rung has no number to go to; empty when it has one, or needs none."""
    if case.lost_contact and rung.channel in _BY_NUMBER:
        return "no number is known at which the holder can be reached"
    if case.untextable and rung.channel is ChannelName.SMS:
        return "no number is known at which the holder gets texts"
    return ""


def _is_made_again(climb: _Climb) -> bool:
    return climb.last is not None and climb.last.again_at is not None and not climb.ended


def _due_at(rung: Rung, climbs: dict[str, _Climb], case: Case, ladder: Ladder) -> datetime | None:
    """When the rung's next attempt falls due by the ladder; None while the rung it follows is not done.

    A letter that stands in for a text: when that has failed to reach the holder, but not before its own day.
    """
    if rung.stands_in_for:
        failed = climbs.get(rung.stands_in_for, _UNTOUCHED)
        if not failed.ended or failed.last is None or not failed.last.unreached or failed.last.at is None:
            return None
        due = _due_at(ladder.by_name[rung.stands_in_for], climbs, case, ladder)
        return max(due, failed.last.at) if due is not None else None
    climb = climbs.get(rung.name, _UNTOUCHED)
    if climb.last is not None and climb.last.again_at is not None and not climb.ended:
        return climb.last.again_at
    if climb.last is not None and climb.last.at is not None and climb.attempts and not climb.ended:
        return days_later(climb.last.at, rung.attempts.days_apart, rung.due.at, case.zone)
    if isinstance(rung.due, DaysPastDue):
        return at_local(case.due_date + timedelta(days=rung.due.days), rung.due.at, case.zone)
    before = climbs.get(rung.due.rung, _UNTOUCHED)
    if before.done_at is None:
        return None
    return days_later(before.done_at, rung.due.days, rung.due.at, case.zone)


def _resume(ladder: Ladder, climbs: dict[str, _Climb], case: Case, dues: list[datetime | None]) -> int:
    """The place of the rung to go on with after a broken promise, due at once; 0 when there is none."""
    if case.broken_at is None or not ladder.terms.after_broken:
        return 0
    rung = ladder.by_name[ladder.terms.after_broken]
    place = ladder.rungs.index(rung)
    if not climbs.get(rung.name, _UNTOUCHED).attempts:
        at_once = at_local(local_date(case.broken_at, case.zone), rung.due.at, case.zone)
        due = dues[place]
        dues[place] = min(due, at_once) if due is not None else at_once
    return place


def _place_of_agency(ladder: Ladder, climbs: dict[str, _Climb]) -> int:
    """The place of the last rung that handed the account to an agency, 0 if none did.

    What comes before it was for the time until then. Some of it can still be open: where two cases turn out to be one,
    the one that answers has climbed less than the one that was placed.
    """
    places = (
        p
        for p, rung in enumerate(ladder.rungs)
        if rung.channel is ChannelName.AGENCY and climbs.get(rung.name, _UNTOUCHED).done_at
    )
    return max(places, default=0)


def _why_not_due(rung: Rung) -> str:
    assert not isinstance(rung.due, DaysPastDue)
    return f"{rung.name} follows {rung.due.rung}, which is not done"


def _superseded_by(place: int, ladder: Ladder, dues: list[datetime | None], now: datetime) -> str | None:
    """The later rung that fits better by now, if the rung's lateness matters."""
    rung = ladder.rungs[place]
    if rung.late is Late.GO:
        return None
    successor = None
    for later, due in zip(ladder.rungs[place + 1 :], dues[place + 1 :], strict=True):
        if later.gives or later.stands_in_for:
            continue  # a statutory notice speaks for no other rung, nor does what stands in for one
        if due is not None and due <= now and (rung.late is not Late.MERGE or later.stage is rung.stage):
            successor = later.name
    return successor


def _ready_at(
    rung: Rung, climb: _Climb, climbs: dict[str, _Climb], case: Case, now: datetime, due: datetime
) -> _Readiness:
    """When everything the rung requires is there: an instant, or what stands in the way."""
    if climb.open and climb.open.needs_person and rung.name not in case.approvals:
        return _Blocked(f"{rung.name} needs a person: {climb.open.reason}")
    ready = _LONG_AGO
    court = rung.channel is ChannelName.LEGAL
    # Who is taken to court must not be time-barred, whatever a ladder leaves out.
    implied = (NotTimeBarred(),) if court and NotTimeBarred() not in rung.requires else ()
    lacks = f"it lacks {case.papers_lacking}" if court and case.papers_lacking and due <= now else ""
    for requirement in (*implied, *rung.requires):
        if due > now and not isinstance(requirement, AfterDone):
            continue  # of what is not due yet, only the dates matter
        answer = _answer(requirement, rung, climbs, case, now)
        if isinstance(answer, _Blocked) and lacks:
            return _Blocked(f"{answer.reason}; {lacks}")
        if not isinstance(answer, datetime):
            return answer
        ready = max(ready, answer)
    return _Blocked(f"{rung.name} must not leave yet: {lacks}") if lacks else ready


def _answer(requirement: Requirement, rung: Rung, climbs: dict[str, _Climb], case: Case, now: datetime) -> _Readiness:
    match requirement:
        case AfterDone(name, days):
            done_at = climbs.get(name, _UNTOUCHED).done_at
            if done_at is None:
                return _Blocked(f"{rung.name} needs {name}, which is not done")
            return days_later(done_at, days, rung.due.at, case.zone) if days else done_at
        case ContactsWithoutPayment(least):
            paid = case.last_payment_at or _LONG_AGO
            made = 0
            for step in case.steps:
                if step.status is StepStatus.DONE and step.channel.reaches_the_holder and (step.at or paid) > paid:
                    made += 1
            return _LONG_AGO if made >= least else _Blocked(f"{rung.name} needs {least} contacts without a payment")
        case UnreachedCalls(least):
            calls = [s for s in case.steps if s.channel is ChannelName.CALL and s.status is StepStatus.DONE]
            reached = any(s.disposition and s.disposition.reached_the_holder for s in calls)
            if case.lost_contact or (len(calls) >= least and not reached):
                return _LONG_AGO
            return _Blocked(f"{rung.name} needs {least} calls without reaching the holder")
        case BalanceAtLeast(least):
            floor = least.get(case.balance.currency)
            if floor is None or case.balance < floor:
                return _Never(f"the balance is below what {rung.name} is worth")
            return _LONG_AGO
        case NotTimeBarred():
            if case.limitation_ends is None:
                return _Blocked(f"{rung.name} needs a known limitation period")
            if local_date(now, case.zone) >= case.limitation_ends:
                return _Never(f"the claim is time-barred since {case.limitation_ends}")
            return _LONG_AGO
        case Returned(name):
            if name in case.returned:
                return _LONG_AGO
            return _Blocked(f"{rung.name} needs {name} to be over, which it is not")
        case Approved():
            if rung.name in case.approvals:
                return _LONG_AGO
            wanted = case.wanted_approvals.get(rung.name, "waits for a person's approval")
            return _Blocked(f"{rung.name} {wanted}")
        case AnyOf(options):
            answers = [_answer(option, rung, climbs, case, now) for option in options]
            instants = [answer for answer in answers if isinstance(answer, datetime)]
            if instants:
                return min(instants)
            reasons = " or ".join(a.reason for a in answers if not isinstance(a, datetime))
            return _Blocked(reasons)
        case _:
            assert_never(requirement)


def _reached(climbs: dict[str, _Climb], ladder: Ladder, stage: Stage) -> bool:
    return any(rung.stage is stage and climbs.get(rung.name, _UNTOUCHED).done_at for rung in ladder.rungs)
