"""What is told of a life, and what is told when it goes wrong, names accounts and nobody."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

import models
from arrears.channels.effect import Finding, Intent, Outcome
from arrears.clock import VirtualClock
from arrears.engine.vocabulary import ChannelName, Disposition
from arrears.ledger.cases import read_case_file
from arrears.operations.brakes import Budget
from arrears.operations.calls import Promised, record_call
from arrears.operations.claim import claim
from arrears.operations.deliveries import report
from arrears.operations.hold import hold, release
from arrears.operations.moves import Standstill
from arrears.operations.pay import pay
from arrears.operations.replies import receive_text
from arrears.operations.services import Services, open_services
from arrears.operations.steer import approve
from arrears.orchestration.escalation import climb, make_rung
from arrears.rendering.catalog import Catalog
from tests.conftest import START, a_row
from tests.integration.stories import Portfolio, at, dump, last, take_in, until
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, SENDER, TwilioStandIn

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HOLDER = {
    "name": "Zebulon %s {0} {{ Quatermain }}",
    "phone": "+15185550177",
    "street": "77 Xanadu Parade",
    "city": "Ypsilonville",
    "balance": "8765.43",
}
SECRETS = ("Zebulon", "Quatermain", "5185550177", "Xanadu", "Ypsilonville", "8765.43", "8,765.43", "876543", "Wubble")
# What operators keep: the logs, and the event log with its reasons. (`dial` and the like hold numbers on purpose.)
KEPT = ("events",)


@pytest.fixture
def services(services: Services, twilio: TwilioStandIn) -> Iterator[Services]:
    """Texts go out through Twilio's client, to the stand-in."""
    more = {"twilio_account_sid": ACCOUNT_SID, "twilio_auth_token": AUTH_TOKEN, "twilio_from": SENDER}
    settings = services.settings.model_copy(update={**more, "twilio_base_url": twilio.url})
    opened = open_services(settings).at(services.clock)
    yield opened
    opened.close()


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    for name in ("arrears", "twilio", "urllib3", "prefect"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def leaks(services: Services, told: pytest.LogCaptureFixture) -> list[str]:
    """Every secret that was logged or put on record for operators."""
    records = dump(services)
    text = told.text + "".join(str(records[table]) for table in KEPT)
    return [secret for secret in SECRETS if secret in text]


@on_sqlite
def test_a_whole_life_is_told_without_a_person(
    services: Services, portfolio: Portfolio, twilio: TwilioStandIn, told: pytest.LogCaptureFixture
) -> None:
    assert take_in(services, portfolio(a_row(**HOLDER))).rejected == []
    twilio.fault("429", retry_after=0)
    twilio.fault("drop_before_accept")
    until(services, 1.3)
    sid = twilio.accepted()[0]["sid"]
    report(services, last(services, "sms-1")["reference"], sid=sid, status="undelivered", error_code="30003")
    twilio.fault("drop_after_accept")
    until(services, 8)
    receive_text(services, "A-1", "STOP it, says Wubble", number=HOLDER["phone"], at=at(services), who="test")
    until(services, 30.2)
    claim(services, "A-1", by="Ann", now=at(services))
    promised = Promised("50.00", at(services).date() + timedelta(days=3))
    record_call(
        services, "A-1", Disposition.PROMISE, by="Ann", note="Wubble said so", promised=promised, at=at(services)
    )
    until(services, 45)
    until_then = at(services) + timedelta(days=12)
    hold(services, "A-1", "DISPUTE_OPEN", at=at(services), until=until_then, channel=None, who="test")
    until(services, 60)
    release(services, "A-1", "DISPUTE_OPEN", at=at(services), who="test")
    pay(services, "A-1", "1.00", reference="P-1", source="test", who="test", at=at(services))
    until(services, 150)
    approve(services, "A-1", "legal-1", by="Lee Lawyer", at=at(services))
    until(services, 170)
    kinds = {step.channel for step in all_steps(services) if step.status == "done"}
    assert kinds >= {ChannelName.SMS, ChannelName.LETTER}, "the life was lived"
    assert leaks(services, told) == []


def all_steps(services: Services) -> list[models.Step]:
    with services.ledger.read() as session:
        return list(read_case_file(session, "A-1").steps)


@dataclass(frozen=True)
class Broken:
    """A channel that fails as nobody foresaw, with a person in its error's text."""

    def perform(self, intent: Intent) -> Outcome:
        raise LookupError(f"no such mobile {intent.payload['to']} of Zebulon Quatermain")

    def look_up(self, intent: Intent) -> Finding:
        raise LookupError(f"no such mobile {intent.payload['to']} of Zebulon Quatermain")


class Speechless(Catalog):
    """Templates that fail as nobody foresaw, before anything is intended."""

    def render(self, *_: object) -> str:
        raise LookupError("no words for Zebulon Quatermain, +15185550177")


@on_sqlite
def test_a_timelines_rungs_keep_to_the_ceiling_of_its_run(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio(a_row(**HOLDER)))
    services.settings.most_effects_per_run = 1
    house = services.at(VirtualClock(START + timedelta(days=1, hours=3)))
    spent: list[Budget] = []

    class Enough(BaseException):
        """Ends the climb, which would nap on a virtual clock for ever."""

    def task(rung: str, budget: Budget) -> None:
        make_rung(house, "A-1", rung, who="timeline", budget=budget)
        spent.append(budget)
        raise Enough

    with pytest.raises(Enough):
        climb(house, "A-1", who="timeline", through=task)
    assert [(budget.made, budget.spent) for budget in spent] == [(1, True)]


@on_sqlite
@pytest.mark.parametrize("where", ["before the intent", "at the effect"])
def test_what_fails_unforeseen_in_a_timeline_backs_off_and_names_nobody(
    services: Services, portfolio: Portfolio, told: pytest.LogCaptureFixture, where: str
) -> None:
    take_in(services, portfolio(a_row(**HOLDER)))
    house = services.at(VirtualClock(START + timedelta(days=1, hours=3)))
    if where == "at the effect":
        house = replace(house, channels={**house.channels, ChannelName.SMS: Broken()})
    else:
        house = replace(house, catalog=Speechless(house.settings.templates))
    made: list[str] = []

    def task(rung: str, budget: Budget) -> None:
        made.append(rung)
        assert len(made) < 10, "it is begun again and again"
        make_rung(house, "A-1", rung, who="timeline", budget=budget)

    rest = climb(house, "A-1", who="timeline", through=task)
    assert made == ["sms-1"]
    assert isinstance(rest, Standstill)
    with services.ledger.read() as session:
        case = read_case_file(session, "A-1").case
        assert case.failures == 1
    assert "LookupError in " in told.text, "where it failed is said"
    assert leaks(house, told) == []
