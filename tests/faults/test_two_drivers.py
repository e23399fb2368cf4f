"""Two drivers at once, and what arrives in the gaps of the checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session
from sqlmodel import select

import models
from arrears.clock import VirtualClock
from arrears.engine.vocabulary import StepStatus
from arrears.ledger.cases import read_case_file
from arrears.operations.advance import advance
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.moves import Closed, Standstill
from arrears.operations.pay import pay
from arrears.operations.services import Services
from arrears.operations.sweep import catch_up, sweep
from tests.conftest import HEADER, a_row
from tests.faults.conftest import at_twilio
from tests.support.audit import (
    assert_batch_is_whole,
    assert_made_once,
    books_of,
    effects_of,
    step_and_case,
    told_of,
)
from tests.support.landings import ACCOUNT, BEGINS, RUNGS, Landing, Stairs
from tests.support.mortals import Mortals, Order
from tests.support.twilio_stand_in import TwilioStandIn

pytestmark = pytest.mark.faults

# Boundaries, the first of their name. A sweep's first commit is its first intent.
AFTER_THE_INTENT, BEFORE_THE_EFFECT, AFTER_THE_EFFECT = "after a commit", "before the effect", "after the effect"
NOON = BEGINS + timedelta(days=100, hours=4)


# Two sweeps -----------------------------------------------------------------------------------------------------


@pytest.fixture
def forty(services: Services, tmp_path: Path) -> Services:
    """Forty accounts due at NOON, ten each for a text, a call, a letter and an agency."""
    due = {"sms-1": "2026-11-08", "call-1": "2026-10-10", "letter-3": "2026-08-26", "agency-1": "2026-08-01"}
    portfolio = tmp_path / "forty.csv"
    rows = (a_row(f"{rung}/{n}".replace("/", "-"), due_date=day) for rung, day in due.items() for n in range(10))
    portfolio.write_text(HEADER + "".join(rows), encoding="utf-8")
    enroll(services, portfolio, at=NOON, who="test", driver="sweep")
    with services.ledger.write() as session:
        for n in range(10):
            session.add(_made(read_case_file(session, f"agency-1-{n}").case, "letter-3", f"NOTICE{n}"))
            session.add(
                _made(read_case_file(session, f"letter-3-{n}").case, "call-1", f"CALL{n}", disposition="promise")
            )
    return services


def _made(case: models.Case, rung: str, reference: str, **more: str) -> models.Step:
    """A step made long enough ago for the next to go."""
    channel, _, _ = rung.partition("-")
    made = NOON - timedelta(days=20)
    return models.Step(
        case_id=case.id,
        account_id=case.account_id,
        rung=rung,
        attempt=1,
        stage=channel,
        channel=channel,
        status=StepStatus.DONE,
        reference=reference,
        due_at=made,
        at=made,
        **more,
    )


def test_two_sweeps_at_once_make_every_effect_once(forty: Services, mortals: Mortals):
    settings: dict[str, Any] = {name: str(getattr(forty.settings, name)) for name in ("database_url", "outbox")}
    settings |= {"doubt_seconds": 0, "sweep_batch": 4, "lease_seconds": 3600}
    order = Order(settings, "sweep", NOON.isoformat(), manner="SIGSTOP")
    pids: list[int] = []
    # The first is in the middle of a batch, and the second has just made another, when both go on together.
    for where in (BEFORE_THE_EFFECT, AFTER_THE_EFFECT):
        pids.append(mortals.start(replace(order, at=where)))
        assert mortals.wait(pids[-1]).last == where
    for pid in pids:
        mortals.go_on(pid)
    ends = [mortals.wait(pid) for pid in pids]
    assert [end.how for end in ends] == ["unharmed", "unharmed"]
    assert not any("failed" in end.result for end in ends)
    assert sum(sum(end.result.values()) for end in ends) == 40
    assert all(end.result for end in ends)
    books = books_of(forty)
    for rung in ("sms-1", "call-1", "letter-3", "agency-1"):
        for n in range(10):
            made, _ = step_and_case(books, f"{rung}-{n}", rung)
            assert (made.status, effects_of(books, made), told_of(books, made)["intended"]) == ("done", 1, 1)
    with forty.ledger.read() as session:
        [batch] = session.exec(select(models.PlacementBatch)).all()
        assert batch.count == 10
        assert_batch_is_whole(session, forty.settings.outbox, batch.agency, batch.day)


# An intent that is somebody's --------------------------------------------------------------------------------


@pytest.fixture
def landing(stairs: Stairs) -> Landing:
    return stairs.landing("sms")


def stopped(mortals: Mortals, landing: Landing, at: str, **settings: Any) -> int:
    """A process stopped at that boundary, its intent committed."""
    order = Order(landing.settings(**settings), "sweep", landing.until.isoformat(), at=at, manner="SIGSTOP")
    pid = mortals.start(order)
    assert mortals.wait(pid).how == "stopped"
    return pid


def a_sweep(services: Services, landing: Landing) -> int:
    return sweep(services.at(VirtualClock(landing.until)), who="second", budget=Budget()).effects


def test_an_intent_is_left_to_its_owner_while_that_lives_and_is_free_when_it_dies(landing: Landing, mortals: Mortals):
    owner = stopped(mortals, landing, BEFORE_THE_EFFECT, lease_seconds=3600)
    with landing.services() as services:
        assert a_sweep(services, landing) == 0
        step, case = step_and_case(books_of(services), ACCOUNT, landing.rung)
        assert (step.status, case.retry_at) == (StepStatus.INTENDED, step.lease_until)
        rest = advance(services.at(VirtualClock(landing.until)), ACCOUNT, who="second").rest
        assert isinstance(rest, Standstill)
        assert rest.wall_until == step.lease_until
        mortals.kill(owner)
        assert a_sweep(services, landing) == 1
        assert_made_once(books_of(services), ACCOUNT, landing.rung)


@pytest.mark.parametrize("at", [AFTER_THE_INTENT, BEFORE_THE_EFFECT])
def test_an_owner_that_wakes_in_time_finishes_what_it_began(landing: Landing, mortals: Mortals, at: str):
    owner = stopped(mortals, landing, at, lease_seconds=3600)
    with landing.services() as services:
        assert a_sweep(services, landing) == 0
        mortals.go_on(owner)
        assert mortals.wait(owner).how == "unharmed"
        a_sweep(services, landing)
        made = assert_made_once(books_of(services), ACCOUNT, landing.rung)
        assert told_of(books_of(services), made)["intended"] == 1


def test_an_owner_that_slept_through_its_lease_leaves_the_effect_to_others(landing: Landing, mortals: Mortals):
    owner = stopped(mortals, landing, AFTER_THE_INTENT, lease_seconds=0.001)
    with landing.services() as services:
        assert a_sweep(services, landing) == 1
        mortals.go_on(owner)
        assert mortals.wait(owner).how == "unharmed"
        assert_made_once(books_of(services), ACCOUNT, landing.rung)


def test_an_answer_that_comes_after_the_lease_does_not_undo_what_others_have_begun(
    landing: Landing, mortals: Mortals, twilio: TwilioStandIn
):
    now = twilio.now
    twilio.now = lambda: now() + timedelta(seconds=1)
    twilio.fault("429", retry_after=0)
    more = at_twilio(twilio)
    slow = stopped(mortals, landing, AFTER_THE_EFFECT, lease_seconds=8, **more)
    with landing.services(**more) as services:
        step, _ = step_and_case(books_of(services), ACCOUNT, landing.rung)
        assert step.lease_until is not None
        services.clock.pause(step.lease_until)
        other = stopped(mortals, landing, BEFORE_THE_EFFECT, **more)
        mortals.go_on(slow)
        assert mortals.wait(slow).how == "unharmed"
        assert not twilio.accepted()
        mortals.go_on(other)
        assert mortals.wait(other).how == "unharmed"
        made = assert_made_once(books_of(services, twilio.accepted()), ACCOUNT, landing.rung)
        assert told_of(books_of(services), made)["intended"] == 2


# A payment in each gap ---------------------------------------------------------------------------------------


class Meddled:
    """A channel with something happening just before or just after it performs."""

    def __init__(self, channel: Any, before: Callable[[], object], after: Callable[[], object]) -> None:
        self._channel, self._before, self._after = channel, before, after

    def perform(self, intent: Any) -> Any:
        self._before()
        outcome = self._channel.perform(intent)
        self._after()
        return outcome

    def look_up(self, intent: Any) -> Any:
        return self._channel.look_up(intent)


def nothing() -> None: ...


@pytest.fixture(params=["sms", "twilio", "call", "letter", "agency", "legal"])
def scene(request: pytest.FixtureRequest, stairs: Stairs, twilio: TwilioStandIn) -> Iterator[tuple[Services, Landing]]:
    to_twilio = request.param == "twilio"
    landing = stairs.landing("sms" if to_twilio else request.param)
    with landing.services(**at_twilio(twilio) if to_twilio else {}) as services:
        yield services.at(VirtualClock(landing.until)), landing


def settle_up(services: Services, landing: Landing) -> Callable[[], object]:
    """Pays all that is owed."""
    return lambda: pay(services, ACCOUNT, "1200.50", reference="P-1", at=landing.until, source="bank", who="test")


def books_with_texts(services: Services, twilio: TwilioStandIn):
    return books_of(services, twilio.accepted() if services.settings.twilio_configured else None)


def assert_nothing_went_out(services: Services, landing: Landing, twilio: TwilioStandIn) -> models.Step | None:
    books = books_with_texts(services, twilio)
    with services.ledger.read() as session:
        file = read_case_file(session, ACCOUNT)
        step = file.step(landing.rung, 1)
        assert (file.case.status, file.case.outcome) == ("closed", "paid")
        open_tasks = session.exec(select(models.CallTask).where(models.CallTask.status == "open")).all()
        assert not open_tasks
    assert step is None or (step.status == StepStatus.SKIPPED and effects_of(books, step) == 0)
    return step


def test_a_payment_before_the_intent_ends_the_case(scene: tuple[Services, Landing], twilio: TwilioStandIn):
    services, landing = scene
    settle_up(services, landing)()
    assert isinstance(advance(services, ACCOUNT, who="test").rest, Closed)
    assert assert_nothing_went_out(services, landing, twilio) is None


def test_a_payment_between_intent_and_effect_stops_the_effect(scene: tuple[Services, Landing], twilio: TwilioStandIn):
    services, landing = scene
    paying = settle_up(services, landing)

    paid: list[object] = []

    def pay_after_the_intent(_: Session) -> None:
        if paid:
            return
        with services.ledger.read() as session:
            step = read_case_file(session, ACCOUNT).step(landing.rung, 1)
        if step is not None and step.status == StepStatus.INTENDED:
            paid.append(True)
            paying()

    event.listen(Session, "after_commit", pay_after_the_intent)
    try:
        assert isinstance(advance(services, ACCOUNT, who="test").rest, Closed)
    finally:
        event.remove(Session, "after_commit", pay_after_the_intent)
    assert paid
    step = assert_nothing_went_out(services, landing, twilio)
    assert step is not None
    assert step.reason == "case closed: paid"


@pytest.mark.parametrize("late_by", ["a moment before the effect", "a moment after the effect"])
def test_a_payment_too_late_to_stop_the_effect_closes_the_case_and_the_record_says_both(
    scene: tuple[Services, Landing], twilio: TwilioStandIn, late_by: str
):
    services, landing = scene
    paying = settle_up(services, landing)
    hooks = (paying, nothing) if late_by == "a moment before the effect" else (nothing, paying)
    meddled = {name: Meddled(channel, *hooks) for name, channel in services.channels.items()}
    assert isinstance(advance(replace(services, channels=meddled), ACCOUNT, who="test").rest, Closed)
    sweep(services, who="test", budget=Budget())
    books = books_with_texts(services, twilio)
    made = assert_made_once(books, ACCOUNT, landing.rung)
    _, case = step_and_case(books, ACCOUNT, landing.rung)
    assert (case.status, case.outcome) == ("closed", "paid")
    with services.ledger.read() as session:
        # A task nobody has worked is no call yet.
        assert not session.exec(select(models.CallTask).where(models.CallTask.status == "open")).all()
    assert made.proof


@pytest.mark.parametrize("at", [AFTER_THE_INTENT, BEFORE_THE_EFFECT, AFTER_THE_EFFECT])
@pytest.mark.parametrize("channel", ["sms", "call", "letter"])
@pytest.mark.parametrize("command", [sweep, catch_up], ids=lambda command: command.__name__)
def test_a_payment_after_a_kill_leaves_no_step_hanging_and_nothing_more_goes_out(
    stairs: Stairs, mortals: Mortals, twilio: TwilioStandIn, at: str, channel: str, command: Any
):
    landing = stairs.landing(channel)
    killed = mortals.run(Order(landing.settings(), "sweep", landing.until.isoformat(), at=at))
    assert killed.how == "killed"
    with landing.services() as opened:
        services = opened.at(VirtualClock(landing.until))
        settle_up(services, landing)()
        if command is sweep:
            sweep(services, who="second", budget=Budget())
        else:
            catch_up(services, landing.until, who="second", budget=Budget())
        step, case = step_and_case(books_of(services), ACCOUNT, landing.rung)
        assert case.status == "closed"
        there = effects_of(books_of(services), step)
        assert (step.status, there) in ((StepStatus.DONE, 1), (StepStatus.SKIPPED, 0))
        with services.ledger.read() as session:
            assert not session.exec(select(models.CallTask).where(models.CallTask.status == "open")).all()
        assert RUNGS[channel] == step.rung
