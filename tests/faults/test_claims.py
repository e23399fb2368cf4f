"""An intent is one taking's and no other's: threads of one process, outcomes that come late, effects in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlmodel import select

import models
from arrears.channels.effect import Absent, Done, Found, InDoubt, Intent, Outcome, TryAgain
from arrears.clock import VirtualClock
from arrears.engine.life.events import Billed
from arrears.engine.vocabulary import ChannelName, StepStatus
from arrears.ledger.life import key_of
from arrears.operations import moves
from arrears.operations.advance import advance
from arrears.operations.brakes import Budget
from arrears.operations.day_list import day_list
from arrears.operations.deliveries import report
from arrears.operations.inbox import receive
from arrears.operations.moves import Intended, next_move
from arrears.operations.pay import pay, reverse
from arrears.operations.perform import attempt, carry_out, look_up, reconcile, settle
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services
from arrears.operations.show import show
from arrears.operations.steer import Settlement, SteeringRefused, halt, resume
from arrears.operations.steer import settle as by_person
from arrears.operations.sweep import sweep
from tests.faults.conftest import Desk
from tests.support.audit import assert_made_once, effects_of
from tests.support.clocks import Skipping
from tests.support.landings import ACCOUNT, RUNGS, Stairs

pytestmark = pytest.mark.faults
SMS = ChannelName.SMS


def intended(services: Services) -> Intent:
    move = next_move(services, ACCOUNT, who="test", budget=Budget())
    assert isinstance(move, Intended)
    return move.intent


def taken(services: Services) -> Intent:
    """By somebody else in this very process, the lease being over."""
    services.clock.pause(services.clock.wall() + timedelta(seconds=services.settings.lease_seconds + 1))
    move = next_move(services, ACCOUNT, who="another", budget=Budget())
    assert isinstance(move, moves.InDoubt)
    return move.intent


# Two threads ----------------------------------------------------------------------------------------------------


def test_who_waited_too_long_leaves_the_text_to_the_thread_that_took_it(desk: Desk):
    mine = intended(desk.services)
    theirs = taken(desk.services)
    assert mine.claim != theirs.claim
    assert attempt(desk.services, mine, SMS) is StepStatus.INTENDED
    assert desk.twilio.requests["POST"] == 0
    desk.catch_up()
    assert_made_once(desk.books, ACCOUNT, desk.rung)
    assert desk.twilio.requests["POST"] == 1


def test_an_outcome_that_comes_late_says_nothing_of_a_later_intent(desk: Desk):
    mine = intended(desk.services)
    theirs = taken(desk.services)
    assert settle(desk.services, theirs, SMS, Absent(), who="another") is StepStatus.PLANNED
    again = intended(desk.services)
    assert again.reference == mine.reference
    late = TryAgain("Twilio has had too many requests")
    assert settle(desk.services, mine, SMS, late, who="test") is StepStatus.INTENDED
    assert carry_out(desk.services, again, SMS, who="another") is StepStatus.DONE
    desk.sweep()
    assert_made_once(desk.books, ACCOUNT, desk.rung)


def test_what_was_not_begun_in_time_is_put_back_and_not_in_doubt(desk: Desk):
    mine = intended(desk.services)
    desk.services.clock.pause(mine.wall + timedelta(seconds=desk.services.settings.lease_seconds + 1))
    assert carry_out(desk.services, mine, SMS, who="test") is StepStatus.PLANNED
    assert desk.sweep() == 1
    assert desk.twilio.requests == {"POST": 1}


class Slow:
    """A sender whose turn is only after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._wait = timedelta(seconds=seconds)
        self.given = 0

    def wait(self, sender: str, *, at_most: timedelta) -> bool:
        self.given += self._wait <= at_most
        return self._wait <= at_most


@pytest.mark.parametrize(("passed", "given"), [(0, 1), (40, 1), (50, 0), (70, 0)])
def test_no_turn_is_taken_that_would_come_when_the_lease_is_over(desk: Desk, passed: int, given: int):
    pace = Slow(10)
    mine = intended(desk.services)
    assert mine.lease_until == mine.wall + timedelta(seconds=60)
    desk.services.clock.pause(mine.wall + timedelta(seconds=passed))
    mine = replace(mine, payload={**mine.payload, "from": "+15005550006"})
    made = attempt(replace(desk.services, pace=pace), mine, SMS)
    assert isinstance(made, Done if given else TryAgain)
    assert (pace.given, desk.twilio.requests["POST"]) == (given, given)


@pytest.mark.parametrize(("passed", "left"), [(0, 40), (15, 25), (39, 1), (40, None), (45, None)])
def test_what_a_text_waits_for_its_turn_is_gone_of_the_hours_in_which_it_may_leave(
    desk: Desk, passed: int, left: int | None
):
    mine = intended(desk.services)
    mine = replace(mine, payload={**mine.payload, "validity_seconds": 40})
    desk.services.clock.pause(mine.wall + timedelta(seconds=passed))
    made = attempt(desk.services, mine, SMS)
    assert isinstance(made, TryAgain if left is None else Done)
    assert [text["validity_period"] for text in desk.twilio.accepted()] == [left] * (left is not None)
    assert settle(desk.services, mine, SMS, made, who="test") is (StepStatus.DONE if left else StepStatus.PLANNED)


# What the provider has said ---------------------------------------------------------------------------------------


def test_that_a_text_went_out_is_kept_though_its_intent_was_taken(desk: Desk):
    mine = intended(desk.services)
    made = attempt(desk.services, mine, SMS)
    assert isinstance(made, Done)
    theirs = taken(desk.services)
    assert settle(desk.services, mine, SMS, made, who="test") is StepStatus.INTENDED
    assert look_up(desk.services, theirs, SMS) == Found(made.reference)
    assert desk.twilio.requests["GET"] == 0
    assert reconcile(desk.services, theirs, SMS, who="another") is StepStatus.DONE
    desk.sweep()
    assert_made_once(desk.books, ACCOUNT, desk.rung)


@pytest.mark.parametrize("when", ["during the look-up", "after it was put back", "before the effect"])
def test_what_was_reported_meanwhile_outweighs_that_it_is_not_listed(desk: Desk, when: str):
    mine = intended(desk.services)
    made = attempt(desk.services, mine, SMS)
    assert isinstance(made, Done)
    theirs = taken(desk.services)

    def reported() -> None:
        assert report(desk.services, mine.reference, sid=made.reference, status="sent", error_code="") == ACCOUNT

    if when == "during the look-up":
        reported()
    status = settle(desk.services, theirs, SMS, Absent(), who="another")
    if when == "during the look-up":
        assert status is StepStatus.DONE
    elif when == "after it was put back":
        assert status is StepStatus.PLANNED
        reported()
        assert (desk.step.status, desk.step.proof) == ("done", made.reference)
    else:
        assert status is StepStatus.PLANNED
        again = intended(desk.services)
        reported()
        assert carry_out(desk.services, again, SMS, who="another") is StepStatus.DONE
    desk.sweep()
    assert (desk.step.status, effects_of(desk.books, desk.step)) == ("done", 1)
    assert desk.twilio.requests["POST"] == 1


@pytest.mark.parametrize("how", ["reported", "told by its late owner"])
def test_a_text_that_had_gone_counts_though_its_case_has_closed_without_it(desk: Desk, how: str):
    mine = intended(desk.services)
    made = attempt(desk.services, mine, SMS)
    assert isinstance(made, Done)
    settle(desk.services, taken(desk.services), SMS, Absent(), who="another")
    now = desk.services.clock.now()
    pay(desk.services, ACCOUNT, "120.00", reference="P-1", at=now, source="test", who="test")
    assert (desk.step.status, desk.step.reason) == ("skipped", "case closed: cured")
    if how == "reported":
        report(desk.services, mine.reference, sid=made.reference, status="delivered", error_code="")
    else:
        settle(desk.services, mine, SMS, made, who="test")
    assert (desk.step.status, desk.step.proof) == ("done", made.reference)
    assert desk.case.next_due_at is None


# Rows of the ledger as effects --------------------------------------------------------------------------------------


@pytest.fixture(params=["call", "agency"])
def row(request: pytest.FixtureRequest, stairs: Stairs) -> Iterator[tuple[Services, ChannelName]]:
    landing = stairs.landing(request.param)
    with landing.services() as services:
        yield services.at(VirtualClock(landing.until, Skipping())), ChannelName(request.param)


class Late:
    """Another takes the intent, finds nothing, and the debt is paid, between the last look and the effect."""

    def __init__(self, services: Services, channel: ChannelName) -> None:
        self._services, self._channel = services, channel

    def perform(self, intent: Intent) -> Outcome:
        assert reconcile(self._services, taken(self._services), self._channel, who="another") is StepStatus.PLANNED
        pay(
            self._services,
            ACCOUNT,
            "1200.50",
            reference="P-1",
            at=self._services.clock.now(),
            source="test",
            who="test",
        )
        advance(self._services, ACCOUNT, who="another")
        return self._services.channels[self._channel].perform(intent)

    def look_up(self, intent: Intent) -> Any:
        raise AssertionError


def test_an_effect_in_the_ledger_is_not_made_by_who_lost_its_intent(row: tuple[Services, ChannelName]):
    services, channel = row
    mine = intended(services)
    late = replace(services, channels={**services.channels, channel: Late(services, channel)})
    carry_out(late, mine, channel, who="test")
    with services.ledger.read() as session:
        step = session.exec(select(models.Step).where(models.Step.reference == mine.reference)).one()
        assert (step.rung, step.status, step.reason) == (RUNGS[channel], "skipped", "case closed: paid")
        assert not session.exec(select(models.CallTask).where(models.CallTask.key == mine.key)).all()
        assert session.get(models.Placement, mine.reference) is None
    assert not day_list(services, now=services.clock.now())


# The next case, and what passes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("desk", [{"doubt_seconds": 60}], indirect=True)
@pytest.mark.parametrize("accepted", [True, False])
def test_an_intent_of_a_case_that_has_a_successor_is_settled(desk: Desk, accepted: bool):
    desk.twilio.fault("drop_after_accept" if accepted else "drop_before_accept", method="POST")
    assert desk.sweep() == 0
    [old] = show(desk.services, ACCOUNT)["steps"]
    _next_case(desk)
    assert show(desk.services, ACCOUNT)["steps"] == []
    desk.services.clock.pause(desk.services.clock.wall() + timedelta(minutes=5))
    desk.sweep()
    with desk.services.ledger.read() as session:
        step = session.exec(select(models.Step).where(models.Step.reference == old["reference"])).one()
    assert step.status == ("done" if accepted else "skipped")
    assert accepted or step.reason == "case closed: cured"
    assert bool(step.proof) is accepted
    assert sum(old["reference"] in text["body"] for text in desk.twilio.accepted()) == accepted
    assert sweep(desk.services, who="test", budget=Budget()).due == []


def _next_case(desk: Desk) -> None:
    """What is past due is paid, and the next bill is not."""
    now = desk.services.clock.now()
    pay(desk.services, ACCOUNT, "120.00", reference="P-1", at=now, source="test", who="test")
    assert desk.case.outcome == "cured"
    bill = Billed(key=key_of("bills", "B-1"), at=now, due_on=date(2026, 8, 2), amount=5000, balance=120000)
    receive(desk.services, ACCOUNT, bill, received_at=now, via="test", who="test")


@pytest.mark.parametrize("desk", [{"doubt_seconds": 60}], indirect=True)
def test_what_nobody_can_tell_of_such_an_intent_a_person_settles(desk: Desk):
    desk.twilio.fault("drop_after_accept", method="POST")
    assert desk.sweep() == 0
    [text] = desk.twilio.accepted()
    desk.twilio.mailbox.update(text["sid"], body="")
    [old] = show(desk.services, ACCOUNT)["steps"]
    _next_case(desk)
    desk.services.clock.pause(desk.services.clock.wall() + timedelta(minutes=5))
    desk.sweep()
    [item] = [each for each in waiting_for_people(desk.services) if "bodies removed" in each.reason]
    assert item.account_id == ACCOUNT
    by: dict[str, Any] = {"by": "Kim", "why": "asked", "at": desk.services.clock.now()}
    with pytest.raises(SteeringRefused, match="is closed: cured"):
        by_person(desk.services, ACCOUNT, desk.rung, Settlement.AGAIN, **by)
    assert by_person(desk.services, ACCOUNT, desk.rung, Settlement.DONE, **by) is StepStatus.DONE
    with desk.services.ledger.read() as session:
        step = session.exec(select(models.Step).where(models.Step.reference == old["reference"])).one()
    assert step.reason == "settled by Kim: asked"
    assert not [each for each in waiting_for_people(desk.services) if "bodies removed" in each.reason]


def test_what_is_found_of_an_earlier_case_takes_no_call_out_of_the_next(desk: Desk):
    mine = intended(desk.services)
    made = attempt(desk.services, mine, SMS)
    _next_case(desk)
    task = models.CallTask(
        key="next/call-1/1",
        account_id=ACCOUNT,
        rung="call-1",
        attempt=1,
        number="+15185550101",
        script="",
        zone="America/New_York",
        best_from="",
        best_to="",
        priority=1,
        created_at=desk.services.clock.now(),
    )
    with desk.services.ledger.write() as session:
        session.add(task)
    assert isinstance(made, Done)
    assert settle(desk.services, mine, SMS, made, who="test") is StepStatus.DONE
    with desk.services.ledger.read() as session:
        assert session.get_one(models.CallTask, "next/call-1/1").status == "open"


class Dumb:
    """A provider whose answers nobody foresaw."""

    def __init__(self) -> None:
        self.asked = 0

    def perform(self, intent: Intent) -> Outcome:
        raise LookupError

    def look_up(self, intent: Intent) -> Any:
        self.asked += 1
        raise LookupError


@pytest.mark.parametrize("stands", ["open", "closed", "halted"])
def test_a_look_up_that_always_fails_is_made_ever_more_seldom(desk: Desk, stands: str):
    intended(desk.services)
    now = desk.services.clock.now()
    if stands == "closed":
        pay(desk.services, ACCOUNT, "120.00", reference="P-1", at=now, source="test", who="test")
    if stands == "halted":
        halt(desk.services, ACCOUNT, why="to look at it", who="test", at=now)
    dumb = Dumb()
    house = replace(desk.services, channels={**desk.services.channels, SMS: dumb})
    for _ in range(24 * 6):
        desk.services.clock.pause(desk.services.clock.wall() + timedelta(minutes=10))
        sweep(house, who="test", budget=Budget())
    assert 3 <= dumb.asked <= 12
    with desk.services.ledger.read() as session:
        assert len(session.exec(select(models.Event).where(models.Event.what == "halted")).all()) <= 1


def test_the_owner_of_such_an_intent_commits_its_outcome(desk: Desk):
    mine = intended(desk.services)
    made = attempt(desk.services, mine, SMS)
    _next_case(desk)
    assert isinstance(made, Done)
    assert settle(desk.services, mine, SMS, made, who="test") is StepStatus.DONE


@pytest.mark.parametrize("why", ["paid, and the payment came back", "halted, and resumed"])
def test_what_was_in_the_way_for_a_moment_does_not_cost_the_rung(desk: Desk, why: str):
    mine = intended(desk.services)
    now = desk.services.clock.now()
    by: dict[str, Any] = {"at": now, "source": "test", "who": "test"}
    if why.startswith("paid"):
        pay(desk.services, ACCOUNT, "120.00", reference="P-1", **by)
    else:
        halt(desk.services, ACCOUNT, why="to look at it", who="test", at=now)
    assert carry_out(desk.services, mine, SMS, who="test") in (StepStatus.PLANNED, StepStatus.SKIPPED)
    assert desk.twilio.requests["POST"] == 0
    desk.sweep()
    if why.startswith("paid"):
        assert desk.case.outcome == "cured"
        reverse(desk.services, ACCOUNT, "P-1", amount=None, reference="R-1", **by)
    else:
        resume(desk.services, ACCOUNT, who="test", at=now)
    assert desk.sweep() == 1
    assert (desk.step.status, effects_of(desk.books, desk.step)) == ("done", 1)


def test_an_intent_in_doubt_is_nobodys(desk: Desk):
    mine = intended(desk.services)
    assert settle(desk.services, mine, SMS, InDoubt("cut off"), who="test") is StepStatus.INTENDED
    assert attempt(desk.services, mine, SMS) is StepStatus.INTENDED
    assert desk.twilio.requests["POST"] == 0
