"""Texts through Twilio's official client, over real HTTP, against the stand-in."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests

from arrears.channels.effect import (
    Absent,
    Declined,
    Done,
    Found,
    InDoubt,
    LookUpFailed,
    Outcome,
    Refused,
    TryAgain,
    Unprovable,
)
from arrears.channels.sms import TwilioSms
from arrears.channels.sms.twilio_http import Transports
from tests.support.prefect_house import wait_for
from tests.support.texts import NOON, NUMBER, REFERENCE, a_text, body
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, FAULTS, SENDER, TwilioStandIn

LONG_AFTER = NOON + timedelta(minutes=10)


@pytest.fixture
def sms(twilio: TwilioStandIn) -> TwilioSms:
    twilio.now = lambda: LONG_AFTER
    return TwilioSms(ACCOUNT_SID, AUTH_TOKEN, SENDER, twilio.url)


def client_for(twilio: TwilioStandIn, fault: str) -> TwilioSms:
    """A client that loses patience only where the answer would not come anyway."""
    return TwilioSms(ACCOUNT_SID, AUTH_TOKEN, SENDER, twilio.url, timeout=1.5 if fault in ("slow", "late") else 120)


@pytest.fixture
def connections_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is: connections are kept as long as a test takes."""
    monkeypatch.setattr(Transports, "seconds", 600)


@pytest.fixture(autouse=True)
def nothing_personal_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Every test here, at DEBUG."""
    caplog.set_level(logging.DEBUG)
    yield
    for record in caplog.get_records("call"):
        assert_discreet(record.getMessage() + str(record.exc_info))


def assert_discreet(told: object) -> None:
    """Neither a number, in whatever encoding, nor anything of a text."""
    for secret in (NUMBER.removeprefix("+"), "1500555", "Robin", "overdue", AUTH_TOKEN):
        assert secret not in repr(told)


# What the answer says ------------------------------------------------------------------------------------


def test_an_accepted_text_is_done_with_its_sid(twilio: TwilioStandIn, sms: TwilioSms):
    outcome = sms.perform(a_text())
    [accepted] = twilio.accepted()
    assert outcome == Done(accepted["sid"], {"status": "queued"})
    assert (accepted["to"], accepted["from"], accepted["body"]) == (NUMBER, SENDER, body())
    assert accepted["validity_period"] is None


def test_a_text_can_be_made_to_die_in_the_queue_before_quiet_hours(twilio: TwilioStandIn, sms: TwilioSms):
    assert isinstance(sms.perform(a_text(validity_seconds=5400)), Done)
    assert twilio.accepted()[0]["validity_period"] == 5400


@pytest.mark.parametrize("seconds", [0, -1, 36_001, 1.5, "60", True])
def test_a_validity_that_twilio_does_not_know_is_refused_unsent(twilio: TwilioStandIn, sms: TwilioSms, seconds: object):
    outcome = sms.perform(a_text(validity_seconds=seconds))
    assert isinstance(outcome, Refused)
    assert outcome.code == "validity"
    assert not twilio.exchanges


@pytest.mark.parametrize(
    ("number", "code"),
    [("+15005550001", "21211"), ("+15005550002", "21612"), ("+15005550003", "21408"), ("+15005550009", "21614")],
)
def test_a_number_that_cannot_be_texted_is_refused(twilio: TwilioStandIn, sms: TwilioSms, number: str, code: str):
    outcome = sms.perform(a_text(to=number))
    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert_discreet(outcome)
    assert not twilio.accepted()


def test_a_refusal_without_words_of_ours_points_to_twilios(twilio: TwilioStandIn, sms: TwilioSms):
    twilio.mailbox.refuse(NUMBER, 21635)
    assert sms.perform(a_text()) == Refused(
        "21635", "Twilio refused the text: https://www.twilio.com/docs/errors/21635"
    )


def test_a_holder_who_replied_stop_has_declined(twilio: TwilioStandIn, sms: TwilioSms):
    twilio.mailbox.refuse(NUMBER, 21610)
    outcome = sms.perform(a_text())
    assert isinstance(outcome, Declined)
    assert outcome.code == "21610"
    assert_discreet(outcome)


@pytest.mark.parametrize(
    ("header", "after"),
    [
        (7, timedelta(seconds=7)),
        ("Wed, 23 Dec 2026 12:10:30 GMT", timedelta(seconds=30)),
        ("Wed, 23 Dec 2026 11:00:00 GMT", timedelta(0)),
        ("soon", None),
        (None, None),
    ],
)
def test_too_many_requests_are_tried_again_when_twilio_says(
    twilio: TwilioStandIn, sms: TwilioSms, header: str | int | None, after: timedelta | None
):
    twilio.fault("429", retry_after=header)
    assert sms.perform(a_text()) == TryAgain("Twilio has had too many requests", after)
    assert not twilio.accepted()
    assert isinstance(sms.perform(a_text()), Done)


@pytest.mark.parametrize(
    ("sid", "token"), [(ACCOUNT_SID, "wrong"), ("AC" + "1" * 32, AUTH_TOKEN)], ids=["token", "account"]
)
def test_wrong_credentials_are_the_operators_and_fail_no_account(twilio: TwilioStandIn, sid: str, token: str):
    outcome = TwilioSms(sid, token, SENDER, twilio.url).perform(a_text())
    assert isinstance(outcome, TryAgain)
    assert "TWILIO_AUTH_TOKEN" in outcome.reason
    assert_discreet(outcome)


def test_an_address_that_is_not_twilios_fails_no_account(twilio: TwilioStandIn):
    outcome = TwilioSms(ACCOUNT_SID, AUTH_TOKEN, SENDER, f"{twilio.url}/some/proxy").perform(a_text())
    assert isinstance(outcome, TryAgain)
    assert "ARREARS_TWILIO_BASE_URL" in outcome.reason
    [request] = twilio.exchanges
    assert request.path == f"/some/proxy/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    twilio.exchanges.clear()


# What nobody can say -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop_after_accept", "cut_short", "garbage", "http_500_after_accept", "slow"])
def test_an_accepted_text_without_an_answer_is_in_doubt_and_then_found_once(
    twilio: TwilioStandIn, sms: TwilioSms, fault: str
):
    twilio.fault(fault, seconds=60)
    outcome = client_for(twilio, fault).perform(a_text())
    assert isinstance(outcome, InDoubt)
    assert_discreet(outcome)
    [accepted] = wait_for("its acceptance", twilio.accepted)
    assert sms.look_up(a_text()) == Found(accepted["sid"], {"status": "queued"})
    assert len(twilio.accepted()) == 1
    assert twilio.requests["POST"] == 1


@pytest.mark.parametrize("fault", ["drop_before_accept", "http_500", "http_503"])
def test_a_text_that_got_lost_is_in_doubt_and_then_absent(twilio: TwilioStandIn, sms: TwilioSms, fault: str):
    twilio.fault(fault)
    outcome = sms.perform(a_text())
    assert isinstance(outcome, InDoubt)
    assert_discreet(outcome)
    assert sms.look_up(a_text()) == Absent()
    assert twilio.requests["POST"] == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_makes_the_client_repeat_itself(twilio: TwilioStandIn, fault: str):
    twilio.fault(fault, times=None, seconds=60)
    client_for(twilio, fault).perform(a_text())
    wait_for("the request", lambda: twilio.requests["POST"])
    assert twilio.requests["POST"] == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_makes_the_client_repeat_itself_on_a_connection_used_before(
    twilio: TwilioStandIn, fault: str, connections_stay: None
):
    client = client_for(twilio, fault)
    assert isinstance(client.perform(a_text()), Done)
    twilio.fault(fault, times=None, seconds=60)
    client.perform(a_text())
    wait_for("the request", lambda: twilio.requests["POST"] > 1)
    assert twilio.requests["POST"] == 2
    ports = {exchange.port for exchange in twilio.exchanges}
    assert len(ports) == 1, "it was another connection"


def test_one_connection_after_another_only_where_the_last_cannot_be_trusted(
    twilio: TwilioStandIn, sms: TwilioSms, connections_stay: None
):
    for fault in (None, None, "429", "http_500", None, "garbage", None, "cut_short", None, "drop_after_accept", None):
        if fault:
            twilio.fault(fault)
        sms.perform(a_text())
    ports = [exchange.port for exchange in twilio.exchanges]
    assert [number for number in range(1, len(ports)) if ports[number] != ports[number - 1]] == [6, 8, 10]


def test_a_connection_that_has_stood_is_not_used_again(
    twilio: TwilioStandIn, sms: TwilioSms, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Transports, "seconds", 0)
    for _ in range(2):
        sms.perform(a_text())
    assert len({exchange.port for exchange in twilio.exchanges}) == 2


def test_a_connection_that_was_ended_meanwhile_leaves_no_doubt(connections_stay: None):
    with TwilioStandIn() as first:
        port = int(first.url.rpartition(":")[2])
        sms = TwilioSms(ACCOUNT_SID, AUTH_TOKEN, SENDER, first.url)
        assert isinstance(sms.perform(a_text()), Done)
    with TwilioStandIn(port=port) as second:
        assert isinstance(sms.perform(a_text()), Done)
        assert second.requests["POST"] == 1


def test_threads_do_not_share_an_answer(twilio: TwilioStandIn, sms: TwilioSms, connections_stay: None):
    twilio.fault("429", times=None, retry_after=7, to="+15005550001")
    numbers = ["+15005550001", NUMBER] * 20
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda number: sms.perform(a_text(to=number)), numbers))
    assert [type(outcome) for outcome in outcomes] == [TryAgain, Done] * 20
    assert len({exchange.port for exchange in twilio.exchanges}) <= 8


def test_a_connection_that_is_refused_has_sent_nothing():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = TwilioSms(ACCOUNT_SID, AUTH_TOKEN, SENDER, f"http://127.0.0.1:{taken.getsockname()[1]}").perform(
            a_text()
        )
    assert outcome == TryAgain("Twilio could not be reached: no connection was made")


def test_a_name_that_does_not_resolve_has_sent_nothing():
    outcome = TwilioSms(ACCOUNT_SID, AUTH_TOKEN, SENDER, "http://twilio.invalid").perform(a_text())
    assert outcome == TryAgain("Twilio could not be reached: no connection was made")


def test_a_fault_while_another_is_being_handled_is_judged_by_itself(twilio: TwilioStandIn, sms: TwilioSms):
    twilio.fault("drop_after_accept")
    try:
        requests.get("http://twilio.invalid", timeout=1)
    except requests.ConnectionError:
        assert isinstance(sms.perform(a_text()), InDoubt)
    assert len(twilio.accepted()) == 1


# Looking up ----------------------------------------------------------------------------------------------


def test_a_text_found_has_the_status_it_has_now(twilio: TwilioStandIn, sms: TwilioSms):
    sent = sms.perform(a_text())
    assert isinstance(sent, Done)
    for status in ("delivered", "failed", "undelivered"):
        twilio.mailbox.update(sent.reference, status=status)
        assert sms.look_up(a_text()) == Found(sent.reference, {"status": status})


def test_a_missing_text_is_not_called_absent_while_it_may_still_be_on_its_way(twilio: TwilioStandIn, sms: TwilioSms):
    twilio.fault("late", seconds=60)
    twilio.now = lambda: NOON + timedelta(seconds=19)
    assert isinstance(client_for(twilio, "late").perform(a_text()), InDoubt)
    assert isinstance(sms.look_up(a_text()), LookUpFailed)
    twilio.now = lambda: NOON + timedelta(seconds=20)
    assert sms.look_up(a_text()) == Absent()


def test_the_reference_of_another_text_is_not_mistaken_for_ours(twilio: TwilioStandIn, sms: TwilioSms):
    for other in (REFERENCE + "Z", "Z" + REFERENCE, REFERENCE[:-1], REFERENCE.lower()):
        twilio.mailbox.add(to=NUMBER, body=body(other), created=NOON)
    twilio.mailbox.add(to="+14155550199", body=body(), created=NOON)
    assert sms.look_up(a_text()) == Absent()


@pytest.mark.parametrize(
    "text", [f"Ref {REFERENCE}", f"Ref {REFERENCE}.", f"Pay (Ref {REFERENCE}) now", f"{REFERENCE}\nBye"]
)
def test_the_reference_is_found_wherever_it_stands(twilio: TwilioStandIn, sms: TwilioSms, text: str):
    sid = twilio.mailbox.add(to=NUMBER, body=text, created=NOON)["sid"]
    assert sms.look_up(a_text()) == Found(sid, {"status": "queued"})


def test_a_text_is_found_behind_250_newer_ones(twilio: TwilioStandIn, sms: TwilioSms):
    sent = sms.perform(a_text())
    assert isinstance(sent, Done)
    _fill(twilio, 250)
    assert sms.look_up(a_text()) == Found(sent.reference, {"status": "queued"})
    assert twilio.requests["GET"] == 3


def test_texts_from_long_before_are_not_read(twilio: TwilioStandIn, sms: TwilioSms):
    before = NOON - timedelta(hours=25)
    for _ in range(250):
        twilio.mailbox.add(to=NUMBER, body="an older text", created=before, sent=before, status="delivered")
    assert sms.look_up(a_text()) == Absent()
    assert twilio.requests["GET"] == 1


def test_an_unsent_text_is_found_even_if_twilio_lists_it_behind_those_of_long_ago(
    twilio: TwilioStandIn, sms: TwilioSms
):
    long_ago = NOON - timedelta(days=30)
    sid = twilio.mailbox.add(to=NUMBER, body=body(), created=long_ago - timedelta(days=1))["sid"]
    twilio.mailbox.add(to=NUMBER, body="an older text", created=long_ago, sent=long_ago, status="delivered")
    assert sms.look_up(a_text()) == Found(sid, {"status": "queued"})


@pytest.mark.parametrize("sent", [None, NOON], ids=["unsent", "sent today"])
def test_an_old_text_that_went_out_lately_or_not_yet_does_not_end_the_search(
    twilio: TwilioStandIn, sms: TwilioSms, sent: datetime | None
):
    sid = twilio.mailbox.add(to=NUMBER, body=body(), created=NOON - timedelta(days=3))["sid"]
    for _ in range(150):
        twilio.mailbox.add(to=NUMBER, body="scheduled", created=NOON - timedelta(days=2), sent=sent)
    assert sms.look_up(a_text()) == Found(sid, {"status": "queued"})


def test_more_texts_than_a_look_up_reads_leave_it_to_a_person(twilio: TwilioStandIn):
    sms = TwilioSms(ACCOUNT_SID, AUTH_TOKEN, SENDER, twilio.url, look_up_limit=120)
    twilio.now = lambda: LONG_AFTER
    _fill(twilio, 120)
    assert sms.look_up(a_text()) == Absent()
    _fill(twilio, 1)
    assert isinstance(sms.look_up(a_text()), Unprovable)


def test_bodies_removed_at_twilio_leave_it_to_a_person(twilio: TwilioStandIn, sms: TwilioSms):
    sent = sms.perform(a_text())
    assert isinstance(sent, Done)
    twilio.mailbox.update(sent.reference, body="")
    assert isinstance(sms.look_up(a_text()), Unprovable)


@pytest.mark.parametrize("fault", ["http_500", "http_503", "429", "drop_before_accept", "cut_short", "garbage", "slow"])
@pytest.mark.parametrize("page", [1, 2])
def test_a_list_that_cannot_be_read_proves_nothing(twilio: TwilioStandIn, sms: TwilioSms, fault: str, page: int):
    _fill(twilio, 150)
    if page == 2:
        twilio.fault("slow", seconds=0, method="GET")
    twilio.fault(fault, seconds=60, method="GET")
    finding = client_for(twilio, fault).look_up(a_text())
    assert isinstance(finding, LookUpFailed)
    assert_discreet(finding)
    assert sms.look_up(a_text()) == Absent()


def test_wrong_credentials_prove_nothing(twilio: TwilioStandIn):
    assert isinstance(TwilioSms(ACCOUNT_SID, "wrong", SENDER, twilio.url).look_up(a_text()), LookUpFailed)


# Around it -----------------------------------------------------------------------------------------------


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads that take turns as often as they can, so that what they share shows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_threads")
def test_threads_get_their_own_answers(twilio: TwilioStandIn, sms: TwilioSms):
    numbers = [f"+1415555{number:04d}" for number in range(80)]
    for seconds, number in enumerate(numbers):
        twilio.fault("429", retry_after=seconds, to=number)
    together = threading.Barrier(8)

    def send(number: str) -> Outcome:
        together.wait()
        return sms.perform(a_text(to=number))

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(send, numbers))
    assert [outcome.after for outcome in outcomes if isinstance(outcome, TryAgain)] == [
        timedelta(seconds=seconds) for seconds in range(80)
    ]


def test_other_users_of_urllib3_keep_their_log(twilio: TwilioStandIn, sms: TwilioSms, caplog: pytest.LogCaptureFixture):
    sms.perform(a_text())
    assert not [record for record in caplog.records if record.name.startswith("urllib3")]
    requests.get(f"{twilio.url}/_faults", timeout=60)
    assert [record for record in caplog.records if record.name.startswith("urllib3")]


@pytest.mark.parametrize("address", ["127.0.0.1:9000", "ftp://127.0.0.1", "http://", ""])
def test_a_base_url_that_is_no_address_is_refused_at_once(address: str):
    with pytest.raises(ValueError, match="is no address"):
        TwilioSms(ACCOUNT_SID, AUTH_TOKEN, SENDER, address)


def test_the_stand_in_as_a_process_keeps_what_it_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    command = [sys.executable, "-m", "tests.support.twilio_stand_in", "--store", str(tmp_path / "accepted.jsonl")]
    intent = replace(a_text(), wall=NOON - timedelta(days=300))
    for expected in (Absent, Found):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            url = process.stdout.readline().strip()
            sms = TwilioSms(ACCOUNT_SID, AUTH_TOKEN, SENDER, url)
            assert isinstance(sms.look_up(intent), expected)
            if expected is Absent:
                order = [{"fault": "drop_after_accept", "match": {"body": REFERENCE}}]
                requests.post(f"{url}/_faults", json=order, timeout=60).raise_for_status()
                assert isinstance(sms.perform(intent), InDoubt)
            assert len(requests.get(f"{url}/_messages", timeout=60).json()) == 1
            process.kill()


def _fill(twilio: TwilioStandIn, count: int) -> None:
    for _ in range(count):
        twilio.mailbox.add(to=NUMBER, body="a newer text", created=LONG_AFTER)
