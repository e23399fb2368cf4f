"""Caps and cooldowns, to the second: what counts, on whose counter, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from arrears.engine.contact.facts import Consent, ContactChannel, Facts, Location, PastContact, Proposal
from arrears.engine.contact.gate import gate
from arrears.engine.contact.rules import Counts, Per, Rule, Span
from arrears.engine.contact.verdict import Allow, Defer, Verdict
from arrears.engine.vocabulary import Party
from tests.builders import NEW_YORK, a_cap, a_cooldown, a_window, facts, rules

CALL, SMS, VOICEMAIL = ContactChannel.CALL, ContactChannel.SMS, ContactChannel.VOICEMAIL
LOS_ANGELES, LONDON, KOLKATA = "America/Los_Angeles", "Europe/London", "Asia/Kolkata"
SECOND = timedelta(seconds=1)
# Noon in New York on a Wednesday.
WEDNESDAY = datetime(2026, 11, 18, 17, 0, tzinfo=UTC)
TO_CALL = Proposal(CALL, Party.FIRST, number="+12125550101", debt="A-1")
SEVEN_IN_SEVEN = a_cap(7, days=7, channels=[CALL])
A_DAY = a_cap(1, span=Span.LOCAL_DAYS, days=1, channels=[CALL])
A_WEEK = a_cap(1, span=Span.CALENDAR_WEEK, days=7, channels=[CALL])
COOL = a_cooldown(7, channels=[CALL])


def local(text: str, zone: str = NEW_YORK, *, fold: int = 0) -> datetime:
    """`2026-11-18 12:00` in `zone`, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def a_call(at: datetime, outcome: str = "no_answer", **other: object) -> PastContact:
    """A call that the bank made about A-1."""
    call = PastContact(CALL, at, outcome, number="+12125550101", debt="A-1", actor=Party.FIRST)
    return replace(call, **other)  # type: ignore[arg-type]


def judged(at: datetime, rule: Rule, *history: PastContact, what: Proposal = TO_CALL, **about: object) -> Verdict:
    known: Facts = facts(history=history, **about)  # type: ignore[arg-type]
    return gate(what, rules(rule), known, now=at)


def assert_opens(opening: datetime, rule: Rule, *history: PastContact, what: Proposal = TO_CALL, **about: object):
    """Shut a second before `opening`, and says so; open at it."""
    before = judged(opening - SECOND, rule, *history, what=what, **about)
    assert isinstance(before, Defer), before
    assert before.until == opening
    assert before.rules == (rule.id,)
    assert before.reason == "too soon after earlier contacts or notices"
    assert isinstance(judged(opening, rule, *history, what=what, **about), Allow)


def days_before(moment: datetime, days: Iterable[float]) -> list[PastContact]:
    return [a_call(moment - timedelta(days=ago)) for ago in days]


# Rolling spans ------------------------------------------------------------------------------------------------


def test_the_seventh_call_in_seven_days_is_made_and_the_eighth_waits():
    six = days_before(WEDNESDAY, range(1, 7))
    assert isinstance(judged(WEDNESDAY, SEVEN_IN_SEVEN, *six), Allow)
    seven = [*six, a_call(WEDNESDAY - timedelta(hours=1))]
    assert isinstance(judged(WEDNESDAY, SEVEN_IN_SEVEN, *seven), Defer)


def test_room_comes_seven_times_twenty_four_hours_after_the_first_of_seven():
    seven = days_before(WEDNESDAY, [6.9, 6, 5, 4, 3, 2, 1])
    assert_opens(WEDNESDAY - timedelta(days=6.9) + timedelta(days=7), SEVEN_IN_SEVEN, *seven)


def test_a_rolling_week_keeps_its_hundred_and_sixty_eight_hours_when_the_clock_changes():
    first = local("2026-10-28 12:00")
    assert_opens(first + timedelta(hours=168), a_cap(1, days=7, channels=[CALL]), a_call(first))
    assert (first + timedelta(hours=168)).astimezone(ZoneInfo(NEW_YORK)).hour == 11


def test_of_more_than_the_cap_all_but_the_last_few_have_to_age():
    rule = a_cap(2, days=1, channels=[CALL])
    calls = [a_call(WEDNESDAY - timedelta(hours=hours)) for hours in (20, 9, 3)]
    assert_opens(WEDNESDAY - timedelta(hours=9) + timedelta(days=1), rule, *calls)


def test_the_order_in_which_history_is_told_does_not_matter():
    rule = a_cap(2, days=1, channels=[CALL])
    calls = [a_call(WEDNESDAY - timedelta(hours=hours)) for hours in (3, 20, 9)]
    assert_opens(WEDNESDAY - timedelta(hours=9) + timedelta(days=1), rule, *calls)


def test_room_that_comes_at_night_waits_for_the_morning_and_both_rules_are_named():
    rule = a_cap(1, days=1, channels=[CALL])
    known = facts(history=[a_call(local("2026-11-17 20:59"))])
    verdict = gate(TO_CALL, rules(rule, a_window("08:00", "20:00")), known, now=local("2026-11-18 09:00"))
    assert isinstance(verdict, Defer)
    assert verdict.until == local("2026-11-19 08:00")
    assert set(verdict.rules) == {"T-CAP", "T-QH"}
    assert verdict.reason == "too soon after earlier contacts or notices, and then outside the hours or days of contact"


# Local days ---------------------------------------------------------------------------------------------------


def test_a_cap_by_the_day_has_room_again_at_local_midnight():
    assert_opens(local("2026-11-19 00:00"), A_DAY, a_call(local("2026-11-18 23:59:59")))
    assert_opens(local("2026-11-19 00:00"), A_DAY, a_call(local("2026-11-18 00:00")))


def test_three_local_days_end_at_the_third_midnight():
    rule = a_cap(1, span=Span.LOCAL_DAYS, days=3, channels=[CALL])
    assert_opens(local("2026-11-21 00:00"), rule, a_call(WEDNESDAY))


@pytest.mark.parametrize(
    ("call", "hours"),
    [("2026-11-01 00:00", 25), ("2027-03-14 00:00", 23)],
)
def test_a_local_day_is_as_long_as_the_clock_makes_it(call: str, hours: int):
    assert_opens(local(call) + timedelta(hours=hours), A_DAY, a_call(local(call)))


def test_the_hour_that_comes_twice_belongs_to_one_day():
    second_half_past_one = local("2026-11-01 01:30", fold=1)
    assert isinstance(judged(second_half_past_one, A_DAY, a_call(local("2026-11-01 01:30", fold=0))), Defer)


def test_with_two_zones_the_day_has_to_end_in_both():
    call = a_call(local("2026-11-18 12:00"))
    assert_opens(local("2026-11-19 00:00", LOS_ANGELES), A_DAY, call, zones=(NEW_YORK, LOS_ANGELES))
    assert_opens(local("2026-11-19 00:00", LOS_ANGELES), A_DAY, call, zones=(LOS_ANGELES, NEW_YORK))


def test_a_call_that_is_already_tomorrow_in_the_second_zone_counts_there_until_tomorrow_ends():
    # 23:00 in London on the 18th is 04:30 on the 19th in Kolkata.
    call = a_call(local("2026-11-18 23:00", LONDON))
    assert_opens(local("2026-11-20 00:00", KOLKATA), A_DAY, call, zones=(LONDON, KOLKATA))


# Calendar weeks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "opens"),
    [
        ("2026-11-18 12:00", "2026-11-23 00:00"),  # a Wednesday: until Monday, past the Sunday
        ("2026-11-16 00:00", "2026-11-23 00:00"),  # the Monday itself
        ("2026-11-21 23:59:59", "2026-11-23 00:00"),  # Saturday: Sunday's week ends first, Monday's a day later
        ("2026-11-22 00:00", "2026-11-29 00:00"),  # a Sunday begins a Sunday-week, which ends next Saturday
    ],
)
def test_a_calendar_week_needs_room_in_mondays_and_in_sundays_week(call: str, opens: str):
    assert_opens(local(opens), A_WEEK, a_call(local(call)))


def test_the_week_after_is_another_week_even_a_minute_later():
    rule = a_cap(3, span=Span.CALENDAR_WEEK, days=7, channels=[CALL])
    saturday = [a_call(local(f"2026-11-21 {hour}:00")) for hour in (10, 11, 12)]
    assert_opens(local("2026-11-23 00:00"), rule, *saturday)


def test_a_week_has_to_end_in_every_zone():
    assert_opens(local("2026-11-23 00:00", LOS_ANGELES), A_WEEK, a_call(WEDNESDAY), zones=(NEW_YORK, LOS_ANGELES))


# Whose counter ------------------------------------------------------------------------------------------------

ONE = a_cap(1, days=7, channels=[CALL])
EARLIER = WEDNESDAY - timedelta(days=1)


def test_a_cap_for_each_debt_leaves_the_other_debt_its_own():
    rule = replace(ONE, per=Per.DEBT)
    assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER, debt="A-2")), Allow)
    assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER, debt="A-1")), Defer)


def test_a_cap_for_the_person_counts_calls_about_every_debt():
    assert isinstance(judged(WEDNESDAY, ONE, a_call(EARLIER, debt="A-2")), Defer)


def test_a_cap_for_each_number_leaves_the_other_number_its_own():
    rule = replace(ONE, per=Per.NUMBER)
    assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER, number="+12125550199")), Allow)
    assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER)), Defer)


@pytest.mark.parametrize(("per", "unknown"), [(Per.DEBT, {"debt": ""}), (Per.NUMBER, {"number": ""})])
def test_what_is_not_known_to_be_on_another_counter_counts(per: Per, unknown: dict[str, str]):
    rule = replace(ONE, per=per)
    assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER, **unknown)), Defer)
    assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER), what=replace(TO_CALL, **unknown)), Defer)


def test_a_contact_about_two_debts_counts_once_for_the_person_and_once_for_each_debt():
    told = [a_call(EARLIER, debt="A-2"), a_call(EARLIER, debt="A-1", carried=True)]
    two = replace(ONE, most=2)
    assert isinstance(judged(WEDNESDAY, two, *told), Allow)
    assert isinstance(judged(WEDNESDAY, replace(two, per=Per.NUMBER), *told), Allow)
    for debt in ("A-1", "A-2"):
        assert isinstance(judged(WEDNESDAY, replace(ONE, per=Per.DEBT), *told, what=replace(TO_CALL, debt=debt)), Defer)
    third = replace(TO_CALL, debt="A-3")
    assert isinstance(judged(WEDNESDAY, replace(ONE, per=Per.DEBT), *told, what=third), Allow)
    # A proposal that names no debt is about any: the one call counts, once.
    unnamed = replace(TO_CALL, debt="")
    assert isinstance(judged(WEDNESDAY, replace(two, per=Per.DEBT), *told, what=unnamed), Allow)
    assert isinstance(judged(WEDNESDAY, replace(ONE, per=Per.DEBT), *told, what=unnamed), Defer)


def test_a_cap_for_each_collector_leaves_the_agency_its_own():
    rule = replace(ONE, per_collector=True)
    assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER, actor=Party.THIRD)), Allow)
    assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER, actor=Party.FIRST)), Defer)
    assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER, actor=None)), Defer)
    assert isinstance(judged(WEDNESDAY, ONE, a_call(EARLIER, actor=Party.THIRD)), Defer)


# What counts --------------------------------------------------------------------------------------------------

UNCOUNTED = frozenset({"busy", "not_in_service"})


@pytest.mark.parametrize("outcome", ["busy", "not_in_service"])
def test_a_call_that_did_not_ring_is_no_attempt_where_the_rule_says_so(outcome: str):
    assert isinstance(judged(WEDNESDAY, replace(ONE, uncounted=UNCOUNTED), a_call(EARLIER, outcome)), Allow)
    assert isinstance(judged(WEDNESDAY, ONE, a_call(EARLIER, outcome)), Defer)


@pytest.mark.parametrize("outcome", ["voicemail", "no_answer", "wrong_number", "promise", "third_party_answered", ""])
def test_a_voicemail_a_ring_out_and_a_call_whose_outcome_is_not_known_count(outcome: str):
    assert isinstance(judged(WEDNESDAY, replace(ONE, uncounted=UNCOUNTED), a_call(EARLIER, outcome)), Defer)


def test_calls_received_are_no_attempts():
    assert isinstance(judged(WEDNESDAY, ONE, a_call(EARLIER, "conversation", outbound=False)), Allow)


def test_only_the_rules_channels_count_and_all_of_them_together():
    text = PastContact(SMS, EARLIER)
    assert isinstance(judged(WEDNESDAY, ONE, text), Allow)
    assert isinstance(judged(WEDNESDAY, a_cap(1, days=7, channels=[CALL, SMS]), text), Defer)


def test_a_cap_on_conversations_counts_those_and_what_may_have_been_one():
    rule = replace(ONE, counts=Counts.CONVERSATIONS)
    assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER, "no_answer")), Allow)
    for outcome in ("right_party_contact", "promise", "refusal", "callback_requested", "conversation", ""):
        assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER, outcome)), Defer), outcome


def test_a_cap_on_unanswered_calls_leaves_conversations_out():
    rule = replace(ONE, counts=Counts.UNANSWERED)
    assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER, "promise")), Allow)
    for outcome in ("no_answer", "voicemail", "third_party_answered", ""):
        assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER, outcome)), Defer), outcome


def test_a_cap_on_the_workplace_counts_and_stops_calls_there_only():
    rule = replace(ONE, location=Location.WORKPLACE)
    at_work = a_call(EARLIER, location=Location.WORKPLACE)
    assert isinstance(judged(WEDNESDAY, rule, at_work), Allow)
    to_work = replace(TO_CALL, location=Location.WORKPLACE)
    assert isinstance(judged(WEDNESDAY, rule, at_work, what=to_work), Defer)
    assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER), what=to_work), Allow)


# Cooldowns ----------------------------------------------------------------------------------------------------


def test_the_day_of_the_conversation_is_the_first_of_the_seven():
    # CFPB, comment 14(b)(2)(i)(B)-1: spoken to on the 18th, called again on the 25th at the earliest.
    assert_opens(local("2026-11-25 00:00"), COOL, a_call(local("2026-11-18 08:00"), "right_party_contact"))
    assert_opens(local("2026-11-25 00:00"), COOL, a_call(local("2026-11-18 23:59"), "right_party_contact"))


def test_a_conversation_that_the_holder_began_starts_the_cooldown_too():
    received = a_call(local("2026-11-18 12:00"), "conversation", outbound=False)
    assert_opens(local("2026-11-25 00:00"), COOL, received)


@pytest.mark.parametrize("outcome", ["no_answer", "voicemail", "busy", "wrong_number", "third_party_answered", ""])
def test_what_was_no_conversation_starts_no_cooldown(outcome: str):
    assert isinstance(judged(WEDNESDAY, COOL, a_call(EARLIER, outcome)), Allow)


def test_the_last_conversation_is_the_one_that_matters():
    talks = [a_call(local(f"2026-11-{day} 12:00"), "refusal") for day in (18, 16, 12)]
    assert_opens(local("2026-11-25 00:00"), COOL, *talks)


def test_a_cooldown_ends_where_midnight_comes_last():
    talk = a_call(local("2026-11-18 12:00"), "promise")
    assert_opens(local("2026-11-25 00:00", LOS_ANGELES), COOL, talk, zones=(NEW_YORK, LOS_ANGELES))


def test_a_cooldown_for_one_debt_leaves_the_other_alone():
    rule = replace(COOL, per=Per.DEBT)
    assert isinstance(judged(WEDNESDAY, rule, a_call(EARLIER, "promise", debt="A-2")), Allow)
    assert isinstance(judged(WEDNESDAY, COOL, a_call(EARLIER, "promise", debt="A-2")), Defer)


# Consent ------------------------------------------------------------------------------------------------------

EXEMPT = replace(ONE, consent_days=7)
EXEMPT_COOL = replace(COOL, consent_days=7)
AGREED = Consent(CALL, local("2026-11-18 12:00"))


def test_calls_within_seven_days_of_consent_are_not_stopped():
    call = a_call(local("2026-11-18 11:00"))
    assert isinstance(judged(local("2026-11-18 11:59:59"), EXEMPT, call, consents=(AGREED,)), Defer)
    for at in ("2026-11-18 12:00", "2026-11-24 23:59:59"):
        assert isinstance(judged(local(at), EXEMPT, call, consents=(AGREED,)), Allow), at


def test_calls_within_seven_days_of_consent_are_not_counted_afterwards():
    during, after = a_call(local("2026-11-24 23:59:59")), a_call(local("2026-11-25 00:00"))
    assert isinstance(judged(local("2026-11-25 12:00"), EXEMPT, during, consents=(AGREED,)), Allow)
    assert isinstance(judged(local("2026-11-25 12:00"), EXEMPT, after, consents=(AGREED,)), Defer)


def test_the_days_of_consent_end_where_midnight_comes_first():
    call, zones = a_call(local("2026-11-18 11:00")), (LOS_ANGELES, NEW_YORK)
    midnight = local("2026-11-25 00:00", NEW_YORK)
    assert isinstance(judged(midnight - SECOND, EXEMPT, call, consents=(AGREED,), zones=zones), Allow)
    assert isinstance(judged(midnight, EXEMPT, call, consents=(AGREED,), zones=zones), Defer)


def test_a_conversation_ends_what_the_consent_allowed():
    talk = a_call(local("2026-11-19 10:00"), "promise")
    assert isinstance(judged(local("2026-11-19 10:30"), EXEMPT_COOL, talk, consents=(AGREED,)), Defer)
    anew = Consent(CALL, local("2026-11-19 10:15"))
    assert isinstance(judged(local("2026-11-19 10:30"), EXEMPT_COOL, talk, consents=(AGREED, anew)), Allow)


def test_consent_to_texts_says_nothing_about_calls():
    to_texts = Consent(SMS, AGREED.at)
    call = a_call(local("2026-11-18 11:00"))
    assert isinstance(judged(local("2026-11-18 13:00"), EXEMPT, call, consents=(to_texts,)), Defer)


def test_where_the_rule_grants_no_days_consent_changes_nothing():
    call = a_call(local("2026-11-18 11:00"))
    assert isinstance(judged(local("2026-11-18 13:00"), ONE, call, consents=(AGREED,)), Defer)


def test_a_consent_that_is_not_given_yet_opens_nothing():
    call = a_call(local("2026-11-17 12:00"))
    later = Consent(CALL, local("2026-11-19 12:00"))
    verdict = judged(local("2026-11-18 12:00"), EXEMPT, call, consents=(later,))
    assert isinstance(verdict, Defer)
    assert verdict.until == local("2026-11-24 12:00")
