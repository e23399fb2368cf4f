"""Twilio failing in every way it can, under a sweep or a whole advance: a text goes once or the record says why not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import select

import models
from arrears.engine.vocabulary import StepStatus
from arrears.operations.advance import advance
from arrears.operations.brakes import Budget
from arrears.operations.deliveries import report
from arrears.operations.moves import Intended, Standstill, next_move
from arrears.operations.numbers import check_number
from arrears.operations.review import waiting_for_people
from arrears.operations.show import show
from arrears.operations.steer import Settlement, SteeringRefused, settle
from tests.faults.conftest import Desk
from tests.support.audit import assert_made_once, effects_of, step_and_case, told_of
from tests.support.landings import ACCOUNT, BEGINS
from tests.support.prefect_house import wait_for

pytestmark = pytest.mark.faults

NUMBER = "+15185550101"


def steps(desk: Desk) -> list[tuple[str, str]]:
    return [(step["rung"], step["status"]) for step in show(desk.services, ACCOUNT)["steps"]]


# Known not to have gone -----------------------------------------------------------------------------------------


def test_what_is_ours_to_repair_fails_the_step_and_the_ladder_goes_on(desk: Desk):
    desk.twilio.mailbox.refuse(NUMBER, 21612)
    assert desk.sweep() == 0
    assert (desk.step.status, desk.step.reason) == (
        StepStatus.FAILED,
        "21612: Twilio has no route from the sender to the recipient's number",
    )
    [item] = waiting_for_people(desk.services)
    assert item.reason.startswith("texts fail with 21612: no route from the sender to the number; https://")
    assert (desk.case.next_rung, desk.case.retry_at) == ("sms-2", None)
    desk.twilio.mailbox.refused.clear()
    desk.catch_up(days=4)
    assert [text["body"].count("Ref ") for text in desk.twilio.accepted()] == [1]
    assert effects_of(desk.books, step_and_case(desk.books, ACCOUNT, "sms-2")[0]) == 1


def test_a_holder_who_replied_stop_is_skipped_and_the_ladder_goes_on(desk: Desk):
    desk.twilio.mailbox.refuse(NUMBER, 21610)
    assert desk.sweep() == 0
    assert desk.step.status == StepStatus.SKIPPED
    assert desk.step.reason == "21610: the recipient has replied STOP to this sender"
    assert desk.case.next_rung == "sms-2"
    desk.twilio.mailbox.refused.clear()
    desk.catch_up(days=20)
    assert [(hold["kind"], hold["channel"]) for hold in show(desk.services, ACCOUNT)["holds"]] == [
        ("CHANNEL_OPTOUT", "sms")
    ]
    assert not desk.twilio.accepted(), "STOP was evaded"
    assert [rung for rung, status in steps(desk) if status == "done"] == ["letter-for-sms-2"]


@pytest.mark.parametrize("code", [21211, 21614])
def test_who_cannot_be_texted_gets_one_letter_in_place_of_all_texts(desk: Desk, code: int):
    desk.twilio.mailbox.refuse(NUMBER, code)
    desk.catch_up(days=20)
    assert [step for step in steps(desk) if step[0] != "call-1"] == [
        ("sms-1", "failed"), ("sms-2", "skipped"), ("sms-3", "skipped"), ("letter-for-sms-2", "done"),
    ]  # fmt: skip
    assert desk.twilio.requests["POST"] == 1
    letter = step_and_case(desk.books, ACCOUNT, "letter-for-sms-2")[0]
    assert effects_of(desk.books, letter) == 1
    assert letter.at is not None
    assert (letter.at - desk.until).days == 3, "the letter goes on the day of the second text"
    desk.catch_up(days=31)
    # A landline can be called; a number that is none cannot.
    assert (("call-1", "done") in steps(desk)) is (code == 21614)


def test_another_number_is_tried_at_once(desk: Desk):
    found = "+15185550199"
    check_number(
        desk.services, ACCOUNT, found, good=True, why="search", reference="R-1", at=BEGINS, source="test", who="test"
    )
    desk.twilio.mailbox.refuse(NUMBER, 21614)
    assert desk.sweep() == 1
    assert [text["to"] for text in desk.twilio.accepted()] == [found]
    assert steps(desk) == [("sms-1", "failed"), ("sms-1", "done")]


def test_too_many_requests_puts_the_text_back_until_twilio_says(desk: Desk):
    desk.twilio.fault("429", retry_after=100)
    before = desk.services.clock.wall()
    assert desk.sweep() == 0
    assert (desk.step.status, desk.step.tries) == (StepStatus.PLANNED, 1)
    assert desk.case.retry_at is not None
    assert desk.case.retry_at >= before + timedelta(seconds=100)
    assert desk.sweep() == 0, "it was tried again too soon"
    assert desk.twilio.requests["POST"] == 1
    assert desk.catch_up() == 1
    assert_made_once(desk.books, ACCOUNT, desk.rung)
    assert desk.twilio.requests["POST"] == 2


def test_too_many_requests_without_a_time_backs_off_longer_each_time(desk: Desk):
    desk.twilio.fault("429", times=2)
    assert desk.catch_up() == 1
    made = assert_made_once(desk.books, ACCOUNT, desk.rung)
    assert (made.tries, desk.twilio.requests["POST"]) == (2, 3)


def test_wrong_credentials_fail_no_account(desk: Desk):
    right = desk.twilio.credentials
    desk.twilio.credentials = "Basic other"
    assert desk.sweep() == 0
    assert desk.step.status == StepStatus.PLANNED
    assert "TWILIO_AUTH_TOKEN" in desk.case.next_reason
    desk.twilio.credentials = right
    assert desk.catch_up() == 1
    assert_made_once(desk.books, ACCOUNT, desk.rung)


# In doubt -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drive", [Desk.sweep, Desk.catch_up], ids=["sweep", "catch_up"])
@pytest.mark.parametrize("fault", ["drop_after_accept", "cut_short", "garbage", "http_500_after_accept"])
def test_a_text_accepted_without_an_answer_is_found_and_not_sent_again(
    desk: Desk, fault: str, drive: Callable[[Desk], int]
):
    desk.twilio.fault(fault, method="POST")
    drive(desk)
    made = assert_made_once(desk.books, ACCOUNT, desk.rung)
    told = told_of(desk.books, made)
    assert (told["intended"], told["in doubt"], told["done"]) == (1, 1, 1)
    assert desk.twilio.requests["POST"] == 1


@pytest.mark.parametrize("fault", ["drop_before_accept", "http_500", "http_503"])
def test_a_text_that_may_have_gone_is_looked_up_before_it_is_sent_again(desk: Desk, fault: str):
    desk.twilio.fault(fault, method="POST")
    desk.catch_up()
    made = assert_made_once(desk.books, ACCOUNT, desk.rung)
    told = told_of(desk.books, made)
    assert (told["intended"], told["in doubt"], told["put back"]) == (2, 1, 1)
    assert [exchange.method for exchange in desk.twilio.exchanges] == ["POST", "GET", "POST"]


@pytest.mark.parametrize("desk", [{"doubt_seconds": 100}], indirect=True)
@pytest.mark.parametrize("fault", ["slow", "late"])
def test_a_text_that_took_longer_than_we_waited_is_found(desk: Desk, fault: str):
    transports = next(iter(desk.services.channels.values()))._transports  # pyright: ignore
    patience, transports._timeout = transports._timeout, 1.5
    desk.twilio.fault(fault, seconds=600, method="POST")
    assert desk.sweep() == 0
    assert desk.step.status == StepStatus.INTENDED
    assert desk.sweep() == 0, "it was looked up before Twilio had settled"
    assert desk.twilio.requests["GET"] == 0
    transports._timeout = patience
    desk.twilio.release()
    wait_for("Twilio to have taken it", desk.twilio.accepted)
    desk.catch_up()
    assert_made_once(desk.books, ACCOUNT, desk.rung)
    assert desk.twilio.requests["POST"] == 1


@pytest.mark.parametrize("accepted", [True, False])
def test_a_look_up_that_fails_for_a_while_is_asked_again_and_nothing_is_sent_meanwhile(desk: Desk, accepted: bool):
    desk.twilio.fault("drop_after_accept" if accepted else "drop_before_accept", method="POST")
    desk.twilio.fault("http_503", method="GET")
    desk.twilio.fault("garbage", method="GET")
    rest = advance(desk.services, ACCOUNT, who="test").rest
    assert isinstance(rest, Standstill)
    assert rest.wall_until is not None
    assert desk.step.status == StepStatus.INTENDED
    assert desk.sweep() == 0
    assert desk.twilio.requests["POST"] == 1
    desk.catch_up()
    made = assert_made_once(desk.books, ACCOUNT, desk.rung)
    told = told_of(desk.books, made)
    assert told["in doubt"] == 3
    assert desk.twilio.requests["POST"] == (1 if accepted else 2)


@pytest.mark.parametrize("desk", [{"doubt_seconds": 600}], indirect=True)
def test_absence_is_not_believed_before_twilio_has_had_its_time(desk: Desk):
    desk.twilio.fault("http_500", method="POST")
    assert desk.sweep() == 0
    assert desk.step.lease_until is not None
    assert desk.step.lease_until > desk.services.clock.wall() + timedelta(seconds=590)
    assert desk.sweep() == 0
    assert [exchange.method for exchange in desk.twilio.exchanges] == ["POST"]


@pytest.mark.parametrize("desk", [{"doubt_seconds": 600}], indirect=True)
@pytest.mark.parametrize("owner", ["killed just now", "slow"])
@pytest.mark.parametrize("arrives", [True, False])
def test_what_its_owner_may_have_sent_a_moment_ago_is_not_sent_again(desk: Desk, owner: str, arrives: bool):
    """However long ago it was intended: a text may wait for its turn in a batch, or for its sender's."""
    move = next_move(desk.services, ACCOUNT, who="test", budget=Budget())
    assert isinstance(move, Intended)
    with desk.services.ledger.write() as session:
        step = session.exec(select(models.Step).where(models.Step.reference == move.intent.reference)).one()
        machine = step.owner.split("/")[0]
        step.owner = f"{machine}/4194305/1" if owner == "killed just now" else "another machine/1/1"
    desk.services.clock.pause(move.intent.wall + timedelta(seconds=700))
    assert desk.sweep() == 0
    assert desk.step.status == StepStatus.INTENDED
    if arrives:
        desk.services.channels[move.channel].perform(move.intent)
    desk.catch_up()
    assert_made_once(desk.books, ACCOUNT, desk.rung)
    assert desk.twilio.requests["POST"] == 1


# Nobody can tell ----------------------------------------------------------------------------------------------


@pytest.fixture
def unknown(desk: Desk) -> Desk:
    """A text dropped after it was accepted, whose body Twilio then redacts."""
    desk.twilio.fault("drop_after_accept", method="POST")
    desk.twilio.fault("http_503", method="GET")
    desk.sweep()
    [text] = desk.twilio.accepted()
    desk.twilio.mailbox.update(text["sid"], body="")
    desk.catch_up()
    assert desk.step.status == StepStatus.UNKNOWN
    return desk


def test_what_nobody_can_prove_is_unknown_and_never_sent_again_by_itself(unknown: Desk):
    assert "bodies removed" in unknown.step.reason
    assert told_of(unknown.books, unknown.step)["unknown"] == 1
    unknown.catch_up(days=2)
    assert unknown.step.status == StepStatus.UNKNOWN
    assert unknown.twilio.requests["POST"] == 1
    assert unknown.case.next_rung == "sms-2"


@pytest.mark.parametrize(
    ("settlement", "status", "posts"),
    [
        (Settlement.DONE, StepStatus.DONE, 1),
        (Settlement.SKIP, StepStatus.SKIPPED, 1),
        (Settlement.AGAIN, StepStatus.DONE, 2),
    ],
)
def test_a_person_settles_what_is_unknown(unknown: Desk, settlement: Settlement, status: StepStatus, posts: int):
    settle(unknown.services, ACCOUNT, unknown.rung, settlement, by="Kim", why="the holder was asked", at=unknown.until)
    unknown.catch_up()
    assert unknown.step.status == status
    assert unknown.twilio.requests["POST"] == posts
    if settlement is not Settlement.AGAIN:
        assert unknown.step.reason == "settled by Kim: the holder was asked"
        assert unknown.case.next_rung == "sms-2"


def test_a_text_that_did_not_arrive_is_made_again_as_another(desk: Desk):
    """Its reference has gone out: what is reported of the first must not be taken for the second, nor found for it."""
    assert desk.sweep() == 1
    first = desk.step
    desk.twilio.mailbox.update(first.proof, status="undelivered", error_code=30008)
    report(desk.services, first.reference, sid=first.proof, status="undelivered", error_code="30008")
    assert desk.step.status == StepStatus.FAILED
    settle(desk.services, ACCOUNT, desk.rung, Settlement.AGAIN, by="Kim", why="they asked for it", at=desk.until)
    assert desk.sweep() == 1
    with desk.services.ledger.read() as session:
        steps = session.exec(
            select(models.Step).where(models.Step.rung == desk.rung).order_by(models.Step.attempt)
        ).all()
    assert [(step.attempt, step.status) for step in steps] == [(1, "failed"), (2, "done")]
    assert len({step.reference for step in steps}) == len({step.proof for step in steps}) == 2
    assert [text["body"].count(step.reference) for step, text in zip(steps, desk.twilio.accepted(), strict=True)] == [
        1,
        1,
    ]


def test_a_text_in_flight_is_not_a_persons_to_settle(desk: Desk):
    desk.twilio.fault("drop_after_accept", method="POST")
    desk.twilio.fault("http_503", method="GET")
    desk.sweep()
    with pytest.raises(SteeringRefused, match="intended"):
        settle(desk.services, ACCOUNT, desk.rung, Settlement.AGAIN, by="Kim", why="in a hurry", at=desk.until)
