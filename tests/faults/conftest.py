"""A parent for processes to kill, and climbs kept at each landing on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from arrears.clock import VirtualClock
from arrears.ledger.cases import read_case_file
from arrears.operations.brakes import Budget
from arrears.operations.services import Services
from arrears.operations.sweep import catch_up, sweep
from tests.support.audit import Books, books_of, step_and_case
from tests.support.clocks import Skipping
from tests.support.cluster import Cluster, NoServer
from tests.support.landings import ACCOUNT, Stairs, stairs_on
from tests.support.mortals import Mortals
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, SENDER, TwilioStandIn


@pytest.fixture(scope="session")
def mortals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortals]:
    with Mortals(tmp_path_factory.mktemp("mortals")) as parent:
        yield parent


# Each database's tests keep to one worker, which makes the climb once.
DATABASES = [pytest.param(name, marks=pytest.mark.xdist_group(f"faults-{name}")) for name in ("sqlite", "postgresql")]


@pytest.fixture(scope="session", params=DATABASES)
def stairs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stairs]:
    yield from stairs_on(request.param, tmp_path_factory.mktemp(f"stairs-{request.param}"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server of the test's own with an empty database."""
    try:
        with Cluster() as started:
            started.new_database()
            yield started
    except NoServer as error:
        pytest.skip(str(error))


@pytest.fixture
def twilio(monkeypatch: pytest.MonkeyPatch) -> Iterator[TwilioStandIn]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with TwilioStandIn() as stand_in:
        yield stand_in


def at_twilio(twilio: TwilioStandIn) -> dict[str, str]:
    """Settings that send texts to the stand-in."""
    return {
        "twilio_account_sid": ACCOUNT_SID,
        "twilio_auth_token": AUTH_TOKEN,
        "twilio_from": SENDER,
        "twilio_base_url": twilio.url,
    }


@dataclass
class Desk:
    """A deployment whose account is due its first text, and Twilio."""

    services: Services
    twilio: TwilioStandIn
    until: datetime
    rung: str = "sms-1"

    @property
    def books(self) -> Books:
        return books_of(self.services, self.twilio.accepted())

    @property
    def step(self):
        return step_and_case(self.books, ACCOUNT, self.rung)[0]

    @property
    def case(self):
        with self.services.ledger.read() as session:
            return read_case_file(session, ACCOUNT).case

    def sweep(self) -> int:
        return sweep(self.services, who="test", budget=Budget()).effects

    def catch_up(self, days: int = 0) -> int:
        """Waits for whatever needs it, by the machine's clock."""
        return catch_up(self.services, self.until + timedelta(days=days), who="test", budget=Budget()).effects


@pytest.fixture
def desk(stairs: Stairs, twilio: TwilioStandIn, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """With settings of the test's own. Nobody waits in real time."""
    settings: dict[str, Any] = getattr(request, "param", {})
    machine = Skipping()
    # Absence is proved against Twilio's clock, which goes by whole seconds.
    twilio.now = lambda: machine.wall() + timedelta(seconds=1)
    landing = stairs.landing("sms")
    with landing.services(**at_twilio(twilio), **settings) as services:
        yield Desk(services.at(VirtualClock(landing.until, machine)), twilio, landing.until)
