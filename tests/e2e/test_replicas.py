"""Two API replicas, services of their own and Redis between them, set as the compose file sets them; one is killed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Scheduled
from sqlalchemy.engine import make_url

from arrears.clock import machine_time
from arrears.orchestration.alerts import LATE_RUNS, deploy_alerts
from arrears.settings import ROOT
from tests.e2e.conftest import House, events, short_days, triggered
from tests.support.ledgers import new_postgres_database
from tests.support.prefect_house import AnyProcess, PrefectServer, end, free_port, wait_for
from tests.support.warm import Warm

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("replicas")]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[int]:
    """The port of a Redis of the test's own."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not on this machine")
    port = free_port()
    options = {"--port": str(port), "--bind": "127.0.0.1", "--save": "", "--dir": str(tmp_path)}
    with (tmp_path / "redis.log").open("wb") as log:
        words = [word for option in options.items() for word in option]
        process = subprocess.Popen([program, *words], stdout=log, stderr=log)
    yield port
    process.terminate()
    process.wait(timeout=180)


@dataclass
class Fleet:
    """One world, of which either replica may be asked."""

    replicas: tuple[PrefectServer, PrefectServer]
    services: AnyProcess

    def stop(self) -> None:
        end(self.services)
        for replica in self.replicas:
            replica.stop()


@pytest.fixture
def database() -> Iterator[str]:
    with new_postgres_database() as url:
        yield url


@pytest.fixture
def fleet(redis: int, database: str, tmp_path: Path, warm_prefect: Warm) -> Iterator[Fleet]:
    compose: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose" / "compose.yaml").read_text())
    shared = {
        name: str(value).replace("redis://redis:6379", f"redis://127.0.0.1:{redis}")
        for name, value in compose["x-prefect-server"].items()
    }
    url = make_url(database).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
    shared["PREFECT_API_DATABASE_CONNECTION_URL"] = url
    first, second = (PrefectServer(tmp_path / name, more=shared, warm=warm_prefect) for name in ("a", "b"))
    for each in (first, second):
        each.home.mkdir()
    first.run("prefect", "server", "database", "upgrade", "-y", PREFECT_API_URL="")
    services = first.begin(["prefect", "server", "services", "start"], tmp_path / "services.log")
    opened = Fleet((first, second), services)
    try:
        for each in opened.replicas:
            each.start_process("--no-services")
        first.register()
        yield opened
    finally:
        opened.stop()


def test_a_timeline_and_an_alert_go_on_when_a_replica_is_killed(fleet: Fleet, tmp_path: Path) -> None:
    first, second = fleet.replicas
    environment = short_days(tmp_path)
    # Its worker at one replica, whoever enrols it at the other.
    house = House(second, tmp_path, environment, "R-1")
    house.start_worker()
    try:
        House(first, tmp_path, environment, "R-1").enroll()
        wait_for("the first text", lambda: house.steps().get("sms-1") == "done")
        assert first.process is not None
        end(first.process)
        wait_for("the call", lambda: house.steps().get("call-1") == "done")
    finally:
        house.close()

    @flow
    def payments() -> None: ...

    # What the replica that is left is told reaches the services through Redis, and what they find is seen there.
    with (
        temporary_settings({PREFECT_API_URL: second.environment["PREFECT_API_URL"]}),
        get_client(sync_client=True) as client,
    ):
        deploy_alerts(pool="arrears")
        long_ago = machine_time() - timedelta(minutes=2)
        for _ in range(LATE_RUNS):
            client.create_flow_run(payments, tags=["arrears"], state=Scheduled(scheduled_time=long_ago))
        wait_for("the alert", lambda: "arrears: runs are late" in triggered(client))
        assert events(client, "prefect.flow-run.Completed")
