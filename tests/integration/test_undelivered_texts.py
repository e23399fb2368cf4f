"""Texts that did not arrive: what the case does next, whatever the order in which Twilio says so."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from arrears.clock import VirtualClock
from arrears.ledger.contacts import read_contacts
from arrears.operations.brakes import Budget
from arrears.operations.deliveries import report
from arrears.operations.moves import Intended, next_move
from arrears.operations.perform import carry_out, reconcile
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services
from arrears.operations.show import show
from tests.conftest import START, a_row
from tests.integration.stories import Portfolio, at, dump, last, steps, take_in, until

# What is told of a text's fate does not depend on which database keeps it.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SID = "SM" + "0" * 32


@pytest.fixture
def texted(services: Services, portfolio: Portfolio) -> Services:
    """The first text has gone out."""
    take_in(services, portfolio())
    until(services, 1.1)
    return services


def say(services: Services, rung: str, status: str, code: str = "") -> bool:
    """Twilio reports on the last text of `rung`."""
    return report(services, last(services, rung)["reference"], sid=SID, status=status, error_code=code)


@on_sqlite
def test_a_phone_that_is_off_is_texted_again_later_and_then_no_more(texted: Services) -> None:
    for day in (1.2, 2.3):
        assert say(texted, "sms-1", "undelivered", "30003")
        assert last(texted, "sms-1")["status"] == "failed"
        before = len(steps(texted))
        until(texted, day)
        assert [s for s in steps(texted)[before:] if s[0] == "sms-1"] == [("sms-1", "done")]
    assert say(texted, "sms-1", "undelivered", "30003")
    until(texted, 4.9)
    assert [status for rung, status in steps(texted) if rung == "sms-1"] == ["failed"] * 3
    with texted.ledger.read() as session:
        counted = read_contacts(session, "A-1", now=at(texted), days=7)
    assert len(counted) == 3, "what was sent in vain counts where law caps texts"
    references = {step["reference"] for step in show(texted, "A-1")["steps"]}
    assert len(references) == len(show(texted, "A-1")["steps"]), "each try has a reference of its own"
    until(texted, 9)
    assert ("sms-2", "done") in steps(texted), "the week's fourth text waits"


def test_said_twice_late_or_in_another_order_it_follows_once(texted: Services) -> None:
    reference = last(texted, "sms-1")["reference"]
    for words in permutations(("queued", "sent", "undelivered")):
        for word in words:
            code = "30005" if word == "undelivered" else ""
            report(texted, reference, sid=SID, status=word, error_code=code)
    after = dump(texted)
    assert not say(texted, "sms-1", "undelivered", "30005")
    assert dump(texted) == after
    assert len(after["life_events"]) == 1
    assert last(texted, "sms-1")["reason"] == "30005: the number is unknown or no longer in use"


@pytest.mark.parametrize("found_later", [False, True], ids=["sent", "looked up"])
def test_a_failure_reported_before_the_send_is_recorded_follows_when_it_is(
    services: Services, portfolio: Portfolio, found_later: bool
) -> None:
    take_in(services, portfolio())
    house = services.at(VirtualClock(START + timedelta(days=1, hours=5)))
    move = next_move(house, "A-1", who="test", budget=Budget())
    assert isinstance(move, Intended)
    assert report(house, move.intent.reference, sid=SID, status="undelivered", error_code="30006")
    assert last(house, "sms-1")["status"] == "intended", "whoever is sending it settles it"
    if found_later:
        reconcile(house, move.intent, move.channel, who="test")
    else:
        carry_out(house, move.intent, move.channel, who="test")
    assert last(house, "sms-1")["status"] == "failed"
    until(services, 6)
    assert [step for step in steps(services) if step[1] == "done"] == [("letter-for-sms-2", "done")]


def test_a_process_that_dies_between_the_report_and_what_follows_loses_neither(
    texted: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(texted)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("arrears.operations.undelivered.take", die)
        with pytest.raises(KeyboardInterrupt):
            say(texted, "sms-1", "undelivered", "30005")
    assert dump(texted) == before, "the report and its consequences are one transaction"
    assert say(texted, "sms-1", "undelivered", "30005")
    assert last(texted, "sms-1")["status"] == "failed"


@on_sqlite
def test_what_was_to_be_said_long_ago_is_not_said_again_by_text_but_its_letter_goes(texted: Services) -> None:
    reference = last(texted, "sms-1")["reference"]
    until(texted, 4.9)
    report(texted, reference, sid=SID, status="undelivered", error_code="30003")
    assert (last(texted, "sms-1")["status"], last(texted, "sms-1")["again_at"]) == ("failed", None)
    until(texted, 5.5)
    reference = last(texted, "sms-2")["reference"]
    until(texted, 9)
    report(texted, reference, sid=f"{SID[:-1]}1", status="undelivered", error_code="30003")
    until(texted, 11)
    assert ("letter-for-sms-2", "done") in steps(texted)
    assert [step for step in steps(texted) if step[0] == "sms-2"] == [("sms-2", "failed")]


@on_sqlite
def test_delivered_after_all_takes_back_what_has_not_followed_yet(texted: Services) -> None:
    say(texted, "sms-1", "undelivered", "30005")
    assert say(texted, "sms-1", "delivered")
    assert last(texted, "sms-1")["status"] == "done"
    until(texted, 6)
    assert ("sms-2", "done") in steps(texted)
    assert [step for step in steps(texted) if step[0] == "sms-1"] == [("sms-1", "done")]


@on_sqlite
def test_a_filter_is_one_work_item_a_day_for_all_texts_it_stops(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio(a_row("A-1"), a_row("A-2", phone="+15185550102")))
    until(services, 1.5)
    for number, account in enumerate(("A-1", "A-2")):
        reference = show(services, account)["steps"][0]["reference"]
        report(services, reference, sid=f"SM{number:032}", status="undelivered", error_code="30007")
    [item] = waiting_for_people(services)
    assert item.reason.startswith("texts fail with 30007: a filter took the text for spam; https://")


def test_what_was_told_in_one_text_fails_with_it(services: Services, portfolio: Portfolio) -> None:
    rows = [a_row(account, holder_id="H-1") for account in ("A-1", "A-2")]
    path = portfolio(*rows)
    path.write_text(path.read_text().replace("currency\n", "currency,holder_id\n", 1))
    take_in(services, path)
    until(services, 1.5)
    carried = [show(services, account)["steps"][0]["carried_by"] for account in ("A-1", "A-2")]
    assert sum(map(bool, carried)) == 1
    reference = next(filter(None, carried))
    report(services, reference, sid=SID, status="failed", error_code="30005")
    assert [show(services, account)["steps"][0]["status"] for account in ("A-1", "A-2")] == ["failed", "failed"]
    until(services, 6)
    letters = [s for account in ("A-1", "A-2") for s in show(services, account)["steps"] if s["channel"] == "letter"]
    assert sorted(bool(letter["carried_by"]) for letter in letters) == [False, True], "one letter for both"
