"""Laws of `decide` that hold for every ladder, history and clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.case import Case, Step, Suspension
from arrears.engine.decide import Close, Perform, Skip, Wait, decide
from arrears.engine.delinquency import local_date
from arrears.engine.ladder import (
    AfterDone,
    Approved,
    Attempts,
    ContactsWithoutPayment,
    DaysAfter,
    DaysPastDue,
    Ladder,
    Late,
    Requirement,
    Rung,
)
from arrears.engine.vocabulary import CaseStatus, ChannelName, Disposition, Stage, StepStatus
from tests.builders import NOW, a_case, recorded, usd

ZONES = ("America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "")
STAGES = (Stage.SMS, Stage.CALL, Stage.LETTER, Stage.AGENCY, Stage.LEGAL)
WENT_OUT = (StepStatus.DONE, StepStatus.INTENDED, StepStatus.UNKNOWN)
clocks = st.times().map(lambda at: time(at.hour, at.minute))


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    stages = sorted(draw(st.lists(st.sampled_from(STAGES), min_size=1, max_size=6)), key=lambda stage: stage.height)
    rungs: list[Rung] = []
    for number, stage in enumerate(stages):
        earlier = [rung.name for rung in rungs]
        due = DaysPastDue(draw(st.integers(0, 60)), draw(clocks))
        requires: list[Requirement] = []
        if earlier and draw(st.booleans()):
            due = DaysAfter(draw(st.sampled_from(earlier)), draw(st.integers(0, 20)), draw(clocks))
        if earlier and draw(st.booleans()):
            requires.append(AfterDone(draw(st.sampled_from(earlier)), draw(st.integers(0, 20))))
        if draw(st.integers(0, 4)) == 0:
            requires.append(draw(st.sampled_from([Approved(), ContactsWithoutPayment(2)])))
        rungs.append(
            Rung(
                name=f"rung-{number}",
                stage=stage,
                channel=ChannelName(stage.value),
                template="t",
                due=due,
                late=draw(st.sampled_from(Late)),
                attempts=Attempts(draw(st.integers(1, 4)), draw(st.integers(1, 9))),
                until_dpd=draw(st.none() | st.integers(1, 90)),
                ends_on=draw(st.frozensets(st.sampled_from(Disposition), max_size=2)),
                requires=tuple(requires),
            )
        )
    return Ladder("random", 1, draw(st.integers(0, 72)), tuple(rungs))


@st.composite
def cases(draw: st.DrawFn, ladder: Ladder) -> tuple[Case, datetime]:
    """A case with any history that could have come about by `now`, and that `now`."""
    now = NOW + timedelta(minutes=draw(st.integers(-300 * 1440, 300 * 1440)))
    ago = st.integers(0, 100 * 1440).map(lambda minutes: now - timedelta(minutes=minutes))
    steps: list[Step] = []
    for rung in draw(st.lists(st.sampled_from(ladder.rungs), unique=True)):
        made = draw(st.integers(1, rung.attempts.most))
        for attempt, at in enumerate(sorted(draw(st.lists(ago, min_size=made, max_size=made))), start=1):
            settled = [status for status in StepStatus if status.settled]
            status = draw(st.sampled_from(StepStatus if attempt == made else settled))
            planned = status is StepStatus.PLANNED
            steps.append(
                Step(
                    rung.name,
                    attempt,
                    rung.channel,
                    status,
                    at=None if planned else at,
                    not_before=now + timedelta(minutes=draw(st.integers(-1440, 9000))) if planned else None,
                    needs_person=planned and draw(st.booleans()),
                    disposition=draw(st.none() | st.sampled_from(Disposition)) if rung.stage is Stage.CALL else None,
                )
            )
    case = a_case(
        *steps,
        dpd=0,
        zone=draw(st.sampled_from(ZONES)),
        status=draw(st.sampled_from(CaseStatus)) if draw(st.integers(0, 5)) == 0 else CaseStatus.DELINQUENT,
        approvals=draw(st.frozensets(st.sampled_from([rung.name for rung in ladder.rungs]))),
        suspension=Suspension("held", now + timedelta(days=1)) if draw(st.integers(0, 9)) == 0 else None,
        limitation_ends=draw(st.none() | st.just(date(2027, 3, 1))),
    )
    return replace(case, due_date=now.date() - timedelta(days=draw(st.integers(-10, 120)))), now


situations = ladders().flatmap(lambda ladder: st.tuples(st.just(ladder), cases(ladder)))


@given(situations)
def test_every_situation_has_an_answer_and_waiting_always_points_forward(
    situation: tuple[Ladder, tuple[Case, datetime]],
):
    ladder, (case, now) = situation
    match decide(case, ladder, now=now):
        case Wait(until, reason, _):
            assert until is None or until > now
            assert reason
        case Perform(rung, attempt, due_at):
            assert due_at <= now
            assert 1 <= attempt <= rung.attempts.most
        case Skip(_, attempt, _, reason):
            assert attempt >= 1
            assert reason
        case Close(outcome):
            assert outcome or case.status is CaseStatus.CLOSED


@given(situations)
def test_no_contact_comes_too_soon_after_another(situation: tuple[Ladder, tuple[Case, datetime]]):
    ladder, (case, now) = situation
    decision = decide(case, ladder, now=now)
    if isinstance(decision, Perform) and decision.rung.channel.reaches_the_holder:
        distance = timedelta(hours=ladder.hours_between_contacts)
        contacts = [s.at for s in case.steps if s.status in WENT_OUT and s.at and s.channel.reaches_the_holder]
        assert all(at + distance <= now for at in contacts)


@given(situations)
def test_nothing_is_made_that_stands_still_or_is_over(situation: tuple[Ladder, tuple[Case, datetime]]):
    ladder, (case, now) = situation
    decision = decide(case, ladder, now=now)
    if isinstance(decision, Perform | Skip):
        assert case.status not in (CaseStatus.CLOSED, CaseStatus.HALTED)
        assert case.suspension is None
    if isinstance(decision, Perform):
        rung = decision.rung
        assert rung.until_dpd is None or (local_date(now, case.zone) - case.due_date).days < rung.until_dpd
        done = {step.rung for step in case.steps if step.status is StepStatus.DONE}
        assert all(need.rung in done for need in rung.requires if isinstance(need, AfterDone))
        settled = [s for s in case.steps if s.rung == rung.name and s.status.settled]
        assert decision.attempt not in [step.attempt for step in settled]
        assert not any(step.disposition in rung.ends_on for step in settled)


@given(situations)
def test_the_answer_does_not_depend_on_the_order_in_which_rungs_were_recorded(
    situation: tuple[Ladder, tuple[Case, datetime]],
):
    ladder, (case, now) = situation
    by_attempt = sorted(case.steps, key=lambda step: (step.attempt, step.rung))
    assert decide(replace(case, steps=tuple(by_attempt)), ladder, now=now) == decide(case, ladder, now=now)


@given(situations, st.lists(st.sampled_from([StepStatus.DONE, StepStatus.FAILED, StepStatus.UNKNOWN]), min_size=1))
def test_following_the_decisions_always_comes_to_an_end(
    situation: tuple[Ladder, tuple[Case, datetime]], outcomes: list[StepStatus]
):
    ladder, (case, now) = situation
    case = replace(case, suspension=None)
    bound = 3 * sum(rung.attempts.most for rung in ladder.rungs) + 10
    waits = 0
    for turn in range(10 * bound):
        decision = decide(case, ladder, now=now)
        match decision:
            case Perform(rung, attempt, _):
                status = outcomes[turn % len(outcomes)]
                case = recorded(case, Step(rung.name, attempt, rung.channel, status, at=now))
            case Skip(rung, attempt, _, _):
                case = recorded(case, Step(rung.name, attempt, rung.channel, StepStatus.SKIPPED, at=now))
            case Wait(None, _, _) | Close():
                return
            case Wait(until, _, _):
                now = until
                waits += 1
                assert waits <= bound
    raise AssertionError("no end")


@given(situations)
def test_a_paid_case_always_closes(situation: tuple[Ladder, tuple[Case, datetime]]):
    ladder, (case, now) = situation
    paid = replace(case, amount_due=usd("0.00"), balance=usd("0.00"))
    assert isinstance(decide(paid, ladder, now=now), Close)
