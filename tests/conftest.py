"""Ledgers for tests: SQLite always, PostgreSQL when ARREARS_TEST_POSTGRES_URL names a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from arrears.clock import VirtualClock
from arrears.operations.services import Services, open_services
from arrears.settings import Settings
from tests.support.ledgers import drop_all, ledger_on, new_postgres_database
from tests.support.portfolios import HEADER, a_row

if TYPE_CHECKING:
    from tests.support.warm import Warm

# How long an example takes is the machine's doing, and no word on what it is an example of.
settings.register_profile("arrears", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("arrears")

START = datetime(2026, 8, 1, 12, tzinfo=UTC)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that share what takes long to start go to one process. Not to group them would pass, at twice the time."""
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid} is not in its group: pytest and pytest-xdist do not fit together")


def pytest_sessionfinish() -> None:
    drop_all()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty ledger's URL, once on each database."""
    with ledger_on(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a ledger that nobody has opened yet, once on each database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
    else:
        with new_postgres_database() as url:
            yield url


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings with everything in a folder of the test's own."""
    return Settings(
        database_url=database_url, outbox=tmp_path / "outbox", documents=tmp_path / "documents", doubt_seconds=0
    )


@pytest.fixture
def clock() -> VirtualClock:
    """Stands at the start of the story until a test moves it."""
    return VirtualClock(START)


@pytest.fixture
def services(settings: Settings, clock: VirtualClock) -> Iterator[Services]:
    """An open deployment on an empty ledger."""
    opened = open_services(settings).at(clock)
    yield opened
    opened.close()


@pytest.fixture
def portfolio(tmp_path: Path) -> Callable[..., Path]:
    """Writes a portfolio file of the given lines (default: one account)."""

    def write(*rows: str) -> Path:
        path = tmp_path / "portfolio.csv"
        path.write_text(HEADER + "".join(rows or (a_row(),)), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def warm_prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """A process that has imported Prefect, to be forked."""
    # What it imports takes a while, and few tests need it.
    from tests.support.prefect_house import PrefectServer
    from tests.support.warm import PREFECT, Warm

    folder = tmp_path_factory.mktemp("warm")
    with Warm(folder, PREFECT, env=PrefectServer(folder).environment) as warm:
        yield warm
