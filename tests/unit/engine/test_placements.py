"""Placements and referrals: how they stand whatever the order of what was told, and when an account comes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.decide import Close, Perform, Skip, Wait, decide
from arrears.engine.ladder import DaysPastDue, Ladder, Late, RecallTerms, Returned
from arrears.engine.life.events import LifeEvent
from arrears.engine.life.placements import (
    Placed,
    Placement,
    PlacementReport,
    PlacementReported,
    PlacementStatus,
    RecallDue,
    Recalled,
    ReferralReport,
    ReferralReported,
    Remitted,
    placements,
    recall_due,
    referrals,
)
from arrears.engine.vocabulary import StepStatus
from tests.builders import NOW, a_case, a_step, standard_ladder

TERMS = RecallTerms(without_result_days=100, objection_days=5, extension_days=30)
PLACED = Placed("P1", "agency-1", "northside", NOW, TERMS)
NOT_NOW: dict[str, Any] = {"settled": False, "held": "", "in_court": False, "last_paid_at": None}


def day(number: float) -> datetime:
    return NOW + timedelta(days=number)


def said(report: str, on: float, reason: str = "", placement: str = "P1") -> PlacementReported:
    return PlacementReported(key=f"r{on}{report}", at=day(on), placement=placement, report=report, reason=reason)


def called_back(on: float, *, final: bool = False) -> Recalled:
    return Recalled(key=f"c{on}{final}", at=day(on), placement="P1", final=final, why="no result")


def after(*events: LifeEvent) -> Placement:
    return placements([PLACED], events)[0]


def due(*events: LifeEvent, on: float = 0, **facts: Any) -> RecallDue | None:
    return recall_due(after(*events), **{**NOT_NOW, **facts}, now=day(on))


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], PlacementStatus.PLACED),
        ([said("acknowledged", 1)], PlacementStatus.ACKNOWLEDGED),
        ([said("refused", 1, "out of area")], PlacementStatus.REFUSED),
        ([said("acknowledged", 1), said("returned", 50)], PlacementStatus.RETURNED),
        ([called_back(100)], PlacementStatus.RECALLING),
        ([called_back(100), called_back(105, final=True)], PlacementStatus.RECALLED),
        ([called_back(100), said("returned", 102)], PlacementStatus.RETURNED),
        ([called_back(105, final=True), said("acknowledged", 106)], PlacementStatus.RECALLED),
        ([said("refused", 1, placement="P2")], PlacementStatus.PLACED),
    ],
)
def test_a_placement_stands_as_what_was_told_last_says(events: list[LifeEvent], status: PlacementStatus) -> None:
    assert after(*events).status is status


def test_what_an_agency_remitted_adds_up_even_after_the_account_came_back() -> None:
    first = Remitted(key="1", at=day(3), placement="P1", gross=100_00, commission=20_00)
    late = Remitted(key="2", at=day(120), placement="P1", gross=50_00, commission=10_00)
    stands = after(first, called_back(110, final=True), late)
    assert (stands.remitted, stands.commission) == (150_00, 30_00)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"settled": True}, "paid"),
        ({"held": "DECEASED"}, "held: DECEASED"),
        ({"in_court": True}, "referred to court"),
    ],
)
def test_what_is_paid_held_or_in_court_comes_back_at_once_and_finally(facts: dict[str, Any], why: str) -> None:
    assert due(on=10, **facts) == RecallDue(day(10), True, why)
    assert due(said("returned", 5), on=10, **facts) is None, "it is back already"


def test_a_lender_may_let_holds_stay_with_the_agency() -> None:
    patient = Placement(replace(PLACED, terms=replace(TERMS, on_hold=False)))
    found = recall_due(patient, **{**NOT_NOW, "held": "DISPUTE_OPEN"}, now=day(10))
    assert found == RecallDue(day(100), False, "no result")


def test_without_result_the_agency_is_asked_first_and_each_payment_begins_the_days_anew() -> None:
    assert due() == RecallDue(day(100), False, "no result")
    assert due(on=40, last_paid_at=day(30)) == RecallDue(day(130), False, "no result")
    assert due(on=40, last_paid_at=day(-30)) == RecallDue(day(100), False, "no result")


def test_a_recall_is_final_when_nobody_objects_in_time() -> None:
    assert due(called_back(100), on=100) == RecallDue(day(105), True, "no result")
    assert due(called_back(100), said("objected", 106, "open_promise"), on=106) == RecallDue(
        day(105), True, "no result"
    )


def test_an_objection_or_a_payment_in_time_keeps_the_account_for_thirty_days_more() -> None:
    objected = said("objected", 103, "open_promise")
    assert due(called_back(100), objected, on=104) == RecallDue(day(133), True, "no result")
    assert due(called_back(100), on=104, last_paid_at=day(104)) == RecallDue(day(134), True, "no result")


_reports = st.sampled_from([str(report) for report in PlacementReport])
_events = st.lists(
    st.one_of(
        st.builds(lambda r, d: said(r, d / 7, "open_promise"), _reports, st.integers(0, 1000)),
        st.builds(lambda d, f: called_back(d / 7, final=f), st.integers(0, 1000), st.booleans()),
    ),
    max_size=8,
    unique_by=lambda event: event.at,
)


@given(events=_events, order=st.randoms(use_true_random=False))
def test_the_order_in_which_things_are_told_does_not_matter(events: list[LifeEvent], order: Any) -> None:
    shuffled = [*events]
    order.shuffle(shuffled)
    assert after(*shuffled) == after(*events)


@given(events=_events, on=st.integers(0, 400))
def test_whatever_was_told_a_final_recall_ends_it(events: list[LifeEvent], on: int) -> None:
    ended = after(*events, called_back(on, final=True))
    assert ended.status.over
    assert recall_due(ended, **{**NOT_NOW, "settled": True}, now=day(on)) is None


def test_a_referral_has_come_as_far_as_the_furthest_report_and_a_withdrawal_ends_it() -> None:
    def told(report: ReferralReport, on: float, **more: Any) -> ReferralReported:
        return ReferralReported(key=f"{report}", at=day(on), referral="R1", report=str(report), **more)

    filed = told(ReferralReport.SUIT_FILED, 20, detail="26-CV-1")
    [stands] = referrals([("R1", NOW)], [filed, told(ReferralReport.ACCEPTED, 30)])
    assert (stands.report, stands.detail, stands.open) == ("suit_filed", "26-CV-1", True)
    judged = [filed, told(ReferralReport.JUDGMENT, 40, amount=900_00)]
    [stands] = referrals([("R1", NOW)], judged)
    assert (stands.report, stands.judgment, stands.detail) == ("judgment", 900_00, "26-CV-1")
    [stands] = referrals([("R1", NOW)], [*judged, told(ReferralReport.WITHDRAWN, 50)])
    assert not stands.open


# On the ladder ----------------------------------------------------------------------------------------------


def two_agencies() -> Ladder:
    """The standard ladder up to its agency, and a second one after it."""
    ladder = standard_ladder()
    rungs = [rung for rung in ladder.rungs if rung.name != "legal-1"]
    first = ladder.by_name["agency-1"]
    assert isinstance(first.due, DaysPastDue)
    second = replace(
        first,
        name="agency-2",
        agencies=("southside",),
        due=replace(first.due, days=120),
        requires=(Returned("agency-1"),),
    )
    return replace(ladder, rungs=(*rungs, second))


DONE = (
    *(
        a_step(rung.name, days_ago=60)
        for rung in standard_ladder().rungs
        if rung.name != "legal-1" and not rung.stands_in_for
    ),
)


def test_a_ladder_that_is_exhausted_waits_while_an_agency_works_the_account() -> None:
    ladder = replace(standard_ladder(), rungs=standard_ladder().rungs[:-1])
    done = (*DONE[:3], *(a_step("call-1", attempt=n, days_ago=70) for n in range(1, 16)), *DONE[4:])
    case = a_case(*done, dpd=150)
    assert decide(replace(case, with_agency="northside"), ladder, now=NOW) == Wait(None, "with agency northside")
    assert decide(case, ladder, now=NOW) == Close("ladder exhausted")


def test_a_second_agency_gets_the_account_when_the_first_has_given_it_back() -> None:
    done = (*DONE[:3], *(a_step("call-1", attempt=n, days_ago=70) for n in range(1, 16)), *DONE[4:])
    case = a_case(*done, dpd=150)
    waits = decide(replace(case, with_agency="northside"), two_agencies(), now=NOW)
    assert waits == Wait(None, "agency-2 needs agency-1 to be over, which it is not", "agency-2")
    move = decide(replace(case, returned=frozenset({"agency-1"})), two_agencies(), now=NOW)
    assert isinstance(move, Perform)
    assert move.rung.agencies == ("southside",)


def test_while_an_agency_has_the_account_nothing_goes_out_that_was_for_the_time_before() -> None:
    """Of a case that answers for what another was placed for, little has been done."""
    case = a_case(a_step("agency-1", days_ago=10), dpd=150)
    ladder = standard_ladder()
    late = tuple(replace(rung, late=Late.GO) if rung.name == "letter-3" else rung for rung in ladder.rungs)
    for of in (ladder, replace(ladder, rungs=late)):
        assert isinstance(decide(replace(case, with_agency="northside"), of, now=NOW), Wait)
    # It has come back: what may go late goes, as if there had been no agency.
    back = replace(case, returned=frozenset({"agency-1"}))
    skipped: list[str] = []
    while isinstance(move := decide(back, replace(ladder, rungs=late), now=NOW), Skip):
        step = a_step(move.rung.name, days_ago=0, status=StepStatus.SKIPPED, attempt=move.attempt)
        back = replace(back, steps=(*back.steps, step))
        skipped.append(move.rung.name)
    assert isinstance(move, Perform)
    assert move.rung.name == "letter-3"
    assert "sms-1" in skipped


def test_what_comes_after_the_agency_goes_on_though_it_is_of_its_stage() -> None:
    """Letters in the agency's name are of its stage, and come after it."""
    ladder = standard_ladder()
    agency, letter = ladder.by_name["agency-1"], ladder.by_name["letter-3"]
    theirs = replace(letter, name="letter-4", stage=agency.stage, due=DaysPastDue(100, letter.due.at), requires=())
    later = replace(theirs, name="letter-5", due=DaysPastDue(101, letter.due.at))
    theirs = replace(theirs, late=Late.GO)
    place = ladder.rungs.index(agency) + 1
    more = replace(ladder, rungs=(*ladder.rungs[:place], theirs, later, *ladder.rungs[place:]))
    done = (a_step("agency-1", days_ago=50), a_step("letter-5", days_ago=5))
    move = decide(replace(a_case(*done, dpd=150), with_agency="northside"), more, now=NOW)
    assert isinstance(move, Perform)
    assert move.rung.name == "letter-4"


def test_of_calls_that_go_on_none_is_made_any_more_once_an_agency_calls() -> None:
    called = replace(standard_ladder().by_name["call-1"], until_dpd=None)
    rungs = tuple(called if rung.name == "call-1" else rung for rung in standard_ladder().rungs)
    case = a_case(*DONE, dpd=150)
    ladder = replace(standard_ladder(), rungs=rungs)
    own = decide(case, ladder, now=NOW)
    assert isinstance(own, Perform)
    assert own.rung.name == "call-1"
    assert isinstance(decide(replace(case, with_agency="northside"), ladder, now=NOW), Wait)
