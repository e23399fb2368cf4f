"""Our requests and the stand-in's answers against Twilio's own OpenAPI description.

Every exchange of the integration tests is held against it, too (tests/integration/conftest.py).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from openapi_core.exceptions import OpenAPIError
from twilio.rest import Client

from arrears.channels.effect import Absent, Declined, Done, Found, Refused
from arrears.channels.sms import TwilioSms
from arrears.channels.sms.twilio_http import Transport
from tests.contract.cut_description import CUT
from tests.contract.twilio_description import check
from tests.support.texts import NOON, NUMBER, a_text
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, SENDER, Exchange, TwilioStandIn


@pytest.fixture
def twilio(monkeypatch: pytest.MonkeyPatch) -> Iterator[TwilioStandIn]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with TwilioStandIn() as stand_in:
        stand_in.now = lambda: NOON + timedelta(minutes=1)
        yield stand_in


@pytest.fixture
def sms(twilio: TwilioStandIn) -> TwilioSms:
    return TwilioSms(ACCOUNT_SID, AUTH_TOKEN, SENDER, twilio.url)


def test_sending_keeps_to_the_description(twilio: TwilioStandIn, sms: TwilioSms):
    assert isinstance(sms.perform(a_text()), Done)
    assert isinstance(sms.perform(a_text(validity_seconds=3600)), Done)
    assert [exchange.status for exchange in _checked(twilio)] == [201, 201]


def test_refusals_keep_to_the_documented_shape(twilio: TwilioStandIn, sms: TwilioSms):
    assert isinstance(sms.perform(a_text(to="+15005550001")), Refused)
    assert isinstance(sms.perform(a_text(to="+15005550004")), Declined)
    assert [exchange.status for exchange in _checked(twilio)] == [400, 400]


def test_looking_up_keeps_to_the_description(twilio: TwilioStandIn, sms: TwilioSms):
    assert sms.look_up(a_text()) == Absent()
    for _ in range(120):
        twilio.mailbox.add(to=NUMBER, body="an older text", created=NOON)
    assert sms.look_up(a_text()) == Absent()
    sms.perform(a_text())
    assert isinstance(sms.look_up(a_text()), Found)
    lists = [exchange for exchange in _checked(twilio) if exchange.method == "GET"]
    assert [len(json.loads(exchange.answer)["messages"]) for exchange in lists] == [0, 100, 20, 100]


def test_a_delivered_a_failed_and_a_single_text_keep_to_the_description(twilio: TwilioStandIn, sms: TwilioSms):
    delivered = sms.perform(a_text("AAAAAAAA"))
    failed = sms.perform(a_text("BBBBBBBB"))
    assert isinstance(delivered, Done)
    assert isinstance(failed, Done)
    twilio.mailbox.update(delivered.reference, status="delivered", date_sent="Wed, 23 Dec 2026 12:01:02 +0000")
    twilio.mailbox.update(failed.reference, status="undelivered", error_code=30003)
    sms.look_up(a_text())
    client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=Transport(urlsplit(twilio.url), 10))
    assert client.messages(failed.reference).fetch().error_code == 30003
    assert len(_checked(twilio)) == 4


def test_the_cut_says_where_it_comes_from():
    cut = json.loads(CUT.read_text(encoding="utf-8"))
    assert cut["x-cut-from"]["package"] == "npm:@twilio/cli-core"
    assert cut["x-cut-from"]["version"] == "8.3.2"
    assert [operation for path in cut["paths"].values() for operation in path if operation != "servers"] == [
        *("get", "post", "get"),
        *("get", "post", "get"),
    ]


@pytest.mark.parametrize(
    "request_body",
    [
        b"From=%2B15005550006&Body=hello",
        b"To=a+name&From=%2B15005550006&Body=hello",
        b"To=%2B14155550123&From=%2B15005550006&Body=hello&ValidityPeriod=soon",
        b"To=%2B14155550123&From=%2B15005550006&Body=hello&Validity=60",
    ],
    ids=["no To", "To is no number", "validity is no number", "a field Twilio does not know"],
)
def test_a_request_unlike_the_description_is_caught(twilio: TwilioStandIn, sms: TwilioSms, request_body: bytes):
    sms.perform(a_text())
    with pytest.raises((OpenAPIError, AssertionError)):
        check(dataclasses.replace(twilio.exchanges[0], body=request_body))


def test_a_request_without_credentials_is_caught(twilio: TwilioStandIn, sms: TwilioSms):
    sms.perform(a_text())
    headers = {name: value for name, value in twilio.exchanges[0].headers.items() if name != "Authorization"}
    with pytest.raises(OpenAPIError):
        check(dataclasses.replace(twilio.exchanges[0], headers=headers))


@pytest.mark.parametrize(
    "change",
    [{"status": "posted"}, {"date_created": "2026-12-23T12:00:00Z"}, {"sid": "SM1"}, {"num_segments": 1}, {"more": 1}],
    ids=lambda change: next(iter(change)),
)
def test_an_answer_unlike_the_description_is_caught(twilio: TwilioStandIn, sms: TwilioSms, change: dict[str, object]):
    sms.perform(a_text())
    answer = json.loads(twilio.exchanges[0].answer) | change
    with pytest.raises(OpenAPIError):
        check(dataclasses.replace(twilio.exchanges[0], answer=json.dumps(answer).encode()))


def _checked(twilio: TwilioStandIn) -> list[Exchange]:
    exchanges = list(twilio.exchanges)
    for exchange in exchanges:
        check(exchange)
    return exchanges
