"""A parent for processes to kill, and climbs kept at each landing on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster, NoServer
from tests.support.landings import Stairs, stairs_on
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
