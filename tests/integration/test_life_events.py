"""What happens outside, through the inbox: once each, in any order, with its consequences at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

import models
from arrears.channels.effect import Done, TryAgain
from arrears.clock import VirtualClock
from arrears.engine.life.events import (
    Adjustment,
    Billed,
    Charge,
    ConsentGiven,
    ConsentRevoked,
    HoldReleased,
    HoldSet,
    Instalment,
    LifeEvent,
    Payment,
    Plan,
    Promise,
    Residue,
    Reversal,
    Withdrawn,
)
from arrears.engine.vocabulary import ChannelName, Disposition
from arrears.ledger.cases import UnknownAccount, read_case_file
from arrears.operations.arrange import ArrangementRefused, plan, promise, withdraw
from arrears.operations.brakes import Budget
from arrears.operations.calls import record_call
from arrears.operations.drivers import give_to
from arrears.operations.enroll import enroll
from arrears.operations.hold import hold
from arrears.operations.inbox import EventRefused, receive
from arrears.operations.left_behind import settle_what_was_left
from arrears.operations.moves import Intended, next_move
from arrears.operations.pay import ChargeKind, PaymentRefused, adjust, charge, leftover, pay, reverse
from arrears.operations.perform import attempt, carry_out, settle
from arrears.operations.replay import replay
from arrears.operations.services import Services, open_services
from arrears.operations.show import show
from arrears.operations.standstill import broken_at
from arrears.operations.steer import approve, halt, resume
from arrears.settings import Settings
from tests.conftest import HEADER, START, a_row
from tests.integration.stories import Portfolio, at, last, open_tasks, steps, take_in, until

BY = {"source": "test", "who": "test"}


def posted(services: Services, amount: str, reference: str, *, day: float | None = None):
    when = at(services) if day is None else START + timedelta(days=day)
    return pay(services, "A-1", amount, reference=reference, at=when, **BY)


def billed(services: Services, amount: str, reference: str, *, due: int):
    """What the next statement asks for, known when it falls due though told only now."""
    day = START + timedelta(days=due)
    event = Billed(
        key=f"test:{reference}", at=day, due_on=day.date(), amount=int(Decimal(amount) * 100), balance=1300_00
    )
    return receive(services, "A-1", event, received_at=at(services), via="test", who="test")


def promised(services: Services, amount: str, due_on: date, reference: str = "PR-1"):
    return promise(services, "A-1", amount, due_on, reference=reference, at=at(services), **BY)


def behind_again(services: Services, *, day: float = 40) -> None:
    """What was owed is paid on day 6, and what fell due on day 30 has not been until `day`."""
    until(services, 6)
    posted(services, "120.00", "P-1")
    billed(services, "100.00", "B-1", due=30)
    until(services, day)


def cases(services: Services) -> list[tuple[int, str, str]]:
    """The days on which the account's delinquencies began, and their cases, the newest last."""
    with services.ledger.read() as session:
        rows = session.exec(select(models.Case).order_by(col(models.Case.opened_at))).all()
    return [((row.began - START.date()).days, row.status, row.outcome) for row in rows]


RUN = "11111111-1111-1111-1111-111111111111"


def on_a_timeline(services: Services) -> None:
    """The run RUN drives the account from now on."""
    with services.ledger.write() as session:
        case = read_case_file(session, "A-1", lock=True).case
        case.driver, case.flow_run_id = "timeline", RUN
        session.add(case)


# Money ------------------------------------------------------------------------------------------------------


def test_a_bounced_payment_reopens_the_case_where_it_was(enrolled: Services) -> None:
    until(enrolled, 6)
    posted(enrolled, "120.00", "P-1")
    assert (show(enrolled, "A-1")["status"], show(enrolled, "A-1")["outcome"]) == ("closed", "cured")
    until(enrolled, 10)
    back = reverse(enrolled, "A-1", "P-1", amount=None, reference="R-1", at=at(enrolled), **BY)
    assert (back.new, back.closed) == (True, False)
    shown = show(enrolled, "A-1")
    assert (shown["status"], shown["outcome"], shown["amount_due"]["amount"]) == ("delinquent", None, "120.00")
    assert shown["days_past_due"] == 10
    until(enrolled, 16)
    assert [step for step in steps(enrolled) if step[1] == "done"] == [
        ("sms-1", "done"),
        ("sms-2", "done"),
        ("sms-3", "done"),
    ]
    assert not reverse(enrolled, "A-1", "P-1", amount=None, reference="R-1", at=at(enrolled), **BY).new


def test_a_reversal_of_anothers_payment_is_refused_and_one_of_nothing_waits(
    services: Services, portfolio: Portfolio
) -> None:
    take_in(services, portfolio(a_row("A-1"), a_row("A-2")))
    posted(services, "20.00", "P-1")
    with pytest.raises(PaymentRefused, match="was made to another account"):
        reverse(services, "A-2", "P-1", amount=None, reference="R-1", at=START, **BY)
    reverse(services, "A-2", "P-2", amount=None, reference="R-2", at=START, **BY)
    assert show(services, "A-2")["balance"]["amount"] == "1200.50"
    pay(services, "A-2", "20.00", reference="P-2", at=START, **BY)
    assert show(services, "A-2")["balance"]["amount"] == "1200.50"


def test_charges_left_over_stop_the_ladder_until_somebody_decides(enrolled: Services) -> None:
    until(enrolled, 2)
    charge(enrolled, "A-1", ChargeKind.FEE, "15.00", reference="F-1", at=at(enrolled), **BY)
    posted(enrolled, "120.00", "P-1")
    shown = show(enrolled, "A-1")
    assert (shown["status"], shown["amount_due"]["amount"]) == ("held", "15.00")
    assert "only fees and interest are left" in shown["next"]["reason"]
    assert until(enrolled, 40).effects == 0
    leftover(enrolled, "A-1", waive=True, at=at(enrolled), who="test")
    shown = show(enrolled, "A-1")
    assert (shown["status"], shown["outcome"], shown["balance"]["amount"]) == ("closed", "cured", "1080.50")
    with pytest.raises(PaymentRefused, match="no charges left over"):
        leftover(enrolled, "A-1", waive=True, at=at(enrolled), who="test")


def test_charges_kept_are_collected(enrolled: Services) -> None:
    until(enrolled, 2)
    charge(enrolled, "A-1", ChargeKind.INTEREST, "15.00", reference="F-1", at=at(enrolled), **BY)
    posted(enrolled, "120.00", "P-1")
    leftover(enrolled, "A-1", waive=False, at=at(enrolled), who="test")
    assert show(enrolled, "A-1")["status"] == "delinquent"
    assert until(enrolled, 6).effects == 1


def test_a_timeline_goes_on_with_whichever_case_answers_for_what_is_owed(enrolled: Services) -> None:
    until(enrolled, 6)
    posted(enrolled, "120.00", "P-1")
    billed(enrolled, "100.00", "B-1", due=30)
    until(enrolled, 40)
    with enrolled.ledger.write() as session:
        case = session.exec(select(models.Case).where(models.Case.status != "closed")).one()
        case.driver, case.flow_run_id = "timeline", "the-run"
        session.add(case)

    def driven() -> list[tuple[date, str]]:
        with enrolled.ledger.read() as session:
            rows = session.exec(select(models.Case).where(col(models.Case.flow_run_id).is_not(None))).all()
            return [(row.began, row.status) for row in rows if row.timeline == "the-run"]

    billed(enrolled, "30.00", "B-0", due=15)
    assert driven() == [(date(2026, 8, 16), "delinquent")]
    posted(enrolled, "30.00", "P-0", day=20)
    assert driven() == [(date(2026, 8, 31), "delinquent")]


def test_delinquencies_that_are_heard_of_at_one_instant_have_an_order(enrolled: Services) -> None:
    until(enrolled, 6)
    posted(enrolled, "120.00", "P-1")
    until(enrolled, 40)
    for number, due in enumerate((10, 20, 30), start=2):
        billed(enrolled, "100.00", f"B-{number}", due=due)
        if due < 30:
            posted(enrolled, "100.00", f"P-{number}", day=due + 1)
    with enrolled.ledger.read() as session:
        rows = session.exec(select(models.Case).order_by(col(models.Case.began))).all()
    assert [row.status for row in rows] == ["closed", "closed", "closed", "delinquent"]
    opened = [row.opened_at for row in rows]
    assert opened == sorted(set(opened))
    assert show(enrolled, "A-1")["days_past_due"] == 10


def test_a_delinquency_that_is_heard_of_late_does_not_hide_the_one_that_lasts(enrolled: Services) -> None:
    behind_again(enrolled)
    told = [step for step in steps(enrolled) if step[1] == "done"]
    assert told
    # One of weeks before, over long since: it was owed for five days, and the one that lasts began thereafter.
    billed(enrolled, "30.00", "B-0", due=15)
    posted(enrolled, "30.00", "P-0", day=20)
    shown = show(enrolled, "A-1")
    assert (shown["status"], shown["days_past_due"], shown["amount_due"]["amount"]) == ("delinquent", 10, "100.00")
    assert until(enrolled, 60).effects
    posted(enrolled, "100.00", "P-2")
    assert (show(enrolled, "A-1")["status"], show(enrolled, "A-1")["outcome"]) == ("closed", "cured")


def test_what_is_over_may_be_heard_of_from_its_end(enrolled: Services) -> None:
    behind_again(enrolled)
    posted(enrolled, "30.00", "P-0", day=20)
    billed(enrolled, "30.00", "B-0", due=15)
    assert cases(enrolled) == [(0, "closed", "cured"), (15, "closed", "cured"), (30, "delinquent", "")]
    assert show(enrolled, "A-1")["amount_due"]["amount"] == "100.00"
    assert not replay(enrolled, "A-1", who="test")
    assert until(enrolled, 60).effects


def test_a_case_that_was_halted_goes_on_halted(enrolled: Services) -> None:
    until(enrolled, 6)
    halt(enrolled, "A-1", why="a mistake of ours", who="test", at=at(enrolled))
    posted(enrolled, "120.00", "P-1")
    reverse(enrolled, "A-1", "P-1", amount=None, reference="R-1", at=at(enrolled), **BY)
    assert until(enrolled, 60).effects == 0
    shown = show(enrolled, "A-1")
    assert (shown["status"], shown["next"]["reason"]) == ("halted", "halted: a mistake of ours")
    resume(enrolled, "A-1", who="test", at=at(enrolled))
    assert until(enrolled, 65).effects


def test_a_halt_goes_with_what_is_owed_from_case_to_case(enrolled: Services) -> None:
    behind_again(enrolled)
    halt(enrolled, "A-1", why="a mistake of ours", who="test", at=at(enrolled))
    billed(enrolled, "30.00", "B-0", due=15)
    assert cases(enrolled)[1:] == [(30, "closed", "merged"), (15, "halted", "")]
    assert until(enrolled, 50).effects == 0
    posted(enrolled, "30.00", "P-0", day=20)
    assert cases(enrolled)[1:] == [(15, "closed", "cured"), (30, "halted", "")]
    assert until(enrolled, 60).effects == 0
    resume(enrolled, "A-1", who="test", at=at(enrolled))
    reverse(enrolled, "A-1", "P-0", amount=None, reference="R-0", at=START + timedelta(days=21), **BY)
    assert cases(enrolled)[1:] == [(30, "closed", "merged"), (15, "delinquent", "")]


def test_what_a_closing_left_out_comes_back_under_whatever_name_it_closed(enrolled: Services) -> None:
    # The text was put back, and is due again when the first payment comes.
    until(enrolled, 1)
    morning = enrolled.at(VirtualClock(START + timedelta(days=1, hours=4)))
    move = next_move(morning, "A-1", who="test", budget=Budget())
    assert isinstance(move, Intended)
    settle(morning, move.intent, move.channel, TryAgain("busy", after=timedelta(0)), who="test")
    posted(morning, "120.00", "P-1", day=1.3)
    # Heard of later, of before: the case was not cured but paid.
    posted(morning, "1200.50", "P-2", day=1.2)
    assert (steps(enrolled), cases(enrolled)) == ([("sms-1", "skipped")], [(0, "closed", "paid")])
    for number in (2, 1):
        back = START + timedelta(days=2)
        reverse(morning, "A-1", f"P-{number}", amount=None, reference=f"R-{number}", at=back, **BY)
    assert steps(enrolled) == [("sms-1", "planned")]


def test_a_case_that_is_over_is_what_the_books_say_of_it_now(enrolled: Services) -> None:
    behind_again(enrolled)
    posted(enrolled, "100.00", "P-2")
    # The first payment bounced before the second delinquency began: there was only one, and it lasts.
    reverse(enrolled, "A-1", "P-1", amount=None, reference="R-1", at=START + timedelta(days=10), **BY)
    assert cases(enrolled) == [(30, "closed", "merged"), (0, "delinquent", "")]
    posted(enrolled, "120.00", "P-3", day=35)
    assert cases(enrolled) == [(30, "closed", "merged"), (0, "closed", "cured")]
    with enrolled.ledger.read() as session:
        [due] = session.exec(select(models.Case.due_date).where(models.Case.outcome == "cured")).all()
    assert due == date(2026, 8, 31)
    assert not replay(enrolled, "A-1", who="test")


def test_cases_that_an_older_program_left_out_of_order_are_put_in_order(enrolled: Services) -> None:
    behind_again(enrolled)
    with enrolled.ledger.write() as session:
        for row in session.exec(select(models.Case)):
            row.opened_at, row.next_due_at = START, at(enrolled)
            session.add(row)
    replay(enrolled, "A-1", who="test")
    assert cases(enrolled) == [(0, "closed", "cured"), (30, "delinquent", "")]
    with enrolled.ledger.read() as session:
        [earlier, newest] = session.exec(select(models.Case).order_by(col(models.Case.opened_at))).all()
    assert earlier.opened_at < newest.opened_at
    assert (earlier.next_due_at, newest.next_due_at) == (None, at(enrolled))


def test_whoever_drives_the_account_drives_the_case_that_stands_for_it_again(enrolled: Services) -> None:
    behind_again(enrolled)
    on_a_timeline(enrolled)
    billed(enrolled, "30.00", "B-0", due=15)
    assert show(enrolled, "A-1")["driver"] == "timeline"
    give_to(enrolled, "A-1", "sweep", who="test", at=at(enrolled))
    posted(enrolled, "30.00", "P-0", day=20)
    assert show(enrolled, "A-1")["driver"] == "sweep"


@pytest.mark.parametrize("amount", ["0", "abc", "1.234"])
def test_a_correction_that_is_none_is_refused(enrolled: Services, amount: str) -> None:
    with pytest.raises((ValueError, EventRefused)):
        adjust(enrolled, "A-1", amount, reference="C-1", at=START, **BY)
    assert show(enrolled, "A-1")["balance"]["amount"] == "1200.50"


def test_a_correction_may_close_a_case(enrolled: Services) -> None:
    adjust(enrolled, "A-1", "-120.00", reference="C-1", at=at(enrolled), **BY)
    assert show(enrolled, "A-1")["outcome"] == "cured"


# Calls ------------------------------------------------------------------------------------------------------


def test_a_call_in_the_queue_stays_there_when_another_delinquency_turns_out_to_be_over(enrolled: Services) -> None:
    behind_again(enrolled, day=61)
    [task] = open_tasks(enrolled)
    billed(enrolled, "30.00", "B-0", due=15)
    posted(enrolled, "30.00", "P-0", day=20)
    assert [each.key for each in open_tasks(enrolled)] == [task.key]
    posted(enrolled, "100.00", "P-2")
    assert open_tasks(enrolled) == []


def test_a_call_made_while_its_case_was_merged_is_not_made_again(enrolled: Services) -> None:
    behind_again(enrolled, day=61)
    billed(enrolled, "30.00", "B-0", due=15)
    record_call(enrolled, "A-1", Disposition.RIGHT_PARTY_CONTACT, by="Kim", note="spoke", at=at(enrolled))
    posted(enrolled, "30.00", "P-0", day=20)
    assert last(enrolled, "call-1")["disposition"] == "right_party_contact"
    assert "call" not in until(enrolled, 75).by_channel


def test_a_hold_takes_the_call_of_a_merged_case_out_of_the_queue(enrolled: Services) -> None:
    behind_again(enrolled, day=61)
    billed(enrolled, "30.00", "B-0", due=15)
    promised(enrolled, "130.00", date(2026, 10, 10))
    assert open_tasks(enrolled) == []
    posted(enrolled, "30.00", "P-0", day=20)
    assert last(enrolled, "call-1")["reason"] == "withdrawn before anybody called: promise until 2026-10-10"


# Agencies ---------------------------------------------------------------------------------------------------


def placed(services: Services) -> list[tuple[str, str, str]]:
    return [(each["rung"], each["status"], each["reason"]) for each in show(services, "A-1")["placements"]]


def test_an_agency_keeps_an_account_of_which_something_older_is_heard(enrolled: Services) -> None:
    behind_again(enrolled, day=123)
    assert placed(enrolled) == [("agency-1", "placed", "")]
    billed(enrolled, "30.00", "B-0", due=15)
    assert (cases(enrolled)[-1], placed(enrolled)) == ((15, "delinquent", ""), [("agency-1", "placed", "")])
    # The case that answers now was cured while it had come to its second text; what it left out is the agency's to do.
    assert until(enrolled, 126).by_channel == {}
    posted(enrolled, "30.00", "P-0", day=20)
    assert (cases(enrolled)[-1], placed(enrolled)) == ((30, "delinquent", ""), [("agency-1", "placed", "")])
    posted(enrolled, "100.00", "P-2")
    assert placed(enrolled) == [("agency-1", "recalled", "paid")]


@pytest.mark.parametrize("merged", [True, False])
def test_a_placement_found_in_an_earlier_case_is_looked_after(enrolled: Services, merged: bool) -> None:
    behind_again(enrolled, day=119)
    day = 119.0
    while True:
        now = enrolled.at(VirtualClock(START + timedelta(days=day)))
        match next_move(now, "A-1", who="test", budget=Budget()):
            case Intended(intent, channel) if channel is ChannelName.AGENCY:
                break
            case Intended(intent, channel):
                carry_out(now, intent, channel, who="test")
            case _:
                day += 1 / 24
    # The effect, after which the process dies before it has said so.
    assert isinstance(attempt(now, intent, channel), Done)
    if merged:
        billed(now, "30.00", "B-0", due=15)
    else:
        posted(now, "100.00", "P-2", day=day)
        billed(now, "50.00", "B-2", due=int(day) + 1)
    with enrolled.ledger.write() as session:
        step = session.exec(select(models.Step).where(models.Step.status == "intended")).one()
        step.lease_until = now.clock.wall() - timedelta(seconds=1)
        session.add(step)
    later = enrolled.at(VirtualClock(START + timedelta(days=day + 2)))
    assert settle_what_was_left(later, who="test") == 1
    with later.ledger.read() as session:
        recalls = [(row.final, row.why) for row in session.exec(select(models.Recall))]
    assert recalls == ([] if merged else [(True, "paid")])
    assert placed(enrolled) == ([("agency-1", "placed", "")] if merged else [])


def before_a_court(services: Services) -> None:
    behind_again(services, day=151)
    approve(services, "A-1", "legal-1", by="A. Counsel", at=at(services))
    until(services, 170)
    assert cases(services) == [(0, "closed", "cured"), (30, "closed", "referred")]


def test_what_is_before_a_court_stays_there_when_a_payment_of_before_did_not_stay(enrolled: Services) -> None:
    before_a_court(enrolled)
    reverse(enrolled, "A-1", "P-1", amount=None, reference="R-1", at=START + timedelta(days=10), **BY)
    assert cases(enrolled) == [(0, "closed", "merged"), (30, "closed", "referred")]
    assert show(enrolled, "A-1")["amount_due"]["amount"] == "220.00"
    assert until(enrolled, 200).effects == 0
    assert not replay(enrolled, "A-1", who="test")
    posted(enrolled, "120.00", "P-3", day=20)
    assert cases(enrolled) == [(0, "closed", "cured"), (30, "closed", "referred")]


def test_what_is_before_a_court_stays_there_when_an_older_due_is_heard_of(enrolled: Services) -> None:
    before_a_court(enrolled)
    billed(enrolled, "30.00", "B-0", due=15)
    assert until(enrolled, 200).effects == 0
    posted(enrolled, "30.00", "P-0", day=20)
    assert cases(enrolled) == [(0, "closed", "cured"), (15, "closed", "cured"), (30, "closed", "referred")]
    # What is missed after it is another delinquency.
    posted(enrolled, "100.00", "P-2")
    billed(enrolled, "60.00", "B-2", due=201)
    assert cases(enrolled)[-1] == (201, "delinquent", "")
    assert not replay(enrolled, "A-1", who="test")


# Promises and plans -----------------------------------------------------------------------------------------


def test_nothing_goes_out_while_a_promise_is_open_and_the_ladder_goes_on_when_it_breaks(enrolled: Services) -> None:
    until(enrolled, 2)
    promised(enrolled, "120.00", date(2026, 8, 10))
    shown = show(enrolled, "A-1")
    assert (shown["status"], shown["next"]["reason"]) == ("held", "held: promise until 2026-08-10")
    assert until(enrolled, 11).effects == 0
    assert show(enrolled, "A-1")["arrangements"] == [
        {
            "reference": "PR-1",
            "kind": "promise",
            "status": "open",
            "amount": "120.00",
            "paid": "0.00",
            "due_on": "2026-08-10",
        }
    ]
    until(enrolled, 13)
    assert show(enrolled, "A-1")["arrangements"][0]["status"] == "broken"
    assert last(enrolled, "sms-2")["status"] == "done"
    assert last(enrolled, "sms-2")["at"] > "2026-08-13T04:00:00Z"


def test_a_promise_takes_the_call_out_of_the_queue(enrolled: Services) -> None:
    until(enrolled, 31)
    assert len(open_tasks(enrolled)) == 1
    promised(enrolled, "120.00", date(2026, 9, 10))
    assert open_tasks(enrolled) == []
    assert last(enrolled, "call-1")["reason"] == "withdrawn before anybody called: promise until 2026-09-10"


def test_a_broken_promise_stays_broken_whatever_is_heard_of_before_it(enrolled: Services) -> None:
    behind_again(enrolled, day=32)
    promised(enrolled, "100.00", date(2026, 9, 4))
    until(enrolled, 40)

    def broken() -> datetime | None:
        with enrolled.ledger.read() as session:
            return broken_at(enrolled, read_case_file(session, "A-1"), now=at(enrolled))

    when = broken()
    assert when is not None
    billed(enrolled, "30.00", "B-0", due=15)
    posted(enrolled, "30.00", "P-0", day=20)
    assert broken() == when
    posted(enrolled, "100.00", "P-2")
    billed(enrolled, "90.00", "B-2", due=41)
    until(enrolled, 43)
    assert broken() is None, "the next delinquency knows nothing of it"


def test_a_kept_promise_that_cures_closes_the_case(enrolled: Services) -> None:
    until(enrolled, 2)
    promised(enrolled, "120.00", date(2026, 8, 10))
    until(enrolled, 8)
    assert posted(enrolled, "120.00", "P-1").closed
    assert show(enrolled, "A-1")["arrangements"][0]["status"] == "kept"


def test_a_promise_withdrawn_lets_the_ladder_go_on(enrolled: Services) -> None:
    until(enrolled, 2)
    promised(enrolled, "120.00", date(2026, 8, 30))
    until(enrolled, 8)
    withdraw(enrolled, "A-1", "PR-1", at=at(enrolled), **BY)
    assert until(enrolled, 9).effects == 1
    with pytest.raises(ArrangementRefused, match="is withdrawn; only an open one can end"):
        withdraw(enrolled, "A-1", "PR-1", at=at(enrolled), **BY)
    with pytest.raises(ArrangementRefused, match="is not known"):
        withdraw(enrolled, "A-1", "PR-9", at=at(enrolled), **BY)


@pytest.mark.parametrize(
    ("due_on", "says"),
    [(date(2026, 7, 31), "for 2026-07-31, which is past"), (date(2026, 12, 1), "none further away than 45 days")],
)
def test_a_promise_that_cannot_be_kept_or_is_too_far_away_is_refused(
    enrolled: Services, due_on: date, says: str
) -> None:
    with pytest.raises(ArrangementRefused, match=says):
        promised(enrolled, "50.00", due_on)
    assert show(enrolled, "A-1")["arrangements"] == []


def test_a_plan_pauses_the_ladder_while_it_is_kept_and_a_breach_ends_the_pause(enrolled: Services) -> None:
    until(enrolled, 2)
    parts = [(date(2026, 8, 10), "60.00"), (date(2026, 9, 10), "60.00")]
    plan(enrolled, "A-1", parts, misses_allowed=0, reference="PL-1", at=at(enrolled), **BY)
    until(enrolled, 9)
    posted(enrolled, "60.00", "P-1")
    assert until(enrolled, 41).effects == 0
    assert show(enrolled, "A-1")["arrangements"][0]["status"] == "open"
    until(enrolled, 44)
    assert show(enrolled, "A-1")["arrangements"][0]["status"] == "broken"
    assert last(enrolled, "call-1")["status"] == "done"


@pytest.mark.parametrize(
    ("parts", "misses", "says"),
    [
        ([], 0, "at least one instalment"),
        ([(date(2026, 8, 10), "60"), (date(2026, 8, 10), "60")], 0, "one after another"),
        ([(date(2026, 8, 10), "60")], 1, "fewer misses than it has instalments"),
    ],
)
def test_a_plan_that_is_none_is_refused(enrolled: Services, parts: list[Any], misses: int, says: str) -> None:
    with pytest.raises(ArrangementRefused, match=says):
        plan(enrolled, "A-1", parts, misses_allowed=misses, reference="PL-1", at=START, **BY)


def test_a_closed_case_takes_no_promise(enrolled: Services) -> None:
    posted(enrolled, "120.00", "P-1")
    with pytest.raises(ArrangementRefused, match="is closed: cured"):
        promised(enrolled, "50.00", date(2026, 8, 10))


# In any order -----------------------------------------------------------------------------------------------

_NOW = START + timedelta(days=200)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A ledger that takes a fresh pair of accounts for each example."""
    folder = tmp_path_factory.mktemp("any-order")
    opened = open_services(Settings(database_url=f"sqlite:///{folder / 'ledger.db'}", outbox=folder / "outbox"))
    yield opened.at(VirtualClock(_NOW))
    opened.close()


_days = st.integers(0, 90)
_amounts = st.integers(1, 200_00)


@st.composite
def _lives(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events as dictionaries, because each of the two people needs keys of their own; each has two accounts."""
    kinds = [Payment, Payment, Reversal, Charge, Adjustment, Billed, Residue, Promise, Plan, Withdrawn]
    kinds += [HoldSet, HoldSet, HoldReleased, ConsentGiven, ConsentGiven, ConsentRevoked, ConsentRevoked]
    channels = st.sampled_from(["sms", "call"])
    holds = st.sampled_from(["DISPUTE_OPEN", "DECEASED", "CHANNEL_OPTOUT"])
    count = draw(st.integers(1, 8))
    events: list[dict[str, Any]] = []
    for number in range(count):
        day, amount, other = draw(_days), draw(_amounts), draw(st.integers(0, count))
        soon = (START + timedelta(days=day + draw(st.integers(0, 30)))).date()
        match draw(st.sampled_from(kinds)):
            case kind if kind is Payment:
                more: dict[str, Any] = {"amount": amount}
            case kind if kind is Reversal:
                more = {"of": other, "amount": draw(st.none() | _amounts)}
            case kind if kind is Charge:
                more = {"kind": "fee", "amount": amount}
            case kind if kind is Adjustment:
                more = {"amount": -amount}
            case kind if kind is Billed:
                more = {"due_on": soon, "amount": amount, "balance": 3000_00}
            case kind if kind is Residue:
                more = {"waive": draw(st.booleans())}
            case kind if kind is Promise:
                more = {"amount": amount, "due_on": soon}
            case kind if kind is Plan:
                more = {"instalments": (Instalment(due_on=soon, amount=amount),)}
            case kind if kind is HoldSet:
                word = draw(holds)
                more = {"kind": word, "channel": draw(channels) if word == "CHANNEL_OPTOUT" else None}
            case kind if kind is HoldReleased:
                more = {"kind": draw(holds)}
            case kind if kind is ConsentGiven:
                more = {"channel": draw(channels)}
            case kind if kind is ConsentRevoked:
                more = {"channels": tuple(sorted(draw(st.sets(channels, min_size=1))))}
            case kind:
                more = {"of": other}
        # No two at one instant: of those, which was told first decides.
        moment = START + timedelta(days=day, minutes=number)
        events.append({"shape": kind, "number": number, "at": moment, "card": draw(st.integers(1, 2)), **more})
    return events


def _event(raw: dict[str, Any], person: str) -> tuple[str, LifeEvent]:
    values = dict(raw)
    shape, reference, card = values.pop("shape"), f"{person}-{values.pop('number')}", values.pop("card")
    if "of" in values:
        values["of"] = f"test:{person}-{values['of']}"
    return f"{person}-{card}", shape(key=f"test:{reference}", **values)


def _tell(services: Services, person: str, raws: list[dict[str, Any]]) -> None:
    for minute, raw in enumerate(raws):
        account, event = _event(raw, person)
        received_at = _NOW + timedelta(minutes=minute)
        receive(services, account, event, received_at=received_at, via="test", who="test")


def _state(services: Services, person: str) -> list[dict[str, Any]]:
    return [_account_state(services, f"{person}-{card}") for card in (1, 2)]


def _account_state(services: Services, account: str) -> dict[str, Any]:
    shown = show(services, account)
    with services.ledger.read() as session:
        cases = session.exec(
            select(models.Case).where(models.Case.account_id == account).order_by(col(models.Case.began))
        ).all()
        holds = session.exec(select(models.Hold).where(models.Hold.account_id == account)).all()
        consents = session.exec(select(models.Consent).where(models.Consent.account_id == account)).all()
    return {
        "cases": [(c.began, c.due_date, c.status, c.outcome, c.closed_at) for c in cases if c.outcome != "merged"],
        "arrangements": [{**each, "reference": each["reference"].rpartition("-")[2]} for each in shown["arrangements"]],
        "holds": sorted((h.since, h.kind, str(h.channel), str(h.released_at)) for h in holds),
        "consents": sorted((c.at, c.channel, str(c.withdrawn_at)) for c in consents),
        **{name: shown[name] for name in ("status", "balance", "amount_due", "outcome")},
    }


_pairs = iter(range(10**6))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(raws=_lives(), order=st.randoms(use_true_random=False))
def test_late_repeated_and_shuffled_events_end_where_those_in_order_end(
    many: Services, tmp_path_factory: pytest.TempPathFactory, raws: list[dict[str, Any]], order: Any
) -> None:
    number = next(_pairs)
    straight, shuffled = f"S{number}", f"T{number}"
    path: Path = tmp_path_factory.mktemp("pair") / "portfolio.csv"
    cards = [
        a_row(f"{person}-{card}", phone=f"+15185{place}{number:05}", holder_id=person)
        for place, person in enumerate((straight, shuffled), start=2)
        for card in (1, 2)
    ]
    path.write_text(HEADER.replace("currency", "currency,holder_id") + "".join(cards), encoding="utf-8")
    enroll(many, path, at=START, who="test", driver="sweep")
    _tell(many, straight, sorted(raws, key=lambda raw: (raw["at"], raw["number"])))
    mixed = [*raws, *order.choices(raws, k=3)]
    order.shuffle(mixed)
    _tell(many, shuffled, mixed)
    ended = _state(many, shuffled)
    assert ended == _state(many, straight)
    assert [replay(many, f"{shuffled}-{card}", who="test") for card in (1, 2)] == [False, False]
    assert _state(many, shuffled) == ended


def test_an_event_comes_once_and_a_reference_means_one_thing(enrolled: Services) -> None:
    assert posted(enrolled, "20.00", "P-1").new
    assert not posted(enrolled, "20.00", "P-1", day=3).new
    with pytest.raises(EventRefused, match="already used for another payment"):
        posted(enrolled, "21.00", "P-1")
    with enrolled.ledger.read() as session:
        [row] = session.exec(select(models.LifeEvent)).all()
    assert (row.kind, row.via, row.recorded_by) == ("payment", "test", "test")


def test_a_replay_makes_good_what_was_reckoned_wrongly(enrolled: Services) -> None:
    posted(enrolled, "20.00", "P-1")
    hold(enrolled, "A-1", "DISPUTE_OPEN", at=START, until=None, channel=None, who="test")
    right = show(enrolled, "A-1")
    with enrolled.ledger.write() as session:
        account = session.get_one(models.Account, "A-1")
        account.balance = account.amount_due = 1
        session.delete(session.exec(select(models.Hold)).one())
        session.add(account)
    assert replay(enrolled, "A-1", who="test")
    assert show(enrolled, "A-1") == right
    assert not replay(enrolled, "A-1", who="test")
    with pytest.raises(UnknownAccount):
        replay(enrolled, "A-9", who="test")


def test_a_payment_dated_yesterday_counts_from_yesterday(enrolled: Services) -> None:
    until(enrolled, 6)
    posted(enrolled, "120.00", "P-1", day=4)
    with enrolled.ledger.read() as session:
        [case] = session.exec(select(models.Case)).all()
        [event] = session.exec(select(models.Event).where(models.Event.what == "payment")).all()
    assert case.closed_at == START + timedelta(days=4)
    assert event.at == datetime.fromisoformat(show(enrolled, "A-1")["as_of"])
    assert "120" not in str(event.data)
