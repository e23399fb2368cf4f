"""Notices before placement and referral: their clock, the rungs they become, and the wait until they have run out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from arrears.engine.case import Case
from arrears.engine.contact.facts import Facts, NoticeGiven
from arrears.engine.contact.gate import gate
from arrears.engine.contact.notices import expires, with_notices
from arrears.engine.contact.rules import NoticeRule, Rulebook
from arrears.engine.contact.verdict import Allow, Defer
from arrears.engine.decide import Close, Perform, Skip, Wait, decide
from arrears.engine.ladder import AfterDone, DaysAfter, DaysPastDue, Ladder, Late, Rung
from arrears.engine.vocabulary import ChannelName, Stage, StepStatus
from tests.builders import (
    NEW_YORK,
    NOW,
    a_case,
    a_contact,
    a_rule,
    facts,
    made,
    rules,
    shipped_rules,
    standard_ladder,
)

LONDON, LOS_ANGELES = "Europe/London", "America/Los_Angeles"
TODAY = date(2026, 11, 24)
SECOND = timedelta(seconds=1)
REFERRAL, PLACEMENT = a_contact("referral"), a_contact("placement")


def local(text: str, zone: str = NEW_YORK) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def a_notice(days: int, *, before: str = "referral", name: str = "default_notice", **other: object) -> NoticeRule:
    fields = {"id": "T-NOTICE", "notice": name, "calendar_days": days, "template": name.replace("_", "-"), **other}
    return a_rule(NoticeRule, channels=[a_contact(before).channel], **fields)


def ends(rule: NoticeRule, given: str, *zones: str, **calendars: object) -> datetime:
    everywhere = zones or (NEW_YORK,)
    return expires(rule, local(given, everywhere[0]), everywhere, calendars)  # type: ignore[arg-type]


# The clock ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hour", ["00:00", "09:00", "23:59:59"])
def test_fourteen_days_after_the_first_have_passed_when_the_fifteenth_is_over(hour: str):
    assert ends(a_notice(14), f"2026-10-01 {hour}") == local("2026-10-16 00:00")


def test_calendar_days_count_weekends_and_holidays():
    bank_holidays = {date(2026, 12, 25), date(2026, 12, 28)}
    rule = a_notice(14, calendar="bank")
    assert ends(rule, "2026-12-18 09:00", bank=bank_holidays) == local("2027-01-02 00:00")


def test_a_period_keeps_its_days_when_the_clock_changes():
    assert ends(a_notice(14), "2026-10-25 09:00") == local("2026-11-09 00:00")


def test_receipt_is_taken_to_be_so_many_business_days_after_sending():
    # Sent on a Thursday; Friday, Monday to Wednesday, Thursday are the five; then ten calendar days.
    rule = a_notice(10, receipt_business_days=5)
    assert ends(rule, "2026-10-01 09:00") == local("2026-10-19 00:00")


def test_holidays_put_off_a_receipt_that_is_counted_in_business_days():
    rule = a_notice(10, receipt_business_days=5, calendar="bank")
    columbus = {date(2026, 10, 5)}
    assert ends(rule, "2026-10-01 09:00", bank=columbus) == local("2026-10-20 00:00")
    assert ends(rule, "2026-10-01 09:00", bank=set()) == local("2026-10-19 00:00")


def test_what_is_sent_on_a_saturday_is_received_as_if_sent_on_friday():
    rule = a_notice(0, receipt_business_days=1)
    assert ends(rule, "2026-10-03 09:00") == ends(rule, "2026-10-02 09:00") == local("2026-10-06 00:00")


def test_a_period_has_to_pass_in_every_zone():
    assert ends(a_notice(14), "2026-10-01 09:00", NEW_YORK, LOS_ANGELES) == local("2026-10-16 00:00", LOS_ANGELES)


def test_a_notice_without_a_period_has_only_to_be_given():
    assert ends(a_notice(0), "2026-10-01 09:00") == local("2026-10-01 09:00")


# The gate -----------------------------------------------------------------------------------------------------


def test_a_referral_waits_to_the_second_until_the_notice_has_run_out():
    given = NoticeGiven("default_notice", local("2026-10-01 09:00"))
    about, book = facts(notices=(given,)), rules(a_notice(14))
    midnight = local("2026-10-16 00:00")
    assert gate(REFERRAL, book, about, now=midnight - SECOND) == Defer(
        midnight, ("T-NOTICE",), "too soon after earlier contacts or notices"
    )
    assert isinstance(gate(REFERRAL, book, about, now=midnight), Allow)


def test_without_the_notice_a_referral_waits_as_if_it_went_out_now():
    verdict = gate(REFERRAL, rules(a_notice(14)), facts(), now=local("2026-10-01 09:00"))
    assert isinstance(verdict, Defer)
    assert verdict.until == local("2026-10-16 00:00")


def test_a_notice_that_has_no_period_and_was_not_given_still_keeps_the_referral_back():
    verdict = gate(REFERRAL, rules(a_notice(0)), facts(), now=NOW)
    assert verdict == Defer(NOW + timedelta(days=1), ("T-NOTICE",), "too soon after earlier contacts or notices")


def test_another_notice_does_not_do():
    about = facts(notices=(NoticeGiven("letter_of_claim", NOW - timedelta(days=90)),))
    assert isinstance(gate(REFERRAL, rules(a_notice(14)), about, now=NOW), Defer)


def test_of_a_notice_sent_twice_the_first_counts():
    sent = (NoticeGiven("default_notice", NOW - timedelta(days=days)) for days in (2, 30))
    assert isinstance(gate(REFERRAL, rules(a_notice(14)), facts(notices=tuple(sent)), now=NOW), Allow)


def test_a_notice_before_referral_keeps_nothing_else_back():
    for channel in ("letter", "call", "placement"):
        assert isinstance(gate(a_contact(channel), rules(a_notice(14)), facts(), now=NOW), Allow)


def test_a_notice_that_is_owed_only_by_email_is_not_owed_to_who_has_none():
    book = rules(a_notice(35, before="placement", only_with_email=True))
    assert isinstance(gate(PLACEMENT, book, facts(), now=NOW), Allow)
    assert isinstance(gate(PLACEMENT, book, facts(email_known=True), now=NOW), Defer)


def test_an_approval_does_not_shorten_a_notice():
    assert isinstance(gate(REFERRAL, rules(a_notice(14)), facts(approved=True), now=NOW), Defer)


# The rungs ----------------------------------------------------------------------------------------------------


def lawful(*of_us: NoticeRule, about: Facts | None = None, ladder: Ladder | None = None) -> Ladder:
    return with_notices(ladder or standard_ladder(), rules(*of_us), about or facts(), day=TODAY)


def names(ladder: Ladder) -> list[str]:
    return [rung.name for rung in ladder.rungs]


def test_a_notice_becomes_a_letter_before_what_needs_it_and_as_long_before_as_its_period():
    ladder = lawful(a_notice(14))
    assert names(ladder)[-2:] == ["default-notice", "legal-1"]
    rung = ladder.by_name["default-notice"]
    assert rung == Rung(
        name="default-notice",
        stage=Stage.LETTER,
        channel=ChannelName.LETTER,
        template="default-notice",
        due=DaysPastDue(105, time(9)),
        late=Late.GO,
        purpose="statutory_notices",
        gives="default_notice",
    )
    assert AfterDone("default-notice", 15) in ladder.by_name["legal-1"].requires
    own = standard_ladder().by_name["legal-1"].requires
    assert ladder.by_name["legal-1"].requires[-len(own) :] == own


def test_of_two_notices_the_first_is_sent_first_and_both_find_their_time():
    claim = a_notice(30, id="T-CLAIM", name="letter_of_claim")
    ladder = lawful(a_notice(14), claim)
    assert set(names(ladder)[-3:]) == {"default-notice", "letter-of-claim", "legal-1"}
    assert ladder.by_name["letter-of-claim"].due == DaysPastDue(120 - 31, time(9))
    assert ladder.by_name["default-notice"].due == DaysPastDue(120 - 31 - 15, time(9))


def test_a_rule_that_names_its_day_has_it():
    assert lawful(a_notice(14, dpd=61)).by_name["default-notice"].due == DaysPastDue(61, time(9))


def test_a_notice_too_long_for_the_ladder_goes_on_the_first_day():
    assert lawful(a_notice(300)).by_name["default-notice"].due == DaysPastDue(1, time(9))


def test_before_a_rung_that_follows_another_the_notice_follows_it_too():
    rungs = [
        replace(rung, due=DaysAfter("agency-1", 30, time(9))) if rung.name == "legal-1" else rung
        for rung in standard_ladder().rungs
    ]
    ladder = lawful(a_notice(14), ladder=replace(standard_ladder(), rungs=tuple(rungs)))
    assert ladder.by_name["default-notice"].due == DaysAfter("agency-1", 15, time(9))


def test_a_notice_on_record_is_not_sent_again():
    on_record = facts(notices=(NoticeGiven("default_notice", NOW - timedelta(days=3)),))
    assert lawful(a_notice(14), about=on_record) is standard_ladder()


def test_a_rung_of_the_ladder_that_gives_the_notice_is_used():
    rungs = [
        replace(rung, gives="default_notice") if rung.name == "letter-2" else rung for rung in standard_ladder().rungs
    ]
    ladder = lawful(a_notice(14), ladder=replace(standard_ladder(), rungs=tuple(rungs)))
    assert names(ladder) == names(standard_ladder())
    assert AfterDone("letter-2", 15) in ladder.by_name["legal-1"].requires


def test_of_two_rules_on_one_notice_the_longer_period_is_planned_for():
    ladder = lawful(a_notice(14), a_notice(30, id="T-LONGER"))
    assert names(ladder).count("default-notice") == 1
    assert AfterDone("default-notice", 31) in ladder.by_name["legal-1"].requires


def test_a_notice_that_somebody_else_gives_adds_no_rung_and_is_waited_for_all_the_same():
    rule = a_notice(14, template="")
    assert lawful(rule) is standard_ladder()
    assert isinstance(gate(REFERRAL, rules(rule), facts(), now=NOW), Defer)


def test_where_the_law_wants_no_notice_the_ladder_is_the_same():
    assert lawful() is standard_ladder()


# As shipped ---------------------------------------------------------------------------------------------------


def shipped_ladder(*places: str, zone: str = LONDON, **about: object) -> Ladder:
    known: Facts = facts(places=places, zones=(zone,), **about)  # type: ignore[arg-type]
    return with_notices(standard_ladder(), shipped_rules(), known, day=TODAY)


def test_in_britain_default_notice_and_letter_of_claim_come_before_court_and_the_arrears_notice_before_the_agency():
    due = {rung.name: rung.due.days for rung in shipped_ladder("GB").rungs}
    assert due["arrears-notice"] < due["agency-1"]
    assert due["default-notice"] < due["letter-of-claim"] < due["legal-1"]


def test_in_america_the_transfer_notice_goes_to_whom_the_agency_may_write_by_email():
    assert "transfer-notice" in names(shipped_ladder("US", zone=NEW_YORK, email_known=True))
    assert shipped_ladder("US", zone=NEW_YORK) is standard_ladder()


# Decided ------------------------------------------------------------------------------------------------------


def climb(case: Case, ladder: Ladder, book: Rulebook, places: tuple[str, ...], zone: str) -> list[tuple[str, datetime]]:
    """Climb the ladder as the gate lets it, approving everything; the rungs as they were made."""
    now, log = datetime.combine(case.due_date, time(0), tzinfo=UTC), list[tuple[str, datetime]]()
    case = replace(case, zone=zone, approvals=frozenset(ladder.by_name))
    for _ in range(2_000):
        match decide(case, ladder, now=now):
            case Close():
                return log
            case Wait(until):
                assert until is not None, decide(case, ladder, now=now)
                now = until
            case Skip(rung, attempt):
                case = made(case, Perform(rung, attempt, now), now, status=StepStatus.SKIPPED)
            case Perform(rung, attempt) as what:
                given = tuple(NoticeGiven(ladder.by_name[name].gives, at) for name, at in log)
                about = facts(
                    places=places, zones=(zone,), notices=given, approved=True, limitation_ends=date(2036, 1, 1)
                )
                verdict = gate(a_contact(CHANNELS[rung.channel]), book, about, now=now)
                if isinstance(verdict, Defer):
                    case = made(case, what, now, status=StepStatus.PLANNED, at=None, not_before=verdict.until)
                    continue
                assert isinstance(verdict, Allow), verdict
                log.append((rung.name, now))
                case = made(case, what, now)
    raise AssertionError("the ladder has no end")


CHANNELS = {"sms": "sms", "call": "call", "letter": "letter", "agency": "placement", "legal": "referral"}


@pytest.mark.parametrize("days", [3, 14, 30, 90])
def test_the_ladder_never_refers_before_the_notice_has_run_out_and_refers_after_it(days: int):
    book = rules(a_notice(days, calendar="bank", receipt_business_days=3), bank={date(2026, 12, 25)})
    ladder = with_notices(standard_ladder(), book, facts(), day=TODAY)
    log = dict(climb(a_case(), ladder, book, ("US",), NEW_YORK))
    ready = expires(
        a_notice(days, receipt_business_days=3, calendar="bank"), log["default-notice"], (NEW_YORK,), book.calendars
    )
    assert ready <= log["legal-1"] < ready + timedelta(days=120)


def test_in_britain_the_shipped_ladder_refers_only_after_every_notice_has_run_out():
    ladder = shipped_ladder("GB")
    log = dict(climb(a_case(), ladder, shipped_rules(), ("GB",), LONDON))
    for pack in shipped_rules().matching(("GB",)):
        for rule in pack.notices:
            given = log[rule.notice.replace("_", "-")]
            ready = expires(rule, given, (LONDON,), shipped_rules().calendars)
            for channel, rung in (("placement", "agency-1"), ("referral", "legal-1")):
                if a_contact(channel).channel in rule.channels and rung in log:
                    assert log[rung] >= ready
    assert log["legal-1"] - log["default-notice"] > timedelta(days=14)
    assert log["legal-1"] - log["letter-of-claim"] > timedelta(days=30)
