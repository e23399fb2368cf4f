"""What is asked of Twilio about texts it took: none stays queued for ever, and the ledger agrees with its list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
from sqlmodel import select

import models
from arrears.channels.tracking import ProviderSilent
from arrears.clock import VirtualClock
from arrears.operations.brakes import Budget
from arrears.operations.reconcile_texts import Reconciled, reconcile_texts
from arrears.operations.services import Services, open_services
from arrears.operations.show import show
from arrears.operations.sweep import sweep
from arrears.operations.texts import ask_what_became
from arrears.settings import Settings
from tests.conftest import START, a_row
from tests.integration.stories import Portfolio, dump, last, steps, take_in
from tests.support.desk_server import serving
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, SENDER, TwilioStandIn

HOUR = timedelta(hours=1)
# What is told of Twilio's side does not depend on which database keeps it.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Machine(VirtualClock):
    """A machine whose wall time is the ledger's, so that a test can let hours pass."""

    def wall(self) -> datetime:
        return self.moment


@pytest.fixture
def clock() -> Machine:
    return Machine(START)


@pytest.fixture
def services(settings: Settings, clock: Machine, twilio: TwilioStandIn, portfolio: Portfolio) -> Iterator[Services]:
    """The first text has gone to Twilio, which has it in its queue."""
    twilio.now = lambda: clock.moment
    at_twilio = settings.model_copy(
        update={
            "twilio_account_sid": ACCOUNT_SID,
            "twilio_auth_token": AUTH_TOKEN,
            "twilio_from": SENDER,
            "twilio_base_url": twilio.url,
        }
    )
    opened = open_services(at_twilio).at(clock)
    take_in(opened, portfolio())
    clock.moment = START + timedelta(days=1, hours=3)
    assert sweep(opened, who="test", budget=Budget()).effects == 1
    yield opened
    opened.close()


def asked(services: Services, clock: Machine, hours: float) -> int:
    clock.moment += hours * HOUR
    return sweep(services, who="test", budget=Budget()).asked.asked


def delivery(services: Services) -> tuple[str, bool]:
    """What is known, and whether Twilio will be asked again."""
    with services.ledger.read() as session:
        row = session.get_one(models.Delivery, last(services, "sms-1")["reference"])
        return row.status, row.ask_at is not None


def test_what_was_not_reported_is_asked_for_and_followed(
    services: Services, clock: Machine, twilio: TwilioStandIn
) -> None:
    assert asked(services, clock, 3) == 0
    [text] = twilio.accepted()
    twilio.mailbox.update(text["sid"], status="undelivered", error_code=30006)
    assert asked(services, clock, 2) == 1
    assert last(services, "sms-1")["reason"] == "30006: a landline, or a carrier that takes no texts"
    assert asked(services, clock, 24) == 0, "what is over is not asked about"


@on_sqlite
def test_delivered_is_the_end_of_it(services: Services, clock: Machine, twilio: TwilioStandIn) -> None:
    twilio.mailbox.update(twilio.accepted()[0]["sid"], status="delivered")
    assert asked(services, clock, 5) == 1
    assert delivery(services) == ("delivered", False)


@on_sqlite
def test_a_text_that_never_leaves_twilios_queue_has_an_end_and_is_not_sent_again(
    services: Services, clock: Machine, twilio: TwilioStandIn
) -> None:
    for hours, times in ((5, 1), (3, 0), (4, 1), (7, 1), (6, 1)):
        assert asked(services, clock, hours) == times
    assert last(services, "sms-1")["reason"] == "unfinished: Twilio still had the text in its queue long after its time"
    clock.moment = START + timedelta(days=6)
    sweep(services, who="test", budget=Budget())
    assert [step for step in steps(services) if step[1] == "done"] == [("letter-for-sms-2", "done")]
    assert len(twilio.accepted()) == 1


@on_sqlite
def test_without_a_receipt_from_the_carrier_sent_is_enough(
    services: Services, clock: Machine, twilio: TwilioStandIn
) -> None:
    twilio.mailbox.update(twilio.accepted()[0]["sid"], status="sent")
    assert [asked(services, clock, hours) for hours in (5, 20, 20)] == [1, 1, 0]
    assert (last(services, "sms-1")["status"], delivery(services)) == ("done", ("sent", False))


@pytest.mark.parametrize("fault", ["http_503", "garbage"])
@on_sqlite
def test_while_twilio_is_silent_nothing_is_concluded(
    services: Services, clock: Machine, twilio: TwilioStandIn, fault: str
) -> None:
    before = dump(services)
    twilio.fault(fault, times=None, method="GET")
    clock.moment += 5 * HOUR
    result = ask_what_became(services, who="test")
    assert result.silent is not None
    assert dump(services) == before
    twilio.faults.clear()
    assert asked(services, clock, 0) == 1


@on_sqlite
def test_a_text_that_twilio_does_not_know_is_for_a_person(
    services: Services, clock: Machine, twilio: TwilioStandIn
) -> None:
    twilio.mailbox._texts.clear()  # pyright: ignore[reportPrivateUsage]
    assert [asked(services, clock, hours) for hours in (5, 5)] == [1, 0]
    assert ("for a person", "the provider does not know the text any more") in [
        (row.what, row.why) for row in _events(services)
    ]


@pytest.mark.parametrize("word", ["partially_delivered", "receiving"])
@on_sqlite
def test_a_status_that_is_new_to_us_stops_nobody_and_is_not_the_end(
    services: Services, clock: Machine, twilio: TwilioStandIn, word: str
) -> None:
    [text] = twilio.accepted()
    twilio.mailbox.update(text["sid"], status=word)
    assert [asked(services, clock, hours) for hours in (5, 20, 7)] == [1, 1, 0]
    assert (last(services, "sms-1")["status"], delivery(services)) == ("done", ("queued", False))


@on_sqlite
def test_a_text_that_twilio_cannot_tell_about_does_not_keep_the_others_waiting(
    services: Services, clock: Machine, twilio: TwilioStandIn, portfolio: Portfolio
) -> None:
    take_in(services, portfolio(a_row("A-2", phone="+15185550102")), at=clock.moment)
    sweep(services, who="test", budget=Budget())
    first, second = (text["sid"] for text in twilio.accepted())
    twilio.exchanges.clear()
    for _ in range(3):
        twilio.fault("http_503", method="GET")
        asked(services, clock, 5)
    about = [exchange.path.rpartition("/")[2].removesuffix(".json") for exchange in twilio.exchanges]
    assert {first, second} <= set(about)


def _events(services: Services) -> list[models.Event]:
    with services.ledger.read() as session:
        return list(session.exec(select(models.Event)))


@on_sqlite
def test_reports_that_arrive_out_of_order_over_http(services: Services, clock: Machine, twilio: TwilioStandIn) -> None:
    with serving(services) as (house, _):
        twilio.mailbox.update(twilio.accepted()[0]["sid"], status="delivered")
        clock.moment = START + timedelta(days=5, hours=3)
        calling_back = replace(house, channels=open_services(house.settings).channels)
        assert sweep(calling_back, who="test", budget=Budget()).effects == 1
        sid = twilio.accepted()[-1]["sid"]
        assert twilio.report(sid, "undelivered", "sent", "queued", error_code="30003") == [204, 204, 204]
        text = last(house, "sms-2")
        assert (text["status"], text["delivery"]["error_code"]) == ("failed", "30003")


# The ledger and Twilio's list ---------------------------------------------------------------------------------


def compared(services: Services, **more: bool) -> Reconciled:
    return reconcile_texts(services, START, START + timedelta(days=30), who="test", **more)


def differences(result: Reconciled) -> dict[str, int]:
    document = result.to_json()
    return {kind: len(document[kind]) for kind in ("missing", "unknown", "doubled", "differing") if document[kind]}


@on_sqlite
def test_the_ledger_agrees_with_twilio_also_about_what_was_not_sent_yet(
    services: Services, clock: Machine, twilio: TwilioStandIn
) -> None:
    result = compared(services)
    assert (result.agrees, result.listed, result.in_ledger, result.agreed) == (True, 0, 1, 1)
    sent = format_datetime(clock.moment)
    twilio.mailbox.update(twilio.accepted()[0]["sid"], date_sent=sent)
    for number in range(1100):
        twilio.mailbox.add(to=f"+1518555{number:04}", body="another's", created=START, sent=START)
    before = twilio.requests["GET"]
    result = compared(services)
    assert (result.listed, result.agreed, differences(result)) == (1101, 1, {"unknown": 1100})
    assert twilio.requests["GET"] - before == 2, "a thousand to the page"


def test_every_difference_is_named_by_reference_and_none_by_number(
    services: Services, clock: Machine, twilio: TwilioStandIn
) -> None:
    [text] = twilio.accepted()
    now = format_datetime(clock.moment)
    twilio.mailbox.update(text["sid"], status="undelivered", error_code=30005, date_sent=now)
    twilio.mailbox.add(to=text["to"], body=text["body"], created=clock.moment, sent=clock.moment)
    twilio.mailbox.add(to=text["to"], body="Ref 7K3QX9MB", created=clock.moment, sent=clock.moment)
    result = compared(services)
    assert differences(result) == {"unknown": 1, "doubled": 1, "differing": 1}
    assert result.unknown[0]["reference"] == "7K3QX9MB"
    assert text["to"] not in str(result.to_json())
    assert last(services, "sms-1")["status"] == "done", "looking changes nothing"
    compared(services, take=True)
    assert last(services, "sms-1")["status"] == "failed"
    assert differences(compared(services)) == {"unknown": 1, "doubled": 1}


@on_sqlite
def test_a_text_that_twilio_lost_is_missing(services: Services, twilio: TwilioStandIn) -> None:
    twilio.mailbox._texts.clear()  # pyright: ignore[reportPrivateUsage]
    assert differences(compared(services)) == {"missing": 1}


@on_sqlite
def test_a_list_that_breaks_off_is_no_difference(services: Services, twilio: TwilioStandIn) -> None:
    twilio.fault("429", retry_after=7, method="GET")
    with pytest.raises(ProviderSilent, match="0:00:07"):
        compared(services)


# An hour without Twilio ---------------------------------------------------------------------------------------


def test_twilio_is_down_for_an_hour_nothing_is_lost_and_nothing_doubled(
    services: Services, clock: Machine, twilio: TwilioStandIn, portfolio: Portfolio
) -> None:
    """The second texts fall due while it accepts and does not say so, drops, refuses or answers nonsense."""
    accounts = [f"B-{number}" for number in range(6)]
    rows = (a_row(account, phone=f"+1518555020{number}") for number, account in enumerate(accounts))
    take_in(services, portfolio(*rows))
    twilio.mailbox.update(twilio.accepted()[0]["sid"], status="delivered")
    faults = ("drop_after_accept", "drop_before_accept", "http_503", "http_500_after_accept", "429", "garbage")
    for number in range(6):
        twilio.fault(faults[number], times=None, to=f"+1518555020{number}", method="POST")
    twilio.fault("http_503", times=None, method="GET")
    down_since = len(twilio.accepted())
    for _ in range(30):
        clock.moment += timedelta(minutes=2)
        sweep(services, who="test", budget=Budget())
    went_out = len(twilio.accepted()) - down_since
    assert went_out == 3, "those that were accepted without a word, once each"
    assert [show(services, account)["steps"][0]["status"] for account in accounts].count("done") == 0
    twilio.faults.clear()
    for _ in range(33):
        clock.moment += timedelta(minutes=2)
        sweep(services, who="test", budget=Budget())
    texts = Counter(text["to"] for text in twilio.accepted() if text["to"].startswith("+1518555020"))
    assert texts == {f"+1518555020{number}": 1 for number in range(6)}
    assert [show(services, account)["steps"][0]["status"] for account in accounts] == ["done"] * 6
    assert differences(compared(services)).keys() <= {"differing"}
