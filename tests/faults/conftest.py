"""A parent for processes to kill, and climbs kept at each landing on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import HEADER, a_row
from tests.support.landings import PostgresStairs, SqliteStairs, Stairs
from tests.support.ledgers import postgres_ledger
from tests.support.mortals import Mortals
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, SENDER, TwilioStandIn


@pytest.fixture(scope="module")
def mortals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortals]:
    with Mortals(tmp_path_factory.mktemp("mortals")) as parent:
        yield parent


# Each database's tests keep to one worker, which makes the climb once.
DATABASES = [pytest.param(name, marks=pytest.mark.xdist_group(f"faults-{name}")) for name in ("sqlite", "postgresql")]


@pytest.fixture(scope="module", params=DATABASES)
def stairs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stairs]:
    folder = tmp_path_factory.mktemp(f"stairs-{request.param}")
    portfolio = folder / "portfolio.csv"
    portfolio.write_text(HEADER + a_row(), encoding="utf-8")
    if request.param == "sqlite":
        yield SqliteStairs(folder, portfolio)
        return
    with postgres_ledger() as url:
        climbed = PostgresStairs(folder, portfolio, url)
        yield climbed
        climbed.close()


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
