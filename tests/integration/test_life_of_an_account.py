"""Whole stories on a real ledger, on both databases: the climb, an outage, money, holds, brakes, people."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError
from sqlmodel import SQLModel, select

import models
from arrears.clock import VirtualClock
from arrears.engine.vocabulary import Disposition
from arrears.operations import brakes, steer
from arrears.operations.advance import record_failure
from arrears.operations.brakes import Budget
from arrears.operations.calls import record_call
from arrears.operations.hold import HoldRefused, hold, release
from arrears.operations.inbox import EventRefused
from arrears.operations.pay import pay
from arrears.operations.preview import preview
from arrears.operations.services import Services
from arrears.operations.show import show, status
from arrears.operations.sweep import ClockStandsLater, sweep
from arrears.settings import ROOT
from tests.conftest import START, a_row
from tests.integration.stories import Portfolio, at, dump, last, steps, take_in, until

# The climb ------------------------------------------------------------------------------------------------


def test_every_rung_comes_on_its_day_at_its_local_hour(enrolled: Services) -> None:
    until(enrolled, 95)
    made = {step["rung"]: step["at"] for step in reversed(show(enrolled, "A-1")["steps"])}
    assert made == {
        "sms-1": "2026-08-02T14:00:00Z",
        "sms-2": "2026-08-06T14:00:00Z",
        "sms-3": "2026-08-16T14:00:00Z",
        "call-1": "2026-08-31T14:00:00Z",
        "letter-1": "2026-09-15T13:00:00Z",
        "letter-2": "2026-09-30T13:00:00Z",
        "letter-3": "2026-10-15T13:00:00Z",
        "agency-1": "2026-10-30T13:00:00Z",
    }


def test_nobody_is_called_more_than_twice_in_seven_days_nor_after_placement(enrolled: Services) -> None:
    until(enrolled, 120)
    calls = [datetime.fromisoformat(s["at"]) for s in show(enrolled, "A-1")["steps"] if s["channel"] == "call"]
    assert len(calls) == 15
    for first in calls:
        assert sum(first <= other < first + timedelta(days=7) for other in calls) <= 2
    assert calls[-1] < datetime.fromisoformat(last(enrolled, "agency-1")["at"])


def test_reaching_the_holder_ends_the_calls(enrolled: Services) -> None:
    until(enrolled, 31)
    record_call(enrolled, "A-1", Disposition.RIGHT_PARTY_CONTACT, by="C. Ollector", at=at(enrolled))
    until(enrolled, 89)
    assert Counter(steps(enrolled))["call-1", "done"] == 1


def test_court_waits_for_a_person_and_then_the_case_is_closed(enrolled: Services) -> None:
    until(enrolled, 130)
    assert show(enrolled, "A-1")["next"] == {
        "rung": "legal-1",
        "at": None,
        "reason": "legal-1 waits for a person's approval",
    }
    assert steer.approve(enrolled, "A-1", "legal-1", by="A. Counsel", at=at(enrolled)).new is True
    assert steer.approve(enrolled, "A-1", "legal-1", by="A. Counsel", at=at(enrolled)).new is False
    until(enrolled, 131)
    shown = show(enrolled, "A-1")
    assert (shown["status"], shown["stage"], shown["outcome"]) == ("closed", "legal", "referred")


def test_a_small_balance_never_reaches_court(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio(a_row(amount_due="90.00", balance="90.00")))
    until(services, 130)
    assert last(services, "legal-1")["status"] == "skipped"
    assert last(services, "legal-1")["reason"] == "the balance is below what legal-1 is worth"


# After an outage --------------------------------------------------------------------------------------------


def test_a_case_that_slept_does_the_one_thing_that_fits_and_records_what_it_passed_over(
    enrolled: Services,
) -> None:
    woken = START + timedelta(days=100)
    asleep = enrolled.at(VirtualClock(woken))
    sweep(asleep, who="test", budget=Budget())
    assert steps(enrolled) == [
        ("sms-1", "skipped"),
        ("sms-2", "skipped"),
        ("sms-3", "skipped"),
        ("call-1", "skipped"),
        ("letter-1", "skipped"),
        ("letter-2", "skipped"),
        ("letter-3", "done"),
    ]
    assert last(enrolled, "letter-2")["reason"] == "its moment passed; merged into letter-3"
    until(enrolled, 130)
    placed, noticed = (datetime.fromisoformat(last(enrolled, rung)["at"]) for rung in ("agency-1", "letter-3"))
    assert placed - noticed >= timedelta(days=9, hours=12)


def test_contacts_keep_their_distance(enrolled: Services) -> None:
    until(enrolled, 120)
    contacts = sorted(
        datetime.fromisoformat(s["at"])
        for s in show(enrolled, "A-1")["steps"]
        if s["channel"] in ("sms", "call", "letter") and s["status"] == "done"
    )
    assert min(b - a for a, b in pairwise(contacts)) >= timedelta(hours=20)


def test_time_does_not_go_back(enrolled: Services) -> None:
    until(enrolled, 10)
    with pytest.raises(ClockStandsLater):
        until(enrolled, 5)


# Enrolment --------------------------------------------------------------------------------------------------


def test_the_same_file_again_changes_nothing(enrolled: Services, portfolio: Portfolio) -> None:
    before = dump(enrolled)
    again = take_in(enrolled, portfolio())
    assert (again.enrolled, again.already) == (0, 1)
    after = dump(enrolled)
    assert {name: rows for name, rows in after.items() if name != "events"} == {
        name: rows for name, rows in before.items() if name != "events"
    }


def test_bad_rows_are_refused_by_line_and_good_ones_go_in(services: Services, portfolio: Portfolio) -> None:
    path = portfolio(a_row("A-1"), a_row("A-2", due_date="31/11/2026"), a_row("A-3", currency="USX"))
    result = take_in(services, path)
    assert [(row.line, row.account_id) for row in result.rejected] == [(3, "A-2"), (4, "A-3")]
    assert result.enrolled == 1
    rejected = (path.parent / "portfolio.csv.rejected.csv").read_text()
    assert "due_date '31/11/2026' is no date; expected YYYY-MM-DD" in rejected


def test_an_account_that_owes_nothing_yet_is_current(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio(a_row("A-1", due_date="2026-08-20"), a_row("A-2", amount_due="0.00")))
    assert show(services, "A-1")["status"] == "current"
    shown = show(services, "A-2")
    assert (shown["status"], shown["stage"], shown["steps"], shown["next"]) == ("current", "none", [], None)
    assert status(services).by_status["current"] == 2


# Money ------------------------------------------------------------------------------------------------------


def test_a_payment_that_clears_the_debt_closes_the_case_and_nothing_more_goes_out(enrolled: Services) -> None:
    until(enrolled, 31)
    posted = pay(enrolled, "A-1", "1200.50", reference="P-1", at=at(enrolled), source="test", who="test")
    assert posted.closed
    before = steps(enrolled)
    assert until(enrolled, 130).effects == 0
    assert steps(enrolled) == before
    with enrolled.ledger.read() as session:
        assert {task.status for task in session.exec(select(models.CallTask))} == {"cancelled"}


def test_paying_part_of_what_is_past_due_lets_the_ladder_go_on(enrolled: Services) -> None:
    until(enrolled, 2)
    pay(enrolled, "A-1", "20.00", reference="P-1", at=at(enrolled), source="test", who="test")
    shown = show(enrolled, "A-1")
    assert shown["amount_due"] == {"amount": "100.00", "currency": "USD"}
    assert shown["balance"] == {"amount": "1180.50", "currency": "USD"}
    until(enrolled, 6)
    assert ("sms-2", "done") in steps(enrolled)


def test_a_payment_is_posted_once_per_reference(enrolled: Services) -> None:
    def post(amount: str):
        return pay(enrolled, "A-1", amount, reference="P-1", at=START, source="test", who="test")

    assert post("20.00").new
    assert not post("20.00").new
    with pytest.raises(EventRefused, match="already used"):
        post("30.00")
    assert show(enrolled, "A-1")["balance"]["amount"] == "1180.50"


# Holds ------------------------------------------------------------------------------------------------------


def test_a_hold_stops_everything_at_once_until_it_is_released(enrolled: Services) -> None:
    assert hold(enrolled, "A-1", "DISPUTE_OPEN", at=START, until=None, channel=None, who="test")
    assert show(enrolled, "A-1")["status"] == "held"
    assert until(enrolled, 20).effects == 0
    release(enrolled, "A-1", "dispute-open", at=at(enrolled), who="test")
    until(enrolled, 22)
    assert steps(enrolled) == [("sms-1", "skipped"), ("sms-2", "skipped"), ("sms-3", "done")]


def test_a_hold_with_an_end_wakes_by_itself(enrolled: Services) -> None:
    hold(enrolled, "A-1", "BREATHING_SPACE", at=START, until=START + timedelta(days=10), channel=None, who="test")
    until(enrolled, 9)
    assert steps(enrolled) == []
    until(enrolled, 12)
    assert ("sms-2", "done") in steps(enrolled)


def test_stop_silences_texts_only(enrolled: Services) -> None:
    hold(enrolled, "A-1", "CHANNEL_OPTOUT", at=START, until=None, channel="sms", who="test")
    until(enrolled, 31)
    assert Counter(status for rung, status in steps(enrolled) if rung.startswith("sms")) == {"skipped": 3}
    assert last(enrolled, "sms-1")["rules"] != []
    assert ("call-1", "done") in steps(enrolled)
    assert ("letter-for-sms-2", "done") in steps(enrolled), "a letter goes in the place of texts, once"


def test_an_unknown_hold_is_refused_with_the_kinds_there_are(enrolled: Services) -> None:
    with pytest.raises(HoldRefused, match="BANKRUPTCY_STAY"):
        hold(enrolled, "A-1", "DISPUTED", at=START, until=None, channel=None, who="test")


# Brakes -----------------------------------------------------------------------------------------------------


def test_the_kill_switch_is_seen_before_every_intent(enrolled: Services) -> None:
    brakes.stop(enrolled.ledger, why="audit", who="test", at=START, wall=START)
    swept = until(enrolled, 20)
    assert (swept.effects, swept.braked) == (0, "stopped: audit")
    assert brakes.start(enrolled.ledger, who="test", at=START, wall=START)
    assert until(enrolled, 20).effects == 3


def test_ceilings_hold_per_run_and_per_day(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio(*(a_row(f"A-{n}") for n in range(1, 6))))
    evening = 1.25
    assert until(services, evening, Budget(2)).effects == 2
    capped = replace(services, settings=services.settings.model_copy(update={"most_effects_per_day": 4}))
    assert until(capped, evening).effects == 2
    assert until(services, evening).effects == 1


def test_a_dry_run_counts_by_channel_and_changes_nothing(enrolled: Services) -> None:
    due = enrolled.at(VirtualClock(START + timedelta(days=1, hours=3)))
    before = dump(enrolled)
    assert preview(due) == {"sms": 1}
    assert dump(enrolled) == before


# People -----------------------------------------------------------------------------------------------------


def test_a_halted_case_stands_until_it_is_resumed(enrolled: Services) -> None:
    assert steer.halt(enrolled, "A-1", why="asked by the lender", who="test", at=START)
    assert until(enrolled, 3).effects == 0
    with pytest.raises(steer.SteeringRefused):
        steer.settle(enrolled, "A-1", "sms-1", steer.Settlement.DONE, by="me", why="-", at=START)
    steer.resume(enrolled, "A-1", who="test", at=at(enrolled))
    until(enrolled, 4)
    assert steps(enrolled) == [("sms-1", "done")]
    with pytest.raises(steer.SteeringRefused, match="not halted"):
        steer.resume(enrolled, "A-1", who="test", at=at(enrolled))


def test_five_failures_in_a_row_halt_the_case_for_a_person(enrolled: Services) -> None:
    for _ in range(5):
        record_failure(enrolled, "A-1", RuntimeError("+15185550101"), who="test")
    shown = show(enrolled, "A-1")
    assert shown["status"] == "halted"
    assert "+15185550101" not in str(shown)


# The ledger -------------------------------------------------------------------------------------------------


def test_the_event_log_is_append_only(enrolled: Services, database_url: str) -> None:
    engine = create_engine(database_url)
    for statement in ("UPDATE events SET why = 'x'", "DELETE FROM events"):
        with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()


def test_events_hold_no_personal_data(enrolled: Services) -> None:
    until(enrolled, 100)
    events = str(dump(enrolled)["events"])
    assert "intended" in events
    for secret in ("Ann Example", "+15185550101", "1200.50", "120050", "Main Street"):
        assert secret not in events


def test_the_migrations_lead_to_the_models(services: Services, database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
    engine.dispose()
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == models.SCHEMA_VERSION
