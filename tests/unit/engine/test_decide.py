"""What the standard ladder does with a case, day by day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest

from arrears.engine.case import Case, Step, Suspension
from arrears.engine.decide import Close, Decision, Perform, Skip, Wait, decide
from arrears.engine.ladder import Ladder, Late, NotTimeBarred, Terms
from arrears.engine.vocabulary import CaseStatus, ChannelName, Disposition, StepStatus
from tests.builders import NOW, a_case, a_step, day, made, recorded, standard_ladder, usd

LADDER = standard_ladder()
NIGHT = timedelta(hours=LADDER.hours_between_contacts)


def next_for(case: Case, now: datetime = NOW, ladder: Ladder = LADDER) -> Decision:
    return decide(case, ladder, now=now)


def climb(case: Case, start: datetime, until: datetime, ladder: Ladder = LADDER) -> tuple[Case, list[tuple[str, str]]]:
    """Follow every decision, doing what it says, until `until` or the end; and what was done, in order."""
    now, log = start, list[tuple[str, str]]()
    for _ in range(500):
        decision = decide(case, ladder, now=now)
        match decision:
            case Perform(rung, _, _):
                log.append((rung.name, "done"))
                case = made(case, decision, now)
            case Skip(rung, attempt, _, reason):
                log.append((rung.name, reason))
                case = recorded(case, Step(rung.name, attempt, rung.channel, StepStatus.SKIPPED, at=now))
            case Wait(at, reason, _) if at is None or at > until:
                log.append(("wait", reason))
                return case, log
            case Wait(at, _, _):
                assert at is not None
                now = at
            case Close(outcome):
                log.append(("close", outcome))
                return case, log
    raise AssertionError(f"no end: {log[-5:]}")


def without(rung: str, **changes: object) -> Ladder:
    """The standard ladder with one rung changed."""
    rungs = tuple(replace(r, **changes) if r.name == rung else r for r in LADDER.rungs)  # type: ignore[arg-type]
    return replace(LADDER, rungs=rungs)


def test_a_holder_without_a_good_number_gets_letters_and_may_be_sued():
    case, log = climb(
        a_case(dpd=0, approvals=frozenset({"legal-1"}), lost_contact=True), NOW, NOW + timedelta(days=400)
    )
    done = list(dict.fromkeys(step.rung for step in case.steps if step.status is StepStatus.DONE))
    assert done == ["letter-1", "letter-2", "letter-3", "agency-1", "legal-1"]
    skipped = [step.rung for step in case.steps if step.status is StepStatus.SKIPPED]
    assert skipped == ["sms-1", "sms-2", "sms-3", "call-1"], "once each, not once an attempt"
    assert log[-1] == ("close", "referred")


def test_after_a_broken_promise_the_ladder_goes_on_where_its_terms_say():
    ladder = replace(LADDER, terms=Terms(after_broken="call-1"))
    case = a_case(dpd=8, broken_at=NOW)
    assert next_for(case, ladder=LADDER) != next_for(case, ladder=ladder)
    case, log = climb(case, NOW, NOW + timedelta(days=1), ladder)
    assert [rung for rung, why in log if "a promise was broken" in why] == ["sms-1", "sms-2", "sms-3"]
    assert ("call-1", "done") in log


# --- on time ---------------------------------------------------------------------------------------------------


def test_the_first_text_waits_for_the_first_day_past_due():
    case = a_case(dpd=0)
    assert next_for(case) == Wait(day(case, 1), "until sms-1", "sms-1")


def test_the_first_text_goes_at_its_preferred_local_time():
    case = a_case(dpd=1)
    assert next_for(case, day(case, 1) - timedelta(seconds=1)) == Wait(day(case, 1), "until sms-1", "sms-1")
    assert next_for(case, day(case, 1)) == Perform(LADDER.by_name["sms-1"], 1, day(case, 1))


def test_a_punctual_case_climbs_every_rung_in_order_and_skips_none():
    case, log = climb(a_case(dpd=0, approvals=frozenset({"legal-1"})), NOW, NOW + timedelta(days=400))
    assert list(dict.fromkeys(rung for rung, _ in log)) == [
        *(name for name in LADDER.by_name if not name.startswith("letter-for-")),
        "close",
    ]
    assert {step.status for step in case.steps} == {StepStatus.DONE}
    assert log[-1] == ("close", "referred")


def test_no_two_contacts_of_a_punctual_case_come_within_twenty_hours():
    case, _ = climb(a_case(dpd=0), NOW, NOW + timedelta(days=200))
    at = sorted(s.at for s in case.steps if s.at and s.channel.reaches_the_holder)
    assert len(at) == 3 + 15 + 3
    assert min(later - earlier for earlier, later in pairwise(at)) >= NIGHT


def test_letters_do_not_push_calls_off_their_days():
    case, _ = climb(a_case(dpd=0), NOW, NOW + timedelta(days=200))
    calls = [(s.at.date() - case.due_date).days for s in case.steps if s.at and s.channel is ChannelName.CALL]
    assert calls == list(range(30, 90, 4))


# --- calls -----------------------------------------------------------------------------------------------------


def test_calls_come_at_most_twice_in_any_seven_days():
    case, _ = climb(a_case(dpd=0), NOW, NOW + timedelta(days=200))
    calls = [s.at for s in case.steps if s.at and s.channel is ChannelName.CALL]
    assert all(third - first >= timedelta(days=7) for first, third in zip(calls, calls[2:], strict=False))


@pytest.mark.parametrize("outcome", [Disposition.RIGHT_PARTY_CONTACT, Disposition.PROMISE])
def test_a_call_that_reaches_the_holder_ends_the_calls(outcome: Disposition):
    case = a_case(a_step("call-1", days_ago=5, disposition=outcome), *texts_done(), dpd=40)
    assert next_for(case) == Wait(day(case, 45, "09:00"), "until letter-1", "letter-1")


def test_a_call_that_nobody_answers_is_made_again_four_days_later():
    case = a_case(a_step("call-1", days_ago=1, disposition=Disposition.NO_ANSWER), *texts_done(), dpd=31)
    assert next_for(case) == Wait(day(case, 34), "until call-1", "call-1")
    assert next_for(case, day(case, 34)) == Perform(LADDER.by_name["call-1"], 2, day(case, 34))


def test_calls_end_at_ninety_days_past_due():
    called = a_step("call-1", days_ago=4, disposition=Disposition.NO_ANSWER)
    case = a_case(*texts_done(), *letters_done(3), called, dpd=89)
    assert next_for(case) == Perform(LADDER.by_name["call-1"], 2, day(case, 89))
    _, log = climb(case, NOW + timedelta(days=1), NOW + timedelta(days=40))
    assert "call-1" not in [rung for rung, _ in log]


def test_calls_that_never_began_are_recorded_as_over_at_ninety():
    case = a_case(*texts_done(), *letters_done(40), dpd=90)
    decision = next_for(case)
    assert isinstance(decision, Skip)
    assert (decision.rung.name, decision.reason) == ("call-1", "its time ended at 90 days past due")


def texts_done() -> list[Step]:
    return [a_step(f"sms-{n}", days_ago=70 - n) for n in (1, 2, 3)]


def letters_done(days_ago: float) -> list[Step]:
    return [a_step(f"letter-{n}", days_ago=days_ago + 3 - n) for n in (1, 2, 3)]


# --- waking late -----------------------------------------------------------------------------------------------


def test_waking_at_day_100_does_one_thing_and_says_why_not_the_others():
    case = a_case(dpd=100)
    case, log = climb(case, NOW, NOW)
    assert log == [
        ("sms-1", "its moment passed; passed over for agency-1"),
        ("sms-2", "its moment passed; passed over for agency-1"),
        ("sms-3", "its moment passed; passed over for agency-1"),
        ("call-1", "its time ended at 90 days past due"),
        ("letter-1", "its moment passed; merged into letter-3"),
        ("letter-2", "its moment passed; merged into letter-3"),
        ("letter-3", "done"),
        ("wait", "until agency-1"),
    ]


def test_waking_late_never_places_before_the_notice_is_ten_days_old():
    case, log = climb(a_case(dpd=100), NOW, NOW + timedelta(days=11))
    assert [rung for rung, what in log if what == "done"] == ["letter-3", "agency-1"]
    by_rung = {step.rung: step.at for step in case.steps}
    assert by_rung["agency-1"] == day(case, 110, "09:00")


def test_waking_at_day_50_calls_first_and_writes_when_the_distance_allows():
    case, log = climb(a_case(dpd=50), NOW, NOW + timedelta(days=1))
    assert [rung for rung, what in log if what == "done"] == ["call-1", "letter-1"]
    call, letter = (step for step in case.steps if step.status is StepStatus.DONE)
    assert letter.at == call.at + NIGHT  # type: ignore[operator]


def test_a_rung_that_asks_when_late_waits_for_a_person_and_lets_others_go_on():
    ladder = without("sms-1", late=Late.ASK)
    case = a_case(dpd=7)
    decision = next_for(case, ladder=ladder)
    assert isinstance(decision, Perform)
    assert decision.rung.name == "sms-2"
    done = made(case, decision, NOW)
    later = next_for(done, NOW + timedelta(days=1), ladder)
    assert later == Wait(day(case, 15), "until sms-3; sms-1 is late; a person must approve it", "sms-3")
    approved = replace(done, approvals=frozenset({"sms-1"}))
    decision = next_for(approved, NOW + timedelta(days=1), ladder)
    assert isinstance(decision, Perform)
    assert decision.rung.name == "sms-1"


def test_a_rung_that_asks_and_is_the_last_thing_left_says_so():
    ladder = replace(LADDER, rungs=tuple(replace(r, late=Late.ASK) for r in LADDER.rungs[:2]))
    case = a_case(a_step("sms-2", days_ago=3), dpd=20)
    assert next_for(case, ladder=ladder) == Wait(None, "sms-1 is late; a person must approve it", "sms-1")


def test_a_call_on_its_own_day_is_not_late():
    case = a_case(*texts_done(), dpd=30)
    assert next_for(case, day(case, 30)) == Perform(LADDER.by_name["call-1"], 1, day(case, 30))


# --- an attempt under way ---------------------------------------------------------------------------------------


def test_an_attempt_under_way_is_waited_for_and_nothing_else_begins():
    case = a_case(a_step("sms-1", days_ago=0, status=StepStatus.INTENDED), dpd=31)
    assert next_for(case) == Wait(None, "sms-1 is being carried out", "sms-1")
    assert next_for(recorded(case, a_step("sms-1", days_ago=2))) != next_for(case)


def test_a_payment_or_a_hold_is_heeded_while_an_attempt_is_under_way():
    under_way = a_case(a_step("sms-1", days_ago=0, status=StepStatus.INTENDED), dpd=31)
    assert next_for(replace(under_way, amount_due=usd("0.00"))) == Close("cured")
    held = replace(under_way, suspension=Suspension("bankruptcy", None))
    assert next_for(held) == Wait(None, "held: bankruptcy")


# --- distances -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [StepStatus.DONE, StepStatus.UNKNOWN])
def test_the_next_contact_keeps_its_distance_from_one_that_went_out_or_may_have(status: StepStatus):
    case = a_case(a_step("sms-1", days_ago=0.25, status=status), dpd=5)
    due = day(case, 5)
    assert due < NOW
    assert next_for(case) == Wait(NOW - timedelta(days=0.25) + NIGHT, "until sms-2", "sms-2")


@pytest.mark.parametrize("status", [StepStatus.SKIPPED, StepStatus.FAILED])
def test_what_never_went_out_keeps_nothing_at_a_distance(status: StepStatus):
    case = a_case(a_step("sms-1", days_ago=0.25, status=status), dpd=5)
    decision = next_for(case)
    assert isinstance(decision, Perform)
    assert decision.rung.name == "sms-2"


def test_a_placement_needs_no_distance_from_a_contact():
    calls_over = a_step("call-1", days_ago=0.1, disposition=Disposition.PROMISE)
    case = a_case(*texts_done(), *letters_done(12), calls_over, dpd=91)
    decision = next_for(case)
    assert isinstance(decision, Perform)
    assert decision.rung.name == "agency-1"


# --- steps the gate or the world has touched -------------------------------------------------------------------


def test_a_deferred_step_waits_for_its_hour_and_then_goes_as_the_same_attempt():
    later = NOW + timedelta(hours=15)
    planned = a_step("sms-1", status=StepStatus.PLANNED, at=None, not_before=later)
    case = a_case(planned, dpd=1)
    assert next_for(case) == Wait(later, "until sms-1", "sms-1")
    assert next_for(case, later) == Perform(LADDER.by_name["sms-1"], 1, day(case, 1))


def test_a_reviewed_step_stays_with_a_person_until_approved():
    planned = a_step("sms-3", status=StepStatus.PLANNED, at=None, needs_person=True, reason="no contact rules for XX")
    case = a_case(a_step("sms-1", days_ago=14), a_step("sms-2", days_ago=10), planned, dpd=15)
    ladder = replace(LADDER, rungs=tuple(rung for rung in LADDER.rungs if rung.channel is ChannelName.SMS))
    assert next_for(case, ladder=ladder) == Wait(None, "sms-3 needs a person: no contact rules for XX", "sms-3")
    assert isinstance(next_for(replace(case, approvals=frozenset({"sms-3"})), ladder=ladder), Perform)


def test_a_failed_text_is_not_sent_again_and_the_ladder_goes_on():
    case = a_case(a_step("sms-1", status=StepStatus.FAILED, days_ago=1), dpd=2)
    assert next_for(case) == Wait(day(case, 5), "until sms-2", "sms-2")


def test_a_failed_call_task_is_an_attempt_and_the_next_comes_four_days_later():
    case = a_case(*texts_done(), a_step("call-1", status=StepStatus.FAILED, days_ago=1), dpd=31)
    assert next_for(case) == Wait(day(case, 34), "until call-1", "call-1")


def test_an_unknown_notice_is_no_proof_so_placement_waits_for_a_person():
    letter = a_step("letter-3", status=StepStatus.UNKNOWN, days_ago=20)
    over = a_step("call-1", days_ago=30, disposition=Disposition.PROMISE)
    case = a_case(*texts_done(), *letters_done(20)[:2], letter, over, dpd=125)
    assert next_for(case) == Wait(None, "agency-1 needs letter-3, which is not done", "agency-1")


# --- court -----------------------------------------------------------------------------------------------------


def ready_for_court(**changes: object) -> Case:
    """Placed a month ago, seven contacts without a payment, 125 days past due, approved."""
    call = a_step("call-1", days_ago=60, disposition=Disposition.PROMISE)
    steps = (*texts_done(), *letters_done(50), call, a_step("agency-1", days_ago=30))
    return a_case(*steps, **{"dpd": 125, "approvals": frozenset({"legal-1"}), **changes})  # type: ignore[arg-type]


def test_a_case_with_every_door_open_is_referred_and_then_closed():
    case = ready_for_court()
    decision = next_for(case)
    assert isinstance(decision, Perform)
    assert decision.rung.name == "legal-1"
    assert next_for(made(case, decision, NOW)) == Close("referred")


def test_nothing_is_referred_without_a_persons_approval():
    case = ready_for_court(approvals=frozenset())
    assert next_for(case) == Wait(None, "legal-1 waits for a person's approval", "legal-1")


def test_a_recent_placement_has_fourteen_days_before_court():
    case = ready_for_court()
    recent = recorded(case, a_step("agency-1", days_ago=3))
    assert next_for(recent) == Wait(day(recent, 136, "09:00"), "until legal-1", "legal-1")


def test_a_small_balance_is_never_referred():
    decision = next_for(ready_for_court(balance=usd("499.99")))
    assert isinstance(decision, Skip)
    assert decision.reason == "the balance is below what legal-1 is worth"
    assert isinstance(next_for(ready_for_court(balance=usd("500.00"))), Perform)


def test_a_currency_without_a_floor_is_never_referred():
    assert isinstance(next_for(ready_for_court(balance=replace(usd("9000.00"), currency="CHF"))), Skip)


def test_a_time_barred_claim_is_never_referred():
    today = date(2026, 12, 24)
    assert isinstance(next_for(ready_for_court(limitation_ends=today + timedelta(days=1))), Perform)
    decision = next_for(ready_for_court(limitation_ends=today))
    assert isinstance(decision, Skip)
    assert decision.reason == "the claim is time-barred since 2026-12-24"


def test_an_unknown_limitation_period_keeps_the_court_closed():
    case = ready_for_court(limitation_ends=None)
    assert next_for(case) == Wait(None, "legal-1 needs a known limitation period", "legal-1")


def test_a_payment_starts_the_count_of_fruitless_contacts_again():
    case = ready_for_court(last_payment_at=NOW - timedelta(days=55))
    wanted = "legal-1 needs 6 contacts without a payment or legal-1 needs 8 calls without reaching the holder"
    assert next_for(case) == Wait(None, wanted, "legal-1")


def test_eight_calls_that_reach_nobody_open_the_court_too():
    calls = [a_step("call-1", attempt=n, days_ago=100 - 4 * n, disposition=Disposition.NO_ANSWER) for n in range(1, 9)]
    case = ready_for_court(last_payment_at=NOW - timedelta(days=55))
    unreached = replace(case, steps=(*(s for s in case.steps if s.rung != "call-1"), *calls))
    assert isinstance(next_for(unreached), Perform)
    reached = recorded(unreached, replace(calls[0], disposition=Disposition.REFUSAL))
    assert isinstance(next_for(reached), Wait)


# --- standing still and ending ---------------------------------------------------------------------------------


def test_a_cured_case_closes_even_when_it_is_halted_or_held():
    paid = {"amount_due": usd("0.00")}
    assert next_for(a_case(**paid)) == Close("cured")
    assert next_for(a_case(**paid, balance=usd("0.00"))) == Close("paid")
    assert next_for(a_case(**paid, status=CaseStatus.HALTED)) == Close("cured")
    assert next_for(a_case(**paid, suspension=Suspension("DISPUTE_OPEN", None))) == Close("cured")


def test_an_overpaid_case_is_paid():
    assert next_for(a_case(amount_due=usd("-5.00"), balance=usd("-5.00"))) == Close("paid")


def test_a_closed_case_stays_closed_with_its_outcome():
    assert next_for(a_case(status=CaseStatus.CLOSED, outcome="paid")) == Close("paid")


def test_a_halted_case_waits_for_somebody_to_resume_it():
    assert next_for(a_case(status=CaseStatus.HALTED, halted_why="by J. Doe")) == Wait(None, "halted: by J. Doe")


def test_a_held_case_waits_for_the_end_of_the_hold():
    end = NOW + timedelta(days=9)
    assert next_for(a_case(suspension=Suspension("BREATHING_SPACE", end))) == Wait(end, "held: BREATHING_SPACE")
    assert next_for(a_case(suspension=Suspension("DECEASED", None))) == Wait(None, "held: DECEASED")


def test_a_ladder_without_a_court_ends_exhausted():
    ladder = replace(LADDER, rungs=LADDER.rungs[:1])
    assert next_for(a_case(a_step("sms-1", days_ago=1)), ladder=ladder) == Close("ladder exhausted")


def test_steps_of_rungs_that_a_new_ladder_dropped_still_count_as_contacts():
    step = replace(a_step("sms-1", days_ago=0.1), rung="sms-0")
    assert next_for(a_case(step, dpd=1)) == Wait(NOW - timedelta(days=0.1) + NIGHT, "until sms-1", "sms-1")


def test_a_claim_that_is_time_barred_is_never_referred_even_if_the_ladder_does_not_ask():
    court = next(rung for rung in LADDER.rungs if rung.name == "legal-1")
    lax = replace(court, requires=tuple(r for r in court.requires if r != NotTimeBarred()))
    ladder = replace(LADDER, rungs=tuple(lax if rung is court else rung for rung in LADDER.rungs))
    assert isinstance(next_for(ready_for_court(limitation_ends=NOW.date()), ladder=ladder), Skip)
    unknown = next_for(ready_for_court(limitation_ends=None), ladder=ladder)
    assert unknown == Wait(None, "legal-1 needs a known limitation period", "legal-1")


def test_a_referral_waits_for_its_papers_and_says_which():
    lacking = ready_for_court(papers_lacking="statements")
    assert next_for(lacking) == Wait(None, "legal-1 must not leave yet: it lacks statements", "legal-1")
    unapproved = replace(lacking, approvals=frozenset(), wanted_approvals={"legal-1": "waits for a second person"})
    assert next_for(unapproved) == Wait(None, "legal-1 waits for a second person; it lacks statements", "legal-1")


def test_letters_wait_while_mail_comes_back_and_calls_go_on():
    case, log = climb(a_case(dpd=0, mail_returned=True), NOW, NOW + timedelta(days=100))
    done = {step.rung for step in case.steps if step.status is StepStatus.DONE}
    assert done == {"sms-1", "sms-2", "sms-3", "call-1"}
    assert ("letter-1", "its moment passed; merged into letter-2") in log
    kind, reason = log[-1]
    assert kind == "wait"
    assert "waits for an address: mail came back from the one we have" in reason
