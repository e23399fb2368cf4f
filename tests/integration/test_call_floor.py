"""The call floor: who calls whom, the telephone, the gate at the moment of dialling, and what it all came to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from threading import Barrier

import pytest
from sqlmodel import select

import models
from arrears.engine.vocabulary import Disposition
from arrears.operations.arrange import promise
from arrears.operations.calls import CallRefused, Promised, must_be_noted, record_call
from arrears.operations.claim import Claimed, NothingToCall, claim, next_call, release_claim
from arrears.operations.day_list import day_list, in_turn, share_out
from arrears.operations.dial import DialRefused, dial, dialler_of
from arrears.operations.hold import hold
from arrears.operations.pay import pay, reverse
from arrears.operations.performance import performance
from arrears.operations.services import Services, open_services
from tests.conftest import a_row
from tests.integration.stories import Portfolio, at, last, take_in, until
from tests.support.desk_server import serving
from tests.support.twilio_calls import TwilioVoice, attribute
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, TwilioStandIn

AGENT = "+12125550100"
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def floor(services: Services, portfolio: Portfolio) -> Services:
    """Three persons a month past due: it is a quarter to one in Albany, and their calls are queued."""
    rows = [a_row(f"A-{n}", phone=f"+1518555010{n}", balance=f"{n * 1000}.00", holder_id=f"H-{n}") for n in (1, 2, 3)]
    heading = portfolio(*rows)
    text = heading.read_text(encoding="utf-8")
    heading.write_text(text.replace("currency\n", "currency,holder_id\n", 1), encoding="utf-8")
    take_in(services, heading)
    until(services, 30.2)
    return services


def got(services: Services, by: str, now: datetime) -> str | None:
    task = next_call(services, by=by, now=now)
    return task.task.account_id if isinstance(task, Claimed) else None


# Who calls whom ---------------------------------------------------------------------------------------------


def test_the_best_first_one_at_a_time_and_nobodys_twice(floor: Services) -> None:
    now = at(floor)
    assert [one.task.account_id for one in day_list(floor, now=now)] == ["A-3", "A-2", "A-1"]
    assert got(floor, "Ann", now) == "A-3"
    assert got(floor, "Bob", now) == "A-2"
    assert got(floor, "Ann", now) == "A-3", "until its outcome is recorded"
    assert got(floor, " Ann ", now + MINUTE) == "A-3"
    record_call(floor, "A-3", Disposition.NO_ANSWER, by="Ann", at=now + 2 * MINUTE)
    assert got(floor, "Ann", now + 3 * MINUTE) == "A-1"
    assert got(floor, "Cem", now + 3 * MINUTE) is None


def test_a_person_with_two_tasks_is_called_by_one_collector(services: Services, portfolio: Portfolio) -> None:
    path = portfolio(a_row("A-1", holder_id="H"), a_row("A-2", holder_id="H", due_date="2026-07-30"))
    path.write_text(path.read_text().replace("currency\n", "currency,holder_id\n", 1))
    take_in(services, path)
    until(services, 30.2)
    first, second = (one.task.account_id for one in day_list(services, now=at(services)))
    now = at(services)
    assert got(services, "Ann", now) == first
    assert got(services, "Bob", now) is None
    with pytest.raises(CallRefused, match="Ann is calling this person until"):
        claim(services, second, by="Bob", now=now)


def test_a_claim_that_is_left_alone_goes_back_to_the_queue(floor: Services) -> None:
    now = at(floor)
    assert got(floor, "Ann", now) == "A-3"
    assert got(floor, "Bob", now + 20 * MINUTE) == "A-3"
    with pytest.raises(CallRefused, match="Bob is calling this person"):
        record_call(floor, "A-3", Disposition.BUSY, by="Ann", at=now + 21 * MINUTE)
    record_call(floor, "A-3", Disposition.BUSY, by="Bob", at=now + 22 * MINUTE)
    with floor.ledger.read() as session:
        claims = session.exec(select(models.CallClaim).order_by(models.CallClaim.id)).all()  # pyright: ignore
        assert [(c.collector, c.how, c.ended_at) for c in claims] == [
            ("Ann", "abandoned", now + 20 * MINUTE),
            ("Bob", "outcome", now + 22 * MINUTE),
        ]


def test_a_released_task_is_anybodys_and_only_its_holder_can_release_it(floor: Services) -> None:
    now = at(floor)
    assert got(floor, "Ann", now) == "A-3"
    with pytest.raises(CallRefused, match="Bob does not have account A-3"):
        release_claim(floor, "A-3", by="Bob", why="", now=now)
    release_claim(floor, "A-3", by="Ann", why="a friend of mine", now=now)
    assert got(floor, "Bob", now) == "A-3"


def test_at_night_nothing_is_handed_out_and_it_says_when(floor: Services) -> None:
    midnight = at(floor) + 11 * HOUR
    nothing = next_call(floor, by="Ann", now=midnight)
    assert isinstance(nothing, NothingToCall)
    assert nothing.looked_at == 3
    assert nothing.first is not None
    assert midnight < nothing.first < midnight + 12 * HOUR
    with pytest.raises(CallRefused, match=r"A-1 may not be called now: outside the hours .*US-"):
        claim(floor, "A-1", by="Ann", now=midnight)


def test_six_collectors_who_ask_at_once_get_three_persons_and_one_who_asks_six_times_gets_one(floor: Services) -> None:
    now = at(floor)

    def ask(by: str) -> str | None:
        mine = open_services(floor.settings, live=False).at(floor.clock)
        try:
            return got(mine, by, now)
        finally:
            mine.close()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, ["Zoe"] * 6))
        assert len({answer for answer in answers if answer}) == 1
        release_claim(floor, next(a for a in answers if a), by="Zoe", why="", now=now)
        names = [f"C{n}" for n in range(6)]
        answers = list(pool.map(ask, names))
    handed_out = [answer for answer in answers if answer]
    assert sorted(handed_out) == sorted(set(handed_out))
    # Whoever met another at a person may ask again.
    again = [got(floor, name, now) for name in names]
    assert sorted(answer for answer in again if answer) == ["A-1", "A-2", "A-3"]


def test_an_outcome_that_needs_words_is_refused_without(floor: Services) -> None:
    with pytest.raises(CallRefused, match="deceased needs a note"):
        must_be_noted(floor, Disposition.DECEASED, "  ")
    must_be_noted(floor, Disposition.DECEASED, "his daughter says he died in May")
    must_be_noted(floor, Disposition.NO_ANSWER, "")


def test_day_lists_are_dealt_by_worth_worked_first_and_shared_when_ones_own_is_done(floor: Services) -> None:
    now = at(floor)
    assert [hand.keys for hand in share_out(floor, ["Ann", "Bob"], now=now, dry_run=True)] != []
    assert {one.task.dealt_to for one in day_list(floor, now=now)} == {""}
    hands = share_out(floor, ["Ann", "Bob"], now=now, dry_run=False)
    assert [(hand.collector, len(hand.keys)) for hand in hands] == [("Ann", 1), ("Bob", 2)]
    assert [one.task.account_id for one in in_turn(day_list(floor, now=now), "Bob")] == ["A-2", "A-1", "A-3"]
    assert [one.task.account_id for one in in_turn(day_list(floor, now=now), "Ann")] == ["A-3", "A-1", "A-2"]


def test_who_was_cured_and_is_behind_again_is_listed_once(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio())
    until(services, 31)
    pay(services, "A-1", "120.00", reference="P-1", source="test", who="test", at=at(services))
    take_in(services, portfolio(a_row(due_date="2026-09-05")), at=at(services))
    until(services, 36 + 31)
    [listed] = day_list(services, now=at(services))
    assert "32 days" in str(listed.score), "by the case it belongs to"


def test_a_promise_that_was_kept_presses_nobody_any_more(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio())
    until(services, 24)
    by = {"source": "test", "who": "test"}
    promise(services, "A-1", "50.00", due_on=date(2026, 8, 27), reference="K-1", at=at(services), **by)
    pay(services, "A-1", "50.00", reference="P-1", at=at(services) + HOUR, **by)
    until(services, 31.2)

    def pressing() -> int:
        [mine] = day_list(services, now=at(services))
        return next(part.points for part in mine.score.parts if part.name == "promise")

    assert pressing() == 0
    reverse(services, "A-1", "P-1", amount=None, reference="P-1/back", at=at(services), **by)
    assert pressing() == 25


def test_an_outcome_and_a_claim_that_has_run_out_do_not_wait_for_each_other(floor: Services) -> None:
    now = at(floor)
    claim(floor, "A-1", by="Ann", now=now)
    late = now + 21 * MINUTE
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            asked = [pool.submit(claim, floor, f"A-{n}", by=f"C{n}", now=late) for n in (1, 1, 2, 2, 3, 3)]
            said = pool.submit(record_call, floor, "A-1", Disposition.BUSY, by="Ann", at=late)
            for future in (*asked, said):
                assert isinstance(future.exception(), CallRefused | None)


def test_one_collector_who_asks_for_three_persons_at_once_has_one(floor: Services) -> None:
    now, together = at(floor), Barrier(3)

    def ask(account: str) -> str | None:
        together.wait()
        try:
            return claim(floor, account, by="Ann", now=now).task.account_id
        except CallRefused:
            return None

    with ThreadPoolExecutor(3) as pool:
        got_them = list(pool.map(ask, ("A-1", "A-2", "A-3")))
    assert len([account for account in got_them if account]) == 1


# The telephone ----------------------------------------------------------------------------------------------


@pytest.fixture
def house(floor: Services, twilio: TwilioStandIn) -> Iterator[Services]:
    # A look-up is believed once Twilio's clock is past the intent.
    twilio.now = lambda: floor.clock.wall() + MINUTE
    more = {"twilio_from": "+15005550006", "twilio_base_url": twilio.url, "doubt_seconds": 0.0}
    with serving(replace(floor, settings=floor.settings.model_copy(update=more))) as (house, _):
        yield house


def ring(house: Services, twilio: TwilioStandIn, *, by: str = "Ann") -> TwilioVoice:
    dial(house, dialler_of(house), "A-1", by=by, agent_number=AGENT, now=at(house))
    return TwilioVoice(ACCOUNT_SID, AUTH_TOKEN, twilio.calls.asked[-1])


def dials(house: Services) -> list[tuple[str, str, int]]:
    with house.ledger.read() as session:
        rows = session.exec(select(models.CallDial).order_by(models.CallDial.intended_wall)).all()  # pyright: ignore
        return [(row.state, row.status, row.seconds) for row in rows]


def test_the_collector_first_then_the_holder_once_then_the_outcome(house: Services, twilio: TwilioStandIn) -> None:
    voice = ring(house, twilio)
    assert voice.asked["To"] == AGENT
    gather = voice.agent_answers()
    assert gather.status_code == 200
    assert "+15185550101" not in gather.text, "nobody's telephone rings before it is asked for"
    page = voice.agent_presses("1", gather.text)
    assert "<Number>+15185550101</Number>" in page.text
    assert attribute(page.text, "callerId") == "+15005550006"
    assert "record" not in page.text
    assert voice.agent_presses("1", gather.text).status_code == 409
    assert "<Number>" not in voice.post(attribute(gather.text, "action"), Digits="1", Again="yes").text
    assert "outcome" in voice.holder_hangs_up(page.text).text
    assert voice.agent_hangs_up().status_code == 204
    assert dials(house) == [("ended", "completed", 61)]
    record_call(house, "A-1", Disposition.RIGHT_PARTY_CONTACT, by="Ann", at=at(house))
    with house.ledger.read() as session:
        row = session.exec(select(models.CallDial)).one()
        assert row.verdict["verdict"] == "allow"
        assert session.exec(select(models.Contact)).all() == [], "the attempt that the queue counted is this call"


def test_what_comes_between_the_click_and_the_key_stops_the_call(house: Services, twilio: TwilioStandIn) -> None:
    voice = ring(house, twilio)
    gather = voice.agent_answers()
    hold(house, "A-1", "DISPUTE_OPEN", at=at(house), until=None, channel=None, who="test")
    assert "<Number>" not in voice.agent_presses("1", gather.text).text
    assert dials(house)[0][0] == "refused"
    assert last(house, "call-1")["status"] == "skipped"


def test_the_gate_is_asked_again_when_the_key_is_pressed(house: Services, twilio: TwilioStandIn) -> None:
    voice = ring(house, twilio)
    gather = voice.agent_answers()
    until(house, 30.4)  # a quarter to six in the afternoon, and then a quarter to ten at night
    with house.ledger.write() as session:
        [held] = session.exec(select(models.CallClaim)).all()
        held.until += HOUR * 24
        session.add(held)
    until(house, 30.57)
    assert "<Number>" not in voice.agent_presses("1", gather.text).text
    with house.ledger.read() as session:
        row = session.exec(select(models.CallDial)).one()
        assert (row.state, row.connected_at, row.verdict["verdict"]) == ("refused", None, "defer")
        assert "outside the hours" in row.reason


def test_no_key_no_call(house: Services, twilio: TwilioStandIn) -> None:
    voice = ring(house, twilio)
    gather = voice.agent_answers()
    assert "<Number>" not in voice.agent_presses("2", gather.text).text
    voice.agent_hangs_up("no-answer")
    assert dials(house) == [("ended", "", 0)]
    with pytest.raises(CallRefused, match="Ann is calling this person"):
        ring(house, twilio, by="Bob")
    ring(house, twilio)
    assert [state for state, *_ in dials(house)] == ["ended", "ringing"]


def test_a_second_call_on_one_day_is_past_the_floors_target(house: Services, twilio: TwilioStandIn) -> None:
    voice = ring(house, twilio)
    page = voice.agent_presses("1", voice.agent_answers().text)
    with pytest.raises(DialRefused, match="on the line since"):
        ring(house, twilio)
    voice.holder_hangs_up(page.text, "no-answer", 0)
    with pytest.raises(DialRefused, match="called 1 times today"):
        ring(house, twilio)
    assert len(twilio.calls.asked) == 1


def test_who_is_on_the_line_keeps_the_person_and_then_has_time_for_the_outcome(
    house: Services, twilio: TwilioStandIn
) -> None:
    voice = ring(house, twilio)
    page = voice.agent_presses("1", voice.agent_answers().text)
    now = at(house)
    with pytest.raises(CallRefused, match="Ann is calling this person"):
        claim(house, "A-1", by="Bob", now=now + 50 * MINUTE)
    voice.holder_hangs_up(page.text)
    with pytest.raises(CallRefused, match="Ann is calling this person"):
        claim(house, "A-1", by="Bob", now=now + 19 * MINUTE)
    assert claim(house, "A-1", by="Bob", now=now + 21 * MINUTE).new


def test_two_clicks_at_once_ring_once(house: Services, twilio: TwilioStandIn) -> None:
    claim(house, "A-1", by="Ann", now=at(house))
    together = Barrier(4)

    def click(_: int) -> bool:
        together.wait()
        try:
            ring(house, twilio)
        except DialRefused:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(click, range(4))) == 1
    assert len(twilio.calls.asked) == 1


def test_a_call_whose_answer_was_lost_is_looked_up_and_one_that_never_left_is_made(
    house: Services, twilio: TwilioStandIn
) -> None:
    twilio.fault("drop_after_accept")
    ring(house, twilio)
    assert dials(house)[0][0] == "intended"
    with pytest.raises(DialRefused, match="it rings"):
        ring(house, twilio)
    assert len(twilio.calls.asked) == 1
    voice = TwilioVoice(ACCOUNT_SID, AUTH_TOKEN, twilio.calls.asked[0])
    voice.agent_hangs_up("no-answer")
    twilio.fault("drop_before_accept")
    ring(house, twilio)
    assert [state for state, *_ in dials(house)] == ["ended", "intended"]
    ring(house, twilio)
    assert [state for state, *_ in dials(house)] == ["ended", "failed", "ringing"]
    assert len(twilio.calls.asked) == 2


def test_a_call_whose_end_nobody_reported_is_asked_about(house: Services, twilio: TwilioStandIn) -> None:
    voice = ring(house, twilio)
    twilio.calls.update(voice.asked["sid"], status="completed")
    ring(house, twilio)
    assert [state for state, *_ in dials(house)] == ["ended", "ringing"]


def test_calls_are_recorded_where_one_party_may_decide_and_the_lender_wants_it(
    house: Services, twilio: TwilioStandIn
) -> None:
    house.settings.__dict__["record_calls"] = True
    voice = ring(house, twilio)
    assert 'record="record-from-answer-dual"' in voice.agent_presses("1", voice.agent_answers().text).text
    with house.ledger.read() as session:
        assert session.exec(select(models.CallDial)).one().recorded
    assert house.floor.may_record(["US", "US-NY"])
    assert not house.floor.may_record(["US", "US-CA"])
    assert not house.floor.may_record(["US", "US-NY", "US-MA"])
    assert not house.floor.may_record(["DE"])


# What it came to --------------------------------------------------------------------------------------------


def test_performance_by_collector(floor: Services) -> None:
    now = at(floor)
    assert got(floor, "Ann", now) == "A-3"
    promised = Promised("50.00", date(2026, 9, 4))
    record_call(floor, "A-3", Disposition.PROMISE, by="Ann", promised=promised, at=now + 6 * MINUTE)
    assert got(floor, "Bob", now) == "A-2"
    record_call(floor, "A-2", Disposition.NO_ANSWER, by="Bob", at=now + 3 * MINUTE)
    pay(floor, "A-3", "50.00", reference="P-1", source="test", who="test", at=now + timedelta(days=2))
    pay(floor, "A-2", "70.00", reference="P-2", source="test", who="test", at=now + timedelta(days=2))
    later = now + timedelta(days=10)
    ann, bob = performance(floor, since=now, until=later, now=later)
    assert (ann.name, ann.attempts, ann.contacts, ann.promises, ann.kept, ann.broken) == ("Ann", 1, 1, 1, 1, 0)
    assert ann.cash["USD"].decimal_text() == "50.00"
    assert ann.per_hour(ann.attempts) == pytest.approx(10)
    assert (bob.attempts, bob.contacts, bob.cash) == (1, 0, {})
    assert bob.time == 3 * MINUTE
