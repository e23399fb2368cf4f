"""Twilio's webhooks over real HTTP, signed as the official library signs: what passes, what not, what follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import httpx
import pytest
from sqlmodel import select
from twilio.request_validator import RequestValidator

import models
from arrears.channels.effect import Found
from arrears.clock import VirtualClock
from arrears.engine.vocabulary import ChannelName, StepStatus
from arrears.operations import provider
from arrears.operations.brakes import Budget
from arrears.operations.links import status_link
from arrears.operations.moves import Intended, next_move
from arrears.operations.perform import carry_out, reconcile
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services
from arrears.operations.show import show
from tests.conftest import START, a_row
from tests.integration.stories import Portfolio, dump, last, take_in, until
from tests.support.desk_server import serving
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN

HOLDER = "+15185550101"
SID = "SM" + "0" * 32


@dataclass
class Twilio:
    """Twilio's side: posts forms with its signature."""

    services: Services
    address: str
    # Making a client takes longer than all else here.
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    def post(self, url: str, fields: dict[str, str], *, signature: str | None = None, body: bytes | None = None):
        signed = RequestValidator(AUTH_TOKEN).compute_signature(url, fields)
        headers: dict[str, Any] = {"X-Twilio-Signature": (signed if signature is None else signature).encode("latin-1")}
        if body is None:
            return self.client.post(url, data=fields, headers=headers)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return self.client.post(url, content=body, headers=headers)

    def text(self, words: str, *, sid: str = SID, number: str = HOLDER, **other: Any):
        fields = {"AccountSid": ACCOUNT_SID, "MessageSid": sid, "From": number, "To": "+15005550006", "Body": words}
        return self.post(f"{self.address}/twilio/messages", fields, **other)

    def status(self, url: str, word: str, *, sid: str = SID, **more: str):
        return self.post(url, {"AccountSid": ACCOUNT_SID, "MessageSid": sid, "MessageStatus": word, **more})


@pytest.fixture
def twilio(services: Services, portfolio: Portfolio) -> Iterator[Twilio]:
    """Two days after the due date: the first text has gone out."""
    take_in(services, portfolio())
    until(services, 2)
    with serving(services) as (house, address):
        yield Twilio(house, address)


def reports_to(twilio: Twilio, reference: str) -> str:
    link = status_link(twilio.services.settings, reference, wall=twilio.services.clock.wall())
    assert link is not None
    return link


def kept(services: Services) -> list[models.WebhookRequest]:
    with services.ledger.read() as session:
        return list(session.exec(select(models.WebhookRequest)))


# What passes ------------------------------------------------------------------------------------------------


def test_stop_by_text_closes_texts_before_it_is_answered_and_is_kept_raw(twilio: Twilio) -> None:
    answer = twilio.text("STOP!")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/xml")
    assert answer.text.endswith("<Response/>")
    assert [hold["channel"] for hold in show(twilio.services, "A-1")["holds"]] == ["sms"]
    [raw] = kept(twilio.services)
    assert (raw.path, raw.fields["Body"], raw.handled_at is not None) == ("/twilio/messages", "STOP!", True)


def test_one_byte_changed_a_forged_and_an_unsigned_request_are_refused(twilio: Twilio) -> None:
    before = dump(twilio.services)
    fields = {"AccountSid": ACCOUNT_SID, "MessageSid": SID, "From": HOLDER, "To": "+15005550006", "Body": "STOP"}
    url = f"{twilio.address}/twilio/messages"
    whole = httpx.Request("POST", url, data=fields).read()
    for place in range(0, len(whole), 3):
        changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        assert twilio.post(url, fields, body=changed).status_code in (400, 403), changed
    genuine = RequestValidator(AUTH_TOKEN).compute_signature(url, fields)
    # One letter else, whichever the genuine one ends in: it depends on the port that the service was given.
    forged = genuine[:-2] + ("E=" if genuine.endswith("A=") else "A=")
    for signature in ("", "x", forged, RequestValidator("other").compute_signature(url, fields), "é"):
        assert twilio.post(url, fields, signature=signature).status_code == 403
    assert httpx.post(url, data=fields, timeout=60).status_code == 403
    assert twilio.post(f"{url}?more=1", fields, signature=genuine).status_code == 403
    other = fields | {"AccountSid": "AC" + "1" * 32}
    assert twilio.post(url, other).status_code == 403
    assert dump(twilio.services) == before


def test_a_replayed_text_does_not_stop_texts_again(twilio: Twilio) -> None:
    assert twilio.text("STOP").status_code == 200
    assert twilio.text("START", sid="SM" + "1" * 32).status_code == 200
    assert show(twilio.services, "A-1")["holds"] == []
    before = dump(twilio.services)
    assert twilio.text("STOP").status_code == 409
    assert dump(twilio.services) == before
    assert show(twilio.services, "A-1")["holds"] == []


def test_the_same_text_under_a_new_signature_counts_once(twilio: Twilio) -> None:
    """Twilio's fields may differ between a request and its repetition; the text's name does not."""
    assert twilio.text("STOP").status_code == 200
    fields = {"AccountSid": ACCOUNT_SID, "MessageSid": SID, "From": HOLDER, "Body": "STOP", "ApiVersion": "2010-04-01"}
    assert twilio.post(f"{twilio.address}/twilio/messages", fields).status_code == 200
    with twilio.services.ledger.read() as session:
        assert len(session.exec(select(models.Contact)).all()) == 1


def test_a_request_that_was_kept_but_not_handled_is_handled_when_it_comes_again(twilio: Twilio) -> None:
    """The process ended between the two."""
    fields = {"AccountSid": ACCOUNT_SID, "MessageSid": SID, "From": HOLDER, "To": "+15005550006", "Body": "STOP"}
    provider.keep(twilio.services, "/twilio/messages", fields)
    assert twilio.text("STOP").status_code == 200
    assert show(twilio.services, "A-1")["holds"] != []


def test_what_only_a_person_can_answer_is_work_for_one(twilio: Twilio) -> None:
    for number, words in enumerate(("pay 50 friday", "PAID", "CALL", "my dog ate it")):
        assert twilio.text(words, sid=f"SM{number:032}").status_code == 200
    waiting = [item.reason for item in waiting_for_people(twilio.services)]
    assert waiting == ["promise", "says_paid", "callback", "reply"]


def test_a_text_from_a_number_nobody_names_is_kept_and_changes_nothing(twilio: Twilio) -> None:
    assert twilio.text("STOP", number="+12025550100").status_code == 200
    assert show(twilio.services, "A-1")["holds"] == []
    assert len(kept(twilio.services)) == 1


def test_a_text_is_about_the_account_that_was_last_texted(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio(a_row("A-1", amount_due="0.00"), a_row("A-2", due_date="2026-08-01")))
    until(services, 2)
    with serving(services) as (house, address):
        assert Twilio(house, address).text("PAID").status_code == 200
        assert [item.account_id for item in waiting_for_people(house)] == ["A-2"]


# Reports on texts -------------------------------------------------------------------------------------------


def test_reports_in_any_order_end_with_the_furthest(twilio: Twilio) -> None:
    reference = last(twilio.services, "sms-1")["reference"]
    for number, order in enumerate(permutations(["queued", "sent", "delivered"])):
        url = reports_to(twilio, reference)
        for word in order:
            # The number makes each round's requests new ones.
            assert twilio.status(url, word, Round=str(number)).status_code == 204
        assert last(twilio.services, "sms-1")["delivery"] == {"status": "delivered", "error_code": None}
        with twilio.services.ledger.write() as session:
            session.delete(session.get_one(models.Delivery, reference))


def test_a_report_says_why_a_text_was_not_delivered(twilio: Twilio) -> None:
    reference = last(twilio.services, "sms-1")["reference"]
    assert twilio.status(reports_to(twilio, reference), "undelivered", ErrorCode="30005").status_code == 204
    assert last(twilio.services, "sms-1")["delivery"] == {"status": "undelivered", "error_code": "30005"}


def test_a_stale_a_forged_and_a_replayed_report_are_refused(twilio: Twilio) -> None:
    reference = last(twilio.services, "sms-1")["reference"]
    url = reports_to(twilio, reference)
    assert twilio.status(url, "sent").status_code == 204
    assert twilio.status(url, "sent").status_code == 409
    before = dump(twilio.services)
    long_ago = twilio.services.clock.wall() - timedelta(days=5)
    stale = status_link(twilio.services.settings, reference, wall=long_ago)
    assert stale is not None
    assert twilio.status(stale, "delivered").status_code == 403
    assert twilio.status(url[:-1] + ("A" if url[-1] != "A" else "B"), "delivered").status_code == 403
    assert twilio.status(url.replace("/status/", "/status/X"), "delivered").status_code == 403
    assert dump(twilio.services) == before


def test_a_report_that_comes_before_the_send_is_recorded_settles_it(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio())
    clock = VirtualClock(START + timedelta(days=1, hours=5))
    with serving(services.at(clock)) as (house, address):
        move = next_move(house, "A-1", who="test", budget=Budget())
        assert isinstance(move, Intended)
        twilio = Twilio(house, address)
        assert twilio.status(reports_to(twilio, move.intent.reference), "sent").status_code == 204
        assert last(house, "sms-1")["status"] == "intended", "whoever is sending it settles it"
        without_provider = replace(house, channels={**house.channels, ChannelName.SMS: Unreachable()})
        assert reconcile(without_provider, move.intent, move.channel, who="test") is StepStatus.DONE
        assert last(house, "sms-1")["proof"] == SID


class Unreachable:
    """A provider that must not be asked."""

    def perform(self, intent: object):
        raise AssertionError("asked to send")

    def look_up(self, intent: object) -> Found:
        raise AssertionError("asked to look up")


def test_two_texts_with_one_reference_are_for_a_person(twilio: Twilio) -> None:
    reference = last(twilio.services, "sms-1")["reference"]
    assert twilio.status(reports_to(twilio, reference), "sent").status_code == 204
    assert twilio.status(reports_to(twilio, reference), "delivered", sid="SM" + "2" * 32).status_code == 204
    assert last(twilio.services, "sms-1")["delivery"]["status"] == "sent"
    with twilio.services.ledger.read() as session:
        [event] = session.exec(select(models.Event).where(models.Event.what == "for a person")).all()
    assert event.why == "the provider names two texts with one reference"


def test_a_signed_request_that_is_none_is_refused_and_not_kept(twilio: Twilio) -> None:
    before = dump(twilio.services)
    assert twilio.text("STOP", sid="nonsense").status_code == 400
    assert twilio.text("\x00STOP").status_code == 400
    assert twilio.text("x" * 70_000).status_code == 413
    assert dump(twilio.services) == before


def test_the_text_went_out_with_a_link_and_asks_for_reports(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio())
    clock = VirtualClock(START + timedelta(days=1, hours=5))
    with serving(services.at(clock)) as (house, address):
        move = next_move(house, "A-1", who="test", budget=Budget())
        assert isinstance(move, Intended)
        assert carry_out(house, move.intent, move.channel, who="test") is StepStatus.DONE
        body = move.intent.payload["body"]
        assert f"{address}/a/{move.intent.reference}." in body
        link = body.split("Pay: ")[1].split()[0]
        page = httpx.get(link, timeout=60)
        assert (page.status_code, "120.00" in page.text, "Ann" in page.text) == (200, True, False)
