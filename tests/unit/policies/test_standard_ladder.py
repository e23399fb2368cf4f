"""The ladder as shipped, and how it is drawn."""

from __future__ import annotations

from datetime import date, time

from arrears.engine.ladder import Approved, DaysPastDue, Late, NotTimeBarred
from arrears.engine.vocabulary import Stage
from arrears.policies.draw import draw
from tests.builders import NEW_YORK, standard_ladder

LADDER = standard_ladder()
DUE = date(2026, 11, 23)


def test_the_rungs_stand_in_the_order_of_the_trade():
    assert [rung.name for rung in LADDER.rungs if not rung.stands_in_for] == [
        "sms-1", "sms-2", "sms-3", "call-1", "letter-1", "letter-2", "letter-3", "agency-1", "legal-1",
    ]  # fmt: skip
    assert list(dict.fromkeys(rung.stage for rung in LADDER.rungs)) == [stage for stage in Stage if stage.height]


def test_every_rung_falls_due_on_its_day():
    days = {rung.name: rung.due.days for rung in LADDER.rungs if isinstance(rung.due, DaysPastDue)}
    assert days == {
        "sms-1": 1, "sms-2": 5, "sms-3": 15, "call-1": 30, "letter-1": 45, "letter-2": 60, "letter-3": 75,
        "agency-1": 90, "legal-1": 120,
    }  # fmt: skip


def test_calls_go_on_twice_a_week_until_somebody_is_reached_or_day_ninety():
    call = LADDER.by_name["call-1"]
    assert (call.attempts.most, call.attempts.days_apart, call.until_dpd) == (15, 4, 90)
    assert {str(outcome) for outcome in call.ends_on} == {"right_party_contact", "promise"}


def test_what_must_come_before_placement_and_court_cannot_be_dropped_for_being_late():
    assert all(LADDER.by_name[name].late is Late.GO for name in ("letter-3", "agency-1", "legal-1"))


def test_the_court_needs_a_person_and_a_claim_in_time():
    requires = LADDER.by_name["legal-1"].requires
    assert Approved() in requires
    assert NotTimeBarred() in requires


def test_letters_go_an_hour_before_calls_so_that_twenty_hours_lie_between():
    at = {rung.stage: rung.due.at for rung in LADDER.rungs}
    assert (at[Stage.LETTER], at[Stage.CALL]) == (time(9), time(10))


def test_it_is_drawn_with_the_dates_of_an_account():
    rows = {row.rung: row for row in draw(LADDER, DUE, NEW_YORK)}
    assert [row.when for name, row in rows.items() if not name.startswith("letter-for-")] == [
        "2026-11-24 10:00 EST (1 day past due)",
        "2026-11-28 10:00 EST (5 days past due)",
        "2026-12-08 10:00 EST (15 days past due)",
        "2026-12-23 10:00 EST (30 days past due)",
        "2027-01-07 09:00 EST (45 days past due)",
        "2027-01-22 09:00 EST (60 days past due)",
        "2027-02-06 09:00 EST (75 days past due)",
        "2027-02-21 09:00 EST (90 days past due)",
        "2027-03-23 09:00 EDT (120 days past due)",
    ]
    assert rows["letter-for-sms-2"].when == "once, if no text reaches the holder by sms-2"
    call, agency, legal = rows["call-1"], rows["agency-1"], rows["legal-1"]
    assert (call.attempts, call.until) == ("up to 15, every 4 days", "before 2027-02-21 (90 days past due)")
    assert agency.requires == "10 days after letter-3 is done"
    assert legal.requires == (
        "14 days after agency-1 is done; 6 contacts without a payment or 8 calls without reaching the holder; "
        "balance at least 500.00 USD, 400.00 GBP, 450.00 EUR, 40000.00 INR, 3500.00 CNY; not time-barred; "
        "a person's approval"
    )
