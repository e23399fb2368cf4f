"""What the gate says about one contact: holds, places, zones, hours and days."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from arrears.engine.contact.facts import ContactChannel, Facts
from arrears.engine.contact.gate import NEVER_OPEN, UNKNOWN_COUNTRY, UNKNOWN_ZONE, gate
from arrears.engine.contact.holds import suspension
from arrears.engine.contact.rules import ClosedDays, HoldRule, Pack, Per, Rulebook, StageGate, Window
from arrears.engine.contact.verdict import Allow, Defer, Deny, Review, Scope, Verdict
from arrears.engine.vocabulary import Party
from tests.builders import NEW_YORK, NOW, a_contact, a_hold, a_hold_rule, a_rule, a_window, closed_on, facts, rules

LONDON, LORD_HOWE, LOS_ANGELES = "Europe/London", "Australia/Lord_Howe", "America/Los_Angeles"
DAYTIME = rules(a_window("08:00", "21:00"))


def local(text: str, zone: str = NEW_YORK, *, fold: int = 0) -> datetime:
    """`2026-12-24 08:00` in `zone`, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def judged(at: datetime, rulebook: Rulebook = DAYTIME, about: Facts | None = None, channel: str = "call") -> Verdict:
    return gate(a_contact(channel), rulebook, about or facts(), now=at)


# --- hours -----------------------------------------------------------------------------------------------------


def test_one_second_before_opening_waits_for_the_opening():
    opening = local("2026-12-24 08:00")
    assert judged(opening - timedelta(seconds=1)) == Defer(opening, ("T-QH",), "outside the hours or days of contact")


def test_the_opening_second_is_open():
    assert judged(local("2026-12-24 08:00")) == Allow(("T-QH",))


def test_the_closing_second_is_closed_until_tomorrow():
    verdict = judged(local("2026-12-24 21:00"))
    assert isinstance(verdict, Defer)
    assert verdict.until == local("2026-12-25 08:00")
    assert isinstance(judged(local("2026-12-24 20:59:59")), Allow)


def test_what_no_rule_speaks_of_is_open_at_any_hour_and_needs_no_zone():
    rulebook = rules(a_window("08:00", "21:00", channels=[ContactChannel.CALL]))
    assert judged(local("2026-12-24 03:00"), rulebook, facts(zones=()), channel="letter") == Allow(())


def test_a_rule_for_agencies_does_not_bind_the_bank():
    rulebook = rules(replace(a_window("08:00", "21:00"), applies_to=frozenset({Party.THIRD})))
    night = local("2026-12-24 03:00")
    assert isinstance(gate(a_contact(by=Party.FIRST), rulebook, facts(), now=night), Allow)
    assert isinstance(gate(a_contact(by=Party.THIRD), rulebook, facts(), now=night), Defer)


def test_two_rules_leave_only_the_hours_both_allow():
    rulebook = rules(a_window("08:00", "21:00"), a_window("09:30", "19:00", id="T-QH-2"))
    assert judged(local("2026-12-24 08:00"), rulebook) == Defer(
        local("2026-12-24 09:30"), ("T-QH-2",), "outside the hours or days of contact"
    )
    assert judged(local("2026-12-24 07:00"), rulebook).rules == ("T-QH", "T-QH-2")


def test_two_zones_leave_only_the_hours_both_are_open():
    both = facts(zones=(NEW_YORK, LOS_ANGELES))
    verdict = judged(local("2026-12-24 08:30"), about=both)
    assert isinstance(verdict, Defer)
    assert verdict.until == local("2026-12-24 08:00", LOS_ANGELES)
    evening = judged(local("2026-12-24 21:00"), about=both)
    assert isinstance(evening, Defer)
    assert evening.until == local("2026-12-25 08:00", LOS_ANGELES)


def test_zones_that_are_never_open_together_go_to_a_person():
    rulebook = rules(a_window("09:00", "12:00"))
    verdict = judged(NOW, rulebook, facts(zones=(NEW_YORK, "Asia/Shanghai")))
    assert isinstance(verdict, Review)
    assert verdict.rules == (NEVER_OPEN, "T-QH")


# --- clock changes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "night", "opening"),
    [
        (NEW_YORK, "2027-03-13 22:00", "2027-03-14 12:00"),  # 08:00 EDT, the first morning of summer time
        (NEW_YORK, "2026-10-31 22:00", "2026-11-01 13:00"),  # 08:00 EST, the first of winter
        (LONDON, "2027-03-27 22:00", "2027-03-28 07:00"),
        (LONDON, "2026-10-24 22:00", "2026-10-25 08:00"),
        (LORD_HOWE, "2026-10-03 22:00", "2026-10-03 21:00"),  # a clock change of half an hour, to +11:00
        (LORD_HOWE, "2027-04-03 22:00", "2027-04-03 21:30"),  # and back to +10:30
    ],
)
def test_the_morning_after_a_clock_change_opens_at_the_new_eight_oclock(zone: str, night: str, opening: str):
    verdict = judged(local(night, zone), about=facts(zones=(zone,)))
    assert isinstance(verdict, Defer)
    assert verdict.until == datetime.fromisoformat(opening).replace(tzinfo=UTC)


def test_an_opening_that_the_clock_skips_comes_as_far_after_midnight():
    rulebook = rules(a_window("02:30", "21:00"))
    verdict = judged(local("2027-03-14 01:00"), rulebook)
    assert isinstance(verdict, Defer)
    assert verdict.until.astimezone(ZoneInfo(NEW_YORK)).strftime("%H:%M") == "03:30"


def test_an_opening_that_comes_twice_reopens_after_the_second():
    rulebook = rules(a_window("01:30", "21:00"))
    assert isinstance(judged(local("2026-11-01 01:40", fold=0), rulebook), Allow)
    verdict = judged(local("2026-11-01 01:10", fold=1), rulebook)
    assert isinstance(verdict, Defer)
    assert verdict.until == local("2026-11-01 01:30", fold=1)


# --- days ------------------------------------------------------------------------------------------------------


def test_a_closed_sunday_waits_for_monday_morning():
    rulebook = rules(a_window("08:00", "20:00"), closed_on(6))
    verdict = judged(local("2026-12-27 12:00"), rulebook)
    assert verdict == Defer(local("2026-12-28 08:00"), ("T-DAY", "T-QH"), "outside the hours or days of contact")


def test_saturday_night_before_a_closed_sunday_waits_for_monday_too():
    rulebook = rules(a_window("08:00", "20:00"), closed_on(6))
    verdict = judged(local("2026-12-26 21:00"), rulebook)
    assert isinstance(verdict, Defer)
    assert verdict.until == local("2026-12-28 08:00")
    assert verdict.rules == ("T-QH", "T-DAY")


def test_holidays_close_days_by_the_local_calendar():
    christmas = {date(2026, 12, 25), date(2026, 12, 26)}
    rulebook = rules(a_window("08:00", "20:00"), closed_on(6, calendars=["xmas"]), xmas=christmas)
    verdict = judged(local("2026-12-25 09:00"), rulebook)
    assert isinstance(verdict, Defer)
    assert verdict.until == local("2026-12-28 08:00")


def test_a_day_closed_in_one_zone_is_closed():
    rulebook = rules(closed_on(6))
    sunday_in_london = local("2026-12-27 01:00", LONDON)
    assert isinstance(judged(sunday_in_london, rulebook), Allow)
    assert isinstance(judged(sunday_in_london, rulebook, facts(zones=(NEW_YORK, LONDON))), Defer)


def test_a_calendar_that_is_never_open_goes_to_a_person():
    assert isinstance(judged(NOW, rules(closed_on(*range(7)))), Review)


# --- holds -----------------------------------------------------------------------------------------------------

BANKRUPTCY = a_hold_rule("BANKRUPTCY_STAY")
OPT_OUT = a_hold_rule("CHANNEL_OPTOUT", everything=False, own_channel=True)
NO_SUIT = a_hold_rule("TIME_BARRED", everything=False, channels=frozenset({ContactChannel.REFERRAL}))


def test_a_hold_denies_even_inside_the_hours_and_makes_the_case_stand_still():
    verdict = judged(NOW, rules(BANKRUPTCY), facts(a_hold("BANKRUPTCY_STAY")))
    assert verdict == Deny(("T-HOLD",), "hold: BANKRUPTCY_STAY", Scope.CASE)


def test_a_hold_is_in_force_from_its_first_instant_to_just_before_its_end():
    hold = replace(a_hold("BANKRUPTCY_STAY"), since=NOW, until=NOW + timedelta(days=2))
    rulebook = rules(BANKRUPTCY)
    assert isinstance(judged(NOW - timedelta(seconds=1), rulebook, facts(hold)), Allow)
    assert isinstance(judged(NOW, rulebook, facts(hold)), Deny)
    assert isinstance(judged(NOW + timedelta(days=2, seconds=-1), rulebook, facts(hold)), Deny)
    assert isinstance(judged(NOW + timedelta(days=2), rulebook, facts(hold)), Allow)


def test_a_hold_without_an_end_lasts_as_long_as_its_rule_says():
    rulebook = rules(a_hold_rule("BREATHING_SPACE", days=60))
    assert isinstance(judged(NOW, rulebook, facts(a_hold("BREATHING_SPACE", days_ago=59.9))), Deny)
    assert isinstance(judged(NOW, rulebook, facts(a_hold("BREATHING_SPACE", days_ago=60))), Allow)


def test_an_opt_out_blocks_the_channel_it_names_and_no_other():
    about = facts(a_hold("CHANNEL_OPTOUT", channel=ContactChannel.SMS))
    assert judged(NOW, rules(OPT_OUT), about, "sms") == Deny(("T-HOLD",), "hold: CHANNEL_OPTOUT", Scope.CONTACT)
    assert isinstance(judged(NOW, rules(OPT_OUT), about, "letter"), Allow)


def test_an_opt_out_that_names_no_channel_blocks_all_the_rule_lists():
    for channel in ("sms", "call", "letter"):
        assert isinstance(judged(NOW, rules(OPT_OUT), facts(a_hold("CHANNEL_OPTOUT")), channel), Deny)


def test_a_time_barred_debt_may_be_asked_for_but_not_sued_upon():
    about = facts(a_hold("TIME_BARRED"))
    assert isinstance(judged(NOW, rules(NO_SUIT), about, "letter"), Allow)
    assert isinstance(judged(NOW, rules(NO_SUIT), about, "referral"), Deny)


def test_a_house_hold_holds_where_no_law_is_known():
    rulebook = rules(house=[a_hold_rule("DISPUTE_OPEN", id="HOUSE-1")])
    verdict = judged(NOW, rulebook, facts(a_hold("DISPUTE_OPEN"), places=("XX",)))
    assert isinstance(verdict, Deny)
    assert verdict.rules == ("HOUSE-1",)


def test_the_case_stands_still_until_the_last_hold_ends():
    rulebook = rules(a_hold_rule("BREATHING_SPACE", days=60), BANKRUPTCY, OPT_OUT)
    short = a_hold("BREATHING_SPACE", days_ago=10)
    held = suspension(Party.FIRST, rulebook, facts(short, a_hold("CHANNEL_OPTOUT")), now=NOW)
    assert held is not None
    assert held.until == NOW + timedelta(days=50)
    endless = suspension(Party.FIRST, rulebook, facts(short, a_hold("BANKRUPTCY_STAY")), now=NOW)
    assert endless is not None
    assert endless.until is None
    assert suspension(Party.FIRST, rulebook, facts(a_hold("CHANNEL_OPTOUT")), now=NOW) is None


def test_a_hold_for_another_debt_counts_where_the_rule_is_the_persons():
    died = a_hold("DECEASED", other_debt=True)
    of_the_debt, of_the_person = a_hold_rule("DECEASED"), a_hold_rule("DECEASED", id="T-ALL", per=Per.PERSON)
    assert isinstance(judged(NOW, rules(of_the_debt), facts(died)), Allow)
    assert judged(NOW, rules(of_the_debt, of_the_person), facts(died)).rules == ("T-ALL",)
    assert suspension(Party.FIRST, rules(of_the_debt), facts(died), now=NOW) is None
    assert suspension(Party.FIRST, rules(of_the_person), facts(died), now=NOW) is not None


def test_a_hold_rule_is_kept_before_its_time_and_unread_but_not_after_its_end():
    today = NOW.date()
    early = a_hold_rule("DECEASED", effective_from=today + timedelta(days=30))
    unread = a_hold_rule("DECEASED", review_by=today - timedelta(days=30))
    over = a_hold_rule("DECEASED", effective_to=today - timedelta(days=1))
    last_day = a_hold_rule("DECEASED", effective_to=today)
    for rule, denied in ((early, True), (unread, True), (over, False), (last_day, True)):
        assert isinstance(judged(NOW, rules(rule), facts(a_hold("DECEASED"))), Deny) is denied


def test_a_hold_rule_speaks_of_its_own_purposes_and_debts():
    held = a_hold("DECEASED")
    of_other_words = rules(a_hold_rule("DECEASED", purposes=frozenset({"statutory_notices"})))
    assert isinstance(judged(NOW, of_other_words, facts(held)), Allow)
    assert suspension(Party.FIRST, of_other_words, facts(held), now=NOW) is None
    of_old_debts = rules(a_hold_rule("DECEASED", more_than_dpd=30))
    assert isinstance(judged(NOW, of_old_debts, facts(held, days_past_due=30)), Allow)
    assert isinstance(judged(NOW, of_old_debts, facts(held, days_past_due=31)), Deny)
    assert isinstance(judged(NOW, of_old_debts, facts(held)), Deny), "what is not known counts as so"
    of_the_accelerated = rules(a_hold_rule("DECEASED", first_party_once_accelerated=True))
    assert isinstance(judged(NOW, of_the_accelerated, facts(held, accelerated=False)), Allow)
    assert isinstance(judged(NOW, of_the_accelerated, facts(held, accelerated=True)), Deny)


def test_a_stage_gate_lets_go_of_a_hold_when_every_rule_of_its_kind_has():
    sixty, ninety = (a_hold_rule("BREATHING_SPACE", id=f"T-{days}", days=days) for days in (60, 90))
    no_placement = a_rule(
        StageGate,
        id="T-GATE",
        channels=frozenset({ContactChannel.PLACEMENT}),
        absent_holds=frozenset({"BREATHING_SPACE"}),
    )
    old = facts(a_hold("BREATHING_SPACE", days_ago=61))
    assert isinstance(judged(NOW, rules(sixty, no_placement), old, "placement"), Allow)
    assert isinstance(judged(NOW, rules(sixty, ninety, no_placement), old, "placement"), Deny)
    assert isinstance(judged(NOW, rules(no_placement), old, "placement"), Deny), "no rule says when it ends"
    elsewhere = facts(a_hold("BREATHING_SPACE", other_debt=True))
    assert isinstance(judged(NOW, rules(sixty, no_placement), elsewhere, "placement"), Allow)


# --- what nobody knows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [("XX",), ("US", "XX"), ()])
def test_a_place_without_rules_goes_to_a_person(places: tuple[str, ...]):
    verdict = judged(NOW, about=facts(places=places))
    assert isinstance(verdict, Review)
    assert verdict.rules == (UNKNOWN_COUNTRY,)
    assert isinstance(judged(NOW, about=facts(places=places, approved=True)), Allow)


def test_a_subdivision_without_rules_of_its_own_falls_back_to_its_country():
    assert isinstance(judged(local("2026-12-24 03:00"), about=facts(places=("US-TX",))), Defer)


def test_an_unknown_zone_is_denied_where_hours_matter():
    verdict = judged(NOW, about=facts(zones=()))
    assert isinstance(verdict, Deny)
    assert verdict.rules == (UNKNOWN_ZONE,)


def test_a_city_keeps_the_rules_of_its_state_and_country():
    packs = {
        "US": Pack("US", None, windows=(a_window("08:00", "21:00"),)),
        "US-NY": Pack("US-NY", "US"),
        "US-NY-NYC": Pack("US-NY-NYC", "US-NY", windows=(a_window("10:00", "18:00", id="NYC"),)),
    }
    verdict = judged(local("2026-12-24 07:00"), Rulebook("t", packs, {}), facts(places=("US-NY-NYC",)))
    assert isinstance(verdict, Defer)
    assert verdict.until == local("2026-12-24 10:00")
    assert set(verdict.rules) == {"T-QH", "NYC"}


def test_an_allowance_names_every_window_and_closed_day_it_rests_on_and_no_hold_that_was_not_in_force():
    shapes: list[Window | ClosedDays | HoldRule] = [a_window("08:00", "21:00"), closed_on(6), BANKRUPTCY]
    assert judged(NOW, rules(*shapes)) == Allow(("T-QH", "T-DAY"))
