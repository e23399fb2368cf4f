"""What people may and may not decide: money, holds, calls, approvals, brakes and settlements."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlmodel import select

import models
from arrears.channels.effect import Absent, Finding, Intent, Outcome, TryAgain
from arrears.clock import VirtualClock
from arrears.engine.money import Money, MoneyError
from arrears.engine.vocabulary import ChannelName, Disposition
from arrears.operations import brakes, steer
from arrears.operations.advance import advance, record_failure
from arrears.operations.brakes import Budget
from arrears.operations.calls import CallRefused, Promised, record_call
from arrears.operations.day_list import day_list
from arrears.operations.hold import HoldRefused, hold, release
from arrears.operations.inbox import EventRefused
from arrears.operations.moves import Standstill
from arrears.operations.pay import PaymentRefused, pay
from arrears.operations.rehearse import rehearse
from arrears.operations.services import Services
from arrears.operations.show import show
from arrears.operations.steer import SteeringRefused
from tests.conftest import START, a_row
from tests.integration.stories import Portfolio, at, dump, last, steps, take_in, until
from tests.support.clocks import Skipping


def post(services: Services, amount: str | Money, reference: str = "P-1"):
    return pay(services, "A-1", amount, reference=reference, at=at(services), source="test", who="test")


def call_tasks(services: Services) -> list[str]:
    with services.ledger.read() as session:
        return [task.status for task in session.exec(select(models.CallTask))]


# Money ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "outcome", "balance"),
    [("120.00", "cured", "1080.50"), ("1200.50", "paid", "0.00"), ("1300.00", "paid", "-99.50")],
)
def test_what_is_past_due_is_paid_exactly_wholly_or_over(
    enrolled: Services, amount: str, outcome: str, balance: str
) -> None:
    until(enrolled, 2)
    assert post(enrolled, amount).closed
    shown = show(enrolled, "A-1")
    assert (shown["status"], shown["outcome"], shown["next"]) == ("closed", outcome, None)
    assert (shown["balance"]["amount"], shown["amount_due"]["amount"]) == (balance, "0.00")
    assert until(enrolled, 130).effects == 0


def test_two_parts_make_a_whole(enrolled: Services) -> None:
    until(enrolled, 2)
    assert not post(enrolled, "119.99").closed
    assert post(enrolled, "0.01", "P-2").closed


@pytest.mark.parametrize(
    ("amount", "says"),
    [
        (Money(1000, "EUR"), "kept in USD, not EUR"),
        ("0.00", "above zero"),
        ("-5.00", "above zero"),
    ],
)
def test_a_payment_that_is_none_is_refused_and_changes_nothing(
    enrolled: Services, amount: str | Money, says: str
) -> None:
    before = dump(enrolled)
    with pytest.raises(PaymentRefused, match=says):
        post(enrolled, amount)
    with pytest.raises(PaymentRefused, match="needs a reference"):
        post(enrolled, "5.00", " ")
    for unreadable in ("ten", "10,50", "10.001", "NaN", "1e99"):
        with pytest.raises(MoneyError):
            post(enrolled, unreadable)
    assert dump(enrolled) == before


def test_a_reference_belongs_to_one_account(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio(a_row("A-1"), a_row("A-2")))
    post(services, "20.00")
    with pytest.raises(EventRefused, match="already used"):
        pay(services, "A-2", "20.00", reference="P-1", at=START, source="test", who="test")
    assert show(services, "A-2")["balance"]["amount"] == "1200.50"


def test_a_payment_after_the_case_went_to_court_takes_the_last_call_out_of_the_queue(enrolled: Services) -> None:
    until(enrolled, 130)
    steer.approve(enrolled, "A-1", "legal-1", by="A. Counsel", at=at(enrolled))
    until(enrolled, 131)
    assert show(enrolled, "A-1")["outcome"] == "referred"
    assert call_tasks(enrolled).count("open") == 1
    post(enrolled, "1200.50")
    assert call_tasks(enrolled).count("open") == 0
    assert show(enrolled, "A-1")["outcome"] == "referred"


# Calls ------------------------------------------------------------------------------------------------------


def test_nobody_answering_has_the_next_call_four_days_later(enrolled: Services) -> None:
    until(enrolled, 31)
    record_call(enrolled, "A-1", Disposition.NO_ANSWER, by="C. Ollector", at=at(enrolled))
    with pytest.raises(CallRefused, match="no open call task"):
        record_call(enrolled, "A-1", Disposition.NO_ANSWER, by="C. Ollector", at=at(enrolled))
    until(enrolled, 35)
    assert last(enrolled, "call-1")["at"] == "2026-09-04T14:00:00Z"
    assert call_tasks(enrolled) == ["done", "open"]


def called(services: Services, disposition: Disposition, **more: Any) -> None:
    until(services, 31)
    record_call(services, "A-1", disposition, by="C. Ollector", at=at(services), **more)


@pytest.mark.parametrize("disposition", [Disposition.WRONG_NUMBER, Disposition.NOT_IN_SERVICE])
def test_a_number_that_is_wrong_is_not_used_again_and_nobody_left_to_call_is_lost(
    enrolled: Services, disposition: Disposition
) -> None:
    called(enrolled, disposition)
    until(enrolled, 62)
    assert [step for step in steps(enrolled) if step[0] == "call-1"] == [("call-1", "done")]
    assert ("letter-1", "done") in steps(enrolled)
    assert call_tasks(enrolled) == ["done"]


def test_a_death_told_on_the_telephone_holds_everything(enrolled: Services) -> None:
    called(enrolled, Disposition.DECEASED)
    shown = show(enrolled, "A-1")
    assert ([hold["kind"] for hold in shown["holds"]], shown["status"]) == (["DECEASED"], "held")


def test_a_promise_on_the_telephone_pauses_the_ladder(enrolled: Services) -> None:
    called(enrolled, Disposition.PROMISE, promised=Promised("120.00", date(2026, 9, 10)))
    shown = show(enrolled, "A-1")
    assert (shown["status"], shown["arrangements"][0]["due_on"]) == ("held", "2026-09-10")
    assert until(enrolled, 42).effects == 0


def test_a_promise_that_cannot_be_leaves_the_call_as_it_was(enrolled: Services) -> None:
    with pytest.raises(EventRefused, match="none further away than 45 days"):
        called(enrolled, Disposition.PROMISE, promised=Promised("120.00", date(2027, 9, 10)))
    assert call_tasks(enrolled) == ["open"]
    with pytest.raises(CallRefused, match="belong to the outcome promise"):
        called(enrolled, Disposition.REFUSAL, promised=Promised("120.00", date(2026, 9, 10)))
    assert call_tasks(enrolled) == ["open"]


def test_whoever_asks_to_be_called_back_has_consented_to_calls(enrolled: Services) -> None:
    called(enrolled, Disposition.CALLBACK_REQUESTED)
    with enrolled.ledger.read() as session:
        [consent] = session.exec(select(models.Consent)).all()
    assert (consent.channel, consent.at) == ("call", at(enrolled))


# Holds ------------------------------------------------------------------------------------------------------


def test_the_same_hold_again_changes_nothing_and_one_release_ends_it(enrolled: Services) -> None:
    def dispute() -> bool:
        return hold(enrolled, "A-1", "DISPUTE_OPEN", at=START, until=None, channel=None, who="test")

    assert dispute()
    assert not dispute()
    assert len(show(enrolled, "A-1")["holds"]) == 1
    assert release(enrolled, "A-1", "DISPUTE_OPEN", at=at(enrolled), who="test").count == 1
    assert show(enrolled, "A-1")["status"] == "current"
    with pytest.raises(HoldRefused, match="no hold DISPUTE_OPEN; in force: none"):
        release(enrolled, "A-1", "DISPUTE_OPEN", at=at(enrolled), who="test")


def test_of_two_holds_one_release_is_not_enough(enrolled: Services) -> None:
    for kind in ("DISPUTE_OPEN", "DECEASED"):
        hold(enrolled, "A-1", kind, at=START, until=None, channel=None, who="test")
    release(enrolled, "A-1", "DISPUTE_OPEN", at=at(enrolled), who="test")
    assert show(enrolled, "A-1")["status"] == "held"
    assert until(enrolled, 20).effects == 0


def test_a_hold_cannot_end_before_it_begins_nor_bind_a_channel_there_is_not(enrolled: Services) -> None:
    before = dump(enrolled)
    with pytest.raises(HoldRefused, match="end before it begins"):
        hold(enrolled, "A-1", "DISPUTE_OPEN", at=START, until=START, channel=None, who="test")
    with pytest.raises(HoldRefused, match=r"channel 'pigeon' is not known; expected one of .*sms"):
        hold(enrolled, "A-1", "CHANNEL_OPTOUT", at=START, until=None, channel="pigeon", who="test")
    assert dump(enrolled) == before


def test_a_hold_that_ended_shows_no_more(enrolled: Services) -> None:
    hold(enrolled, "A-1", "BREATHING_SPACE", at=START, until=START + timedelta(days=3), channel=None, who="test")
    until(enrolled, 2)
    assert [h["until"] for h in show(enrolled, "A-1")["holds"]] == ["2026-08-04T12:00:00Z"]
    until(enrolled, 4)
    assert show(enrolled, "A-1")["holds"] == []
    assert show(enrolled, "A-1")["status"] == "delinquent"


def test_a_halted_case_resumed_under_a_hold_is_held(enrolled: Services) -> None:
    until(enrolled, 2)
    steer.halt(enrolled, "A-1", why="asked by the lender", who="test", at=at(enrolled))
    hold(enrolled, "A-1", "DISPUTE_OPEN", at=at(enrolled), until=None, channel=None, who="test")
    assert show(enrolled, "A-1")["status"] == "halted"
    steer.resume(enrolled, "A-1", who="test", at=at(enrolled))
    assert show(enrolled, "A-1")["status"] == "held"
    assert until(enrolled, 20).effects == 0


# Brakes -----------------------------------------------------------------------------------------------------


def test_the_ceiling_of_a_day_lets_the_next_day_have_its_own(enrolled: Services, portfolio: Portfolio) -> None:
    take_in(enrolled, portfolio(*(a_row(f"A-{n}") for n in range(1, 4))))
    capped = replace(enrolled, settings=enrolled.settings.model_copy(update={"most_effects_per_day": 2}))
    evening = 1.25
    swept = until(capped, evening)
    assert (swept.effects, swept.braked) == (2, "the ceiling of 2 effects for this day is reached")
    assert until(capped, evening).effects == 0
    assert until(capped, 2).effects == 1


def test_an_advance_over_many_days_spends_the_ceiling_of_each(enrolled: Services, portfolio: Portfolio) -> None:
    take_in(enrolled, portfolio(*(a_row(f"A-{n}") for n in range(1, 5))))
    capped = replace(enrolled, settings=enrolled.settings.model_copy(update={"most_effects_per_day": 1}))
    swept = until(capped, 5)
    assert (swept.effects, swept.braked) == (4, None)
    with capped.ledger.read() as session:
        days = [step.at.date().day for step in session.exec(select(models.Step)) if step.at is not None]
    assert sorted(days) == [2, 3, 4, 5]


def test_a_whole_advance_is_rehearsed_by_channel_and_nothing_is_changed(enrolled: Services) -> None:
    before = dump(enrolled)
    counts = rehearse(enrolled, START + timedelta(days=91), who="test")
    if enrolled.ledger.on_sqlite:
        assert counts == {"sms": 3, "call": 15, "letter": 3, "agency": 1}
    else:
        assert counts == {}  # nothing is due at this moment, and a server's ledger is not copied
    assert dump(enrolled) == before
    assert not enrolled.settings.outbox.exists()


def test_a_ceiling_of_nothing_lets_nothing_out(enrolled: Services) -> None:
    swept = until(enrolled, 2, Budget(0))
    assert (swept.effects, swept.braked) == (0, "the ceiling of effects for this run is reached")


def test_starting_what_was_not_stopped_is_no_event(enrolled: Services) -> None:
    before = dump(enrolled)
    assert not brakes.start(enrolled.ledger, who="test", at=START, wall=START)
    assert dump(enrolled) == before


# Steering ---------------------------------------------------------------------------------------------------


def test_an_approval_needs_a_rung_and_a_name(enrolled: Services) -> None:
    with pytest.raises(SteeringRefused, match=r"has no rung 'legal-9'; it has sms-1, .*legal-1"):
        steer.approve(enrolled, "A-1", "legal-9", by="A. Counsel", at=START)
    with pytest.raises(SteeringRefused, match="needs the name"):
        steer.approve(enrolled, "A-1", "legal-1", by="  ", at=START)
    with enrolled.ledger.read() as session:
        assert session.exec(select(models.Approval)).all() == []


def test_a_closed_case_is_past_steering(enrolled: Services) -> None:
    post(enrolled, "1200.50")
    with pytest.raises(SteeringRefused, match="closed: paid"):
        steer.approve(enrolled, "A-1", "legal-1", by="A. Counsel", at=START)
    with pytest.raises(SteeringRefused, match="closed: paid"):
        steer.settle(enrolled, "A-1", "sms-1", steer.Settlement.DONE, by="me", why="-", at=START)
    with pytest.raises(SteeringRefused, match="is closed, not halted"):
        steer.resume(enrolled, "A-1", who="test", at=START)
    assert not steer.halt(enrolled, "A-1", why="-", who="test", at=START)


def test_a_halted_case_is_not_halted_twice(enrolled: Services) -> None:
    assert steer.halt(enrolled, "A-1", why="first", who="test", at=START)
    assert not steer.halt(enrolled, "A-1", why="second", who="test", at=START)
    assert show(enrolled, "A-1")["next"]["reason"] == "halted: first"


def test_a_cancelled_run_halts_its_case_once_whoever_looks_again(enrolled: Services) -> None:
    assert steer.halt(enrolled, "A-1", why="cancelled", who="test", at=START, run_id="run-1")
    steer.resume(enrolled, "A-1", who="test", at=START)
    assert not steer.halt(enrolled, "A-1", why="cancelled", who="test", at=START, run_id="run-1")
    assert show(enrolled, "A-1")["status"] != "halted"
    assert steer.halt(enrolled, "A-1", why="cancelled", who="test", at=START, run_id="run-2")


def test_what_was_done_or_never_tried_is_not_settled(enrolled: Services) -> None:
    until(enrolled, 2)
    with pytest.raises(SteeringRefused, match="sms-1 attempt 1 is done; nothing to settle"):
        steer.settle(enrolled, "A-1", "sms-1", steer.Settlement.AGAIN, by="me", why="-", at=START)
    with pytest.raises(SteeringRefused, match="no step 'sms-2' yet"):
        steer.settle(enrolled, "A-1", "sms-2", steer.Settlement.DONE, by="me", why="-", at=START)


def test_a_person_may_have_a_step_that_was_left_out_made_after_all(enrolled: Services) -> None:
    hold(enrolled, "A-1", "CHANNEL_OPTOUT", at=START, until=None, channel="sms", who="test")
    until(enrolled, 2)
    release(enrolled, "A-1", "CHANNEL_OPTOUT", at=at(enrolled), who="test")
    steer.settle(enrolled, "A-1", "sms-1", steer.Settlement.AGAIN, by="me", why="asked for it", at=at(enrolled))
    until(enrolled, 3)
    assert steps(enrolled) == [("sms-1", "done")]


def test_a_skipped_step_settled_by_a_person_keeps_the_word_and_the_name(enrolled: Services) -> None:
    hold(enrolled, "A-1", "CHANNEL_OPTOUT", at=START, until=None, channel="sms", who="test")
    until(enrolled, 2)
    assert steps(enrolled) == [("sms-1", "skipped")]
    steer.settle(enrolled, "A-1", "sms-1", steer.Settlement.DONE, by="M. Anager", why="told in person", at=at(enrolled))
    assert last(enrolled, "sms-1")["status"] == "done"
    assert last(enrolled, "sms-1")["reason"] == "settled by M. Anager: told in person"


# Failures ---------------------------------------------------------------------------------------------------


def test_four_failures_back_off_and_the_fifth_halts(enrolled: Services) -> None:
    enrolled = enrolled.at(VirtualClock(enrolled.clock.now(), Skipping()))
    pauses = []
    for _ in range(4):
        rest = record_failure(enrolled, "A-1", RuntimeError("boom"), who="test")
        assert rest.wall_until is not None
        pauses.append((rest.wall_until - enrolled.clock.wall()).total_seconds())
        assert show(enrolled, "A-1")["status"] != "halted"
    assert pauses == [30, 60, 120, 240]
    record_failure(enrolled, "A-1", RuntimeError("boom"), who="test")
    assert show(enrolled, "A-1")["status"] == "halted"
    assert until(enrolled, 20).effects == 0
    steer.resume(enrolled, "A-1", who="test", at=at(enrolled))
    assert until(enrolled, 21).effects == 1


class NeverNow:
    """A channel that always says: not now, ask again at once."""

    def perform(self, intent: Intent) -> Outcome:
        return TryAgain("not now", after=timedelta(0))

    def look_up(self, intent: Intent) -> Finding:
        return Absent()


def test_what_is_put_back_again_and_again_is_not_tried_again_in_the_same_breath(enrolled: Services) -> None:
    clock = VirtualClock(START + timedelta(days=1, hours=5))
    channels = {**enrolled.channels, ChannelName.SMS: NeverNow()}
    rest = advance(replace(enrolled.at(clock), channels=channels), "A-1", who="test").rest
    assert isinstance(rest, Standstill)
    assert rest.wall_until is not None
    assert rest.reason == "not now"


def test_a_call_that_was_withdrawn_is_made_again_as_another(enrolled: Services) -> None:
    day = 32.0
    while not day_list(enrolled, now=at(enrolled)):
        day += 0.25
        until(enrolled, day)
    [withdrawn] = day_list(enrolled, now=at(enrolled))
    hold(enrolled, "A-1", "DISPUTE_OPEN", at=at(enrolled), until=None, channel=None, evidence="a letter", who="test")
    assert day_list(enrolled, now=at(enrolled)) == []
    release(enrolled, "A-1", "DISPUTE_OPEN", at=at(enrolled), who="test")
    steer.settle(enrolled, "A-1", "call-1", steer.Settlement.AGAIN, by="Kim", why="after all", at=at(enrolled))
    until(enrolled, day + 0.25)
    [made] = day_list(enrolled, now=at(enrolled))
    assert (made.task.rung, made.task.attempt) == ("call-1", withdrawn.task.attempt + 1)
    assert made.task.key != withdrawn.task.key
