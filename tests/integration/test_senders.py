"""From whom a text comes, how fast, how long it may wait, and in how many segments."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from arrears.channels.effect import Done, Found
from arrears.channels.sms import TwilioSms
from arrears.clock import VirtualClock
from arrears.operations.brakes import Budget
from arrears.operations.pace import LocalPace
from arrears.operations.senders import sender_for
from arrears.operations.services import Services, open_services
from arrears.operations.sweep import catch_up, sweep
from arrears.settings import Settings, SettingsError, read_settings
from tests.conftest import START, a_row
from tests.faults.conftest import at_twilio
from tests.integration.stories import Portfolio, last, take_in
from tests.support.clocks import Skipping
from tests.support.texts import REFERENCE, a_text
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, SENDER, TwilioStandIn

# What is told of Twilio's side does not depend on which database keeps it.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
US = tuple(f"+1500555001{n}" for n in range(4))
SERVICE = "MG" + "0" * 32
POOLS = f"US={','.join(US)} GB={SERVICE}"


def pooled(**more: str) -> Settings:
    return Settings(twilio_from=SENDER, twilio_senders=POOLS, **more)  # type: ignore[arg-type]


def test_a_person_is_texted_from_one_sender_of_the_numbers_country():
    senders = {holder: sender_for(pooled(), "+15185550101", holder) for holder in map(str, range(200))}
    assert set(senders.values()) == set(US)
    assert min(Counter(senders.values()).values()) > 25
    assert all(sender_for(pooled(), "+15185550101", holder) == sender for holder, sender in senders.items())
    assert sender_for(pooled(), "+442079460000", "H-1") == SERVICE
    assert sender_for(pooled(), "+4930123456", "H-1") == SENDER, "no pool: TWILIO_FROM"


def test_a_sender_that_leaves_the_pool_moves_none_but_its_own_people():
    left = Settings(twilio_from=SENDER, twilio_senders=f"US={','.join(US[:-1])}")
    for holder in map(str, range(100)):
        before = sender_for(pooled(), "+15185550101", holder)
        assert before == US[-1] or sender_for(left, "+15185550101", holder) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("US", "'US' is no pool"),
        ("US=", "'US=' is no pool"),
        ("us=+15005550006", "'us=.15005550006' is no pool"),
        ("US=+15005550006 US=+15005550007", "is no pool; expected one for each country"),
        ("US=5005550006x,", "is no sender; expected a number such as"),
    ],
)
def test_a_pool_that_is_none_is_refused_by_name(text: str, said: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ARREARS_TWILIO_SENDERS", text)
    with pytest.raises(SettingsError, match=said):
        read_settings()


def test_a_messaging_service_sends_and_its_texts_are_found(twilio: TwilioStandIn):
    twilio.now = lambda: START
    sms = TwilioSms(ACCOUNT_SID, AUTH_TOKEN, SENDER, twilio.url)
    sent = sms.perform(a_text(**{"from": SERVICE}))
    assert isinstance(sent, Done)
    [text] = twilio.accepted()
    assert (text["messaging_service_sid"], text["from"], text["status"]) == (SERVICE, None, "accepted")
    assert REFERENCE in text["body"]
    assert sms.look_up(a_text(**{"from": SERVICE})) == Found(sent.reference, {"status": "accepted"})


@pytest.fixture
def pool(settings: Settings, twilio: TwilioStandIn, portfolio: Portfolio) -> Services:
    """Four people are due their first text."""
    more = {**at_twilio(twilio), "twilio_senders": POOLS}
    services = open_services(settings.model_copy(update=more)).at(VirtualClock(START, Skipping()))
    rows = (a_row(f"A-{n}", phone=f"+1518555010{n}") for n in range(1, 5))
    take_in(services, portfolio(*rows))
    return services


@on_sqlite
def test_the_sender_is_recorded_with_the_intent_and_the_text_dies_before_quiet_hours(
    pool: Services, twilio: TwilioStandIn
):
    swept = catch_up(pool, START + timedelta(days=5.5), who="test", budget=Budget())
    assert swept.by_channel == {"sms": 8}
    by_person: dict[str, set[str]] = {}
    for text in twilio.accepted():
        by_person.setdefault(text["to"], set()).add(text["from"])
        assert text["validity_period"] == 14_400
    assert {len(senders) for senders in by_person.values()} == {1}
    assert last(pool, "sms-1")["segments"] == {"encoding": "GSM-7", "count": 1}
    pool.close()


@on_sqlite
@pytest.mark.parametrize(
    ("time", "seconds"),
    [("20:29:00", 1800), ("20:51:00", 300), ("20:58:30", 60), ("20:59:29", 30), ("20:59:31", 10), ("20:59:55", 10)],
)
def test_a_text_of_the_days_last_minutes_dies_before_quiet_hours_all_the_same(
    pool: Services, twilio: TwilioStandIn, time: str, seconds: int
):
    evening = datetime.fromisoformat(f"2026-08-02T{time}").replace(tzinfo=ZoneInfo("America/New_York"))
    swept = sweep(pool.at(VirtualClock(evening, Skipping())), who="test", budget=Budget())
    assert swept.by_channel == {"sms": 4}
    for text in twilio.accepted():
        assert text["validity_period"] == seconds
    pool.close()


@on_sqlite
def test_a_text_that_takes_more_segments_than_usual_says_so(
    services: Services, portfolio: Portfolio, caplog: pytest.LogCaptureFixture
):
    path = portfolio()
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text(f"{lines[0]},creditor\n{lines[1]},Ann\u2019s Bank\n", encoding="utf-8")
    take_in(services, path)
    catch_up(services, START + timedelta(days=1.2), who="test", budget=Budget())
    counted = last(services, "sms-1")["segments"]
    assert counted == {"encoding": "UCS-2", "count": 2, "usual": 1}
    [warned] = [record.getMessage() for record in caplog.records if "segment" in record.getMessage()]
    assert warned == ("account A-1: template sms/reminder-1 takes 2 segments of UCS-2 instead of 1 segment of GSM-7")


@on_sqlite
def test_texts_keep_the_pace_of_their_sender(pool: Services, twilio: TwilioStandIn):
    slow = replace(pool, settings=pool.settings.model_copy(update={"twilio_senders": ""}), pace=LocalPace(10))
    started = time.monotonic()
    assert catch_up(slow, START + timedelta(days=1.2), who="test", budget=Budget()).effects == 4
    assert time.monotonic() - started >= 0.3
    pool.close()


@on_sqlite
def test_who_would_wait_longer_than_its_lease_goes_later_and_once(pool: Services, twilio: TwilioStandIn):
    class Busy:
        waits = 0

        def wait(self, sender: str, *, at_most: timedelta) -> bool:
            self.waits += 1
            assert at_most < timedelta(seconds=pool.settings.lease_seconds)
            return self.waits > 4

    assert catch_up(replace(pool, pace=Busy()), START + timedelta(days=1.2), who="test", budget=Budget()).effects == 4
    assert len({text["body"] for text in twilio.accepted()}) == len(twilio.accepted()) == 4
    pool.close()
