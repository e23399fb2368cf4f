"""One Prefect server for all tests that need one; a ledger, an outbox and workers for each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from arrears.operations.services import Services, open_services
from arrears.operations.show import show
from arrears.settings import Settings
from tests.conftest import HEADER, a_row
from tests.support.policies import policies_with
from tests.support.prefect_house import AnyProcess, PrefectServer, end, wait_for, worker
from tests.support.warm import Warm


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with Warm(tmp_path_factory.mktemp("commands")) as warm:
        yield warm


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory, warm_prefect: Warm) -> Iterator[PrefectServer]:
    server = PrefectServer(tmp_path_factory.mktemp("prefect"), warm=warm_prefect)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@dataclass
class House:
    """One test's deployment of arrears on the shared Prefect server."""

    server: PrefectServer
    folder: Path
    environment: dict[str, str]
    account_id: str
    workers: list[AnyProcess] = field(default_factory=list)
    opened: Services | None = None

    @property
    def services(self) -> Services:
        if self.opened is None:
            names = {"DATABASE_URL", "OUTBOX", "CLOCK", "POLICIES"}
            given = {name.lower(): self.environment[f"ARREARS_{name}"] for name in names}
            self.opened = open_services(Settings(**given), live=False)  # pyright: ignore[reportArgumentType]
        return self.opened

    def start_worker(self, type: str = "arrears", **environment: str) -> AnyProcess:
        started = worker(self.server, self.folder / "worker.log", type=type, **self.environment | environment)
        self.workers.append(started)
        return started

    def lay_clock(self, moment: str) -> None:
        """What starts from now on finds it to be `moment`, ten minutes a day: no test sees two waits end by itself."""
        self.environment["ARREARS_CLOCK"] = f"lapse:{moment}:600"

    def timeline_that_waits(self, client: SyncPrefectClient) -> FlowRun:
        """The account's, enrolled on its due date, as it waits for the first text. No wait of it ends by itself."""
        self.lay_clock("2026-08-01T12:00:00Z")
        self.start_worker()
        self.enroll()
        return wait_for("the wait", lambda: waiting(self, client))

    def enroll(self, **columns: str) -> None:
        path = self.folder / f"{self.account_id}.csv"
        path.write_text(HEADER + a_row(self.account_id, **columns), encoding="utf-8")
        self.flow("enroll", path=str(path))

    def flow(self, name: str, **parameters: str) -> UUID:
        """Ask for a run of a deployment; the run's id."""
        given = [part for key, value in parameters.items() for part in ("-p", f"{key}={value}")]
        told = self.server.run("prefect", "deployment", "run", f"{name}/default", *given)
        found = re.search(r"UUID: ([0-9a-f-]{36})", told)
        assert found, told
        return UUID(found[1])

    def command(self, *words: str) -> str:
        return self.server.run("arrears", *words, **self.environment)

    def show(self) -> dict[str, Any]:
        return show(self.services, self.account_id)

    def steps(self) -> dict[str, str]:
        """Status of the last attempt at each rung; empty while the account is not enrolled."""
        try:
            return {step["rung"]: step["status"] for step in self.show()["steps"]}
        except LookupError:
            return {}

    def run(self, client: SyncPrefectClient, run_id: str | None = None) -> FlowRun | None:
        """The account's timeline, or another of its runs."""
        runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[self.account_id])))
        wanted = run_id or self.show()["flow_run_id"]
        return next((run for run in runs if str(run.id) == wanted), None)

    def close(self) -> None:
        """End its workers."""
        for process in self.workers:
            end(process)
        if self.opened is not None:
            self.opened.close()

    def texts(self) -> list[str]:
        return [
            line
            for path in sorted((self.folder / "outbox" / "sms").glob("*.jsonl"))
            for line in path.read_text().splitlines()
        ]


@pytest.fixture
def house(prefect_server: PrefectServer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """A day lasts two seconds from the moment the ledger is opened.

    Hours of contact would be a second long then, and might close between a rung's look and its making:
    they are the lender's own where the account lives, and switched off.
    """
    number = abs(hash(request.node.name)) % 10**6
    opened = House(prefect_server, tmp_path, short_days(tmp_path), f"T-{os.getpid()}-{number}")
    yield opened
    opened.close()


def short_days(folder: Path) -> dict[str, str]:
    """Settings of a deployment in `folder`, with the ladder of twelve days."""
    policies = policies_with(Path(__file__).parent / "short_ladder.yaml", folder, at_any_hour=True)
    return {
        "ARREARS_DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
        "ARREARS_OUTBOX": str(folder / "outbox"),
        "ARREARS_CLOCK": "lapse:2026-08-01T12:00:00Z:2",
        "ARREARS_POLICIES": str(policies),
        "ARREARS_NAP_SECONDS": "1",
        "ARREARS_SWEEP_GRACE_SECONDS": "5",
        "ARREARS_DOUBT_SECONDS": "1",
        "ARREARS_LEASE_SECONDS": "20",
    }


def waiting(house: House, client: SyncPrefectClient) -> FlowRun | None:
    """The account's timeline, if there is one and it waits for a rung: not for a worker that is to begin it."""
    try:
        run = house.run(client)
    except LookupError:
        return None
    if run is None or run.state is None or run.state.name != "Waiting":
        return None
    return run if (run.state.message or "").startswith("until ") else None


def events(client: SyncPrefectClient, name: str) -> list[dict[str, Any]]:
    """The events of this name that a server has kept."""
    answer = client._client.post("/events/filter", json={"filter": {"event": {"name": [name]}}})
    return answer.json()["events"]


def triggered(client: SyncPrefectClient) -> list[str]:
    """The alerts that a server has fired."""
    return [each["resource"]["prefect.resource.name"] for each in events(client, "prefect.automation.triggered")]


@pytest.fixture
def client(prefect_server: PrefectServer) -> Iterator[SyncPrefectClient]:
    with (
        temporary_settings({PREFECT_API_URL: prefect_server.environment["PREFECT_API_URL"]}),
        get_client(sync_client=True) as opened,
    ):
        yield opened
