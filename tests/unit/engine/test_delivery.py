"""What follows from a text that did not arrive, and when a letter takes its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from arrears.engine.decide import Perform, Skip, Wait, decide
from arrears.engine.delivery import FollowUp, Spoils, follow_up
from arrears.engine.vocabulary import StepStatus
from arrears.policies.delivery import load_delivery
from tests.builders import NOW, POLICIES, a_case, a_step, day, standard_ladder

CODES = load_delivery(POLICIES / "delivery" / "twilio.yaml")
LADDER = standard_ladder()
HOUR = timedelta(hours=1)


def after(code: str, *, tried: int = 0, another_number: bool = False) -> FollowUp:
    return follow_up(CODES.meaning(code), tried=tried, another_number=another_number, at=NOW)


def test_what_passes_is_tried_again_later_each_time_and_not_for_ever():
    assert [after("30003", tried=n).again_at for n in range(2)] == [NOW + 2 * HOUR, NOW + 24 * HOUR]
    assert after("30003", tried=2) == FollowUp(unreached=True)


def test_a_number_that_is_no_good_gives_way_to_another_and_is_marked():
    assert after("30005", another_number=True) == FollowUp(again_at=NOW, spoils=Spoils.CALLS_AND_TEXTS)
    assert after("30005") == FollowUp(unreached=True, spoils=Spoils.CALLS_AND_TEXTS)
    assert after("30006") == FollowUp(unreached=True, spoils=Spoils.TEXTS)


def test_stop_and_a_block_are_not_evaded_by_another_number():
    assert after("21610", another_number=True) == FollowUp(unreached=True, opts_out=True)
    assert after("30004", another_number=True) == FollowUp(unreached=True, spoils=Spoils.TEXTS)


@pytest.mark.parametrize("code", ["30007", "21606", "99999", ""])
def test_what_is_ours_and_what_nobody_knows_is_for_a_person(code: str):
    assert after(code) == FollowUp(needs_person=True)


def test_what_may_have_arrived_is_never_sent_again():
    assert after("30410") == FollowUp()
    assert after("unfinished").again_at is None


# The ladder ---------------------------------------------------------------------------------------------------


def failed(rung: str, attempt: int = 1, **changes: object):
    return a_step(rung, attempt=attempt, status=StepStatus.FAILED, at=NOW, **changes)


def test_a_text_to_be_made_again_waits_for_its_hour_and_then_goes():
    case = a_case(failed("sms-1", again_at=NOW + HOUR), dpd=1)
    assert decide(case, LADDER, now=NOW) == Wait(NOW + HOUR, "until sms-1", "sms-1")
    assert decide(case, LADDER, now=NOW + HOUR) == Perform(LADDER.by_name["sms-1"], 2, NOW + HOUR)


def test_tries_that_were_not_delivered_do_not_use_up_the_ladders_own():
    case = a_case(failed("sms-1", again_at=NOW), failed("sms-1", 2, again_at=NOW + HOUR), dpd=1)
    assert decide(case, LADDER, now=NOW + HOUR) == Perform(LADDER.by_name["sms-1"], 3, NOW + HOUR)
    over = replace(case, steps=(*case.steps, failed("sms-1", 3)))
    assert decide(over, LADDER, now=NOW + HOUR) == Wait(day(case, 5), "until sms-2", "sms-2")


def test_a_letter_stands_in_for_the_text_that_cannot_reach_the_holder():
    case = a_case(a_step("sms-1", days_ago=4), failed("sms-2", unreached=True), dpd=5)
    assert decide(case, LADDER, now=NOW) == Perform(LADDER.by_name["letter-for-sms-2"], 1, NOW)


def test_no_letter_stands_in_for_a_text_that_failed_for_reasons_of_ours():
    case = a_case(a_step("sms-1", days_ago=4), failed("sms-2"), dpd=5)
    assert decide(case, LADDER, now=NOW) == Wait(day(case, 15), "until sms-3", "sms-3")


@pytest.mark.parametrize("status", [StepStatus.DONE, StepStatus.SKIPPED, StepStatus.FAILED])
def test_a_letter_stands_in_once_in_a_case(status: StepStatus):
    letter = replace(a_step("letter-1", days_ago=9), rung="letter-for-sms-2", status=status)
    before = (a_step("sms-1", days_ago=14), failed("sms-2", unreached=True), letter)
    case = a_case(*before, failed("sms-3", unreached=True), dpd=15)
    assert decide(case, LADDER, now=NOW) == Wait(day(case, 30), "until call-1", "call-1")


def test_without_a_number_for_texts_they_are_skipped_and_calls_are_not():
    case = a_case(a_step("sms-1", days_ago=4), dpd=5, untextable=True)
    skip = decide(case, LADDER, now=NOW)
    assert isinstance(skip, Skip)
    assert (skip.rung.name, skip.unreached) == ("sms-2", True)
    called = a_case(a_step("sms-1", days_ago=29), *(a_step(f"sms-{n}", days_ago=29 - n) for n in (2, 3)), dpd=30)
    then = decide(replace(called, untextable=True), LADDER, now=day(called, 30))
    assert isinstance(then, Perform)
    assert then.rung.name == "call-1"


def test_a_letter_does_not_go_before_the_day_of_the_text_it_stands_in_for():
    skipped = a_step("sms-2", status=StepStatus.SKIPPED, at=NOW, unreached=True)
    case = a_case(a_step("sms-1"), skipped, dpd=1)
    wait = decide(case, LADDER, now=NOW)
    assert isinstance(wait, Wait)
    assert (wait.rung, wait.until) == ("letter-for-sms-2", day(case, 5))
