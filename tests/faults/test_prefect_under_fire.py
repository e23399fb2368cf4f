"""Timelines whose workers and Prefect server are killed, and whose road to the server is slow, cut, silent or closed.

Short by default; ARREARS_FULL_FAULTS=1 (`make faults`) keeps Prefect's API away for ten minutes.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlmodel import col, select

import models
from arrears.clock import parse_instant
from arrears.ledger.database import LedgerAway
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.services import Services, open_services
from arrears.operations.sweep import catch_up
from arrears.orchestration.timelines import start_timelines
from arrears.settings import ROOT, Settings
from tests.conftest import HEADER, a_row
from tests.support.audit import assert_each_once, books_of
from tests.support.bad_road import BadRoad, Manner
from tests.support.cluster import Cluster
from tests.support.ledgers import sqlite_ledger
from tests.support.policies import policies_with
from tests.support.prefect_house import AnyProcess, PrefectServer, end, wait_for, worker
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, SENDER, TwilioStandIn
from tests.support.warm import Warm

FULL = os.environ.get("ARREARS_FULL_FAULTS") == "1"
pytestmark = [pytest.mark.prefect, pytest.mark.faults, pytest.mark.xdist_group("prefect")]
pytestmark += [pytest.mark.timeout(3600)] if FULL else []
ACCOUNTS = 40 if FULL else 6
# For how long the road to Prefect is so.
SECONDS: dict[Manner, float] = (
    {"slow": 60, "503": 60, "silent": 60, "closed": 600} if FULL else {"slow": 5, "503": 5, "silent": 5, "closed": 5}
)
START = "2026-08-01T12:00:00Z"


@dataclass
class World:
    """Two warm workers beyond a bad road to Prefect's server, and somebody who asks for a sweep now and then."""

    server: PrefectServer
    cluster: Cluster
    road: BadRoad
    folder: Path
    environment: dict[str, str]
    workers: dict[str, AnyProcess] = field(default_factory=dict[str, AnyProcess])

    def start_worker(self, name: str) -> None:
        api = {"PREFECT_API_URL": f"http://127.0.0.1:{self.road.port}/api"}
        self.workers[name] = worker(self.server, self.folder / f"{name}.log", **self.environment, **api)

    @property
    def faults(self) -> list[tuple[str, Callable[[], None]]]:
        """What happens to it, by name."""
        roads = [(f"the road {manner}", partial(self._drive, manner)) for manner in SECONDS]
        kills = [(f"{name} killed", partial(self._kill, name)) for name in ("one", "two")]
        return [*roads, *kills, ("the server killed", self._kill_server), ("PostgreSQL killed", self._kill_postgresql)]

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """A sweep every few seconds, as a schedule has it, as long as the server hears of it."""
        over = threading.Event()
        thread = threading.Thread(target=self._sweep_until, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _kill(self, name: str) -> None:
        end(self.workers[name])
        self.start_worker(name)

    def _kill_server(self) -> None:
        self.server.stop()
        self.server.start_process()

    def _kill_postgresql(self) -> None:
        self.cluster.kill()
        time.sleep(2)
        self.cluster.start()

    def _drive(self, manner: Manner) -> None:
        with self.road.being(manner):
            time.sleep(SECONDS[manner])

    def _sweep_until(self, over: threading.Event) -> None:
        with temporary_settings({PREFECT_API_URL: self.server.environment["PREFECT_API_URL"]}):
            while not over.wait(4):
                with (
                    suppress(httpx.HTTPError, PrefectException, RuntimeError, OSError),
                    get_client(sync_client=True) as client,
                ):
                    client.create_flow_run_from_deployment(client.read_deployment_by_name("sweep/default").id)


@pytest.fixture
def world(tmp_path: Path, twilio: TwilioStandIn, cluster: Cluster, warm_prefect: Warm) -> Iterator[World]:
    policies = policies_with(ROOT / "tests/e2e/short_ladder.yaml", tmp_path, at_any_hour=True)
    environment = {
        "ARREARS_DATABASE_URL": cluster.url,
        "ARREARS_OUTBOX": str(tmp_path / "outbox"),
        "ARREARS_DOCUMENTS": str(tmp_path / "documents"),
        "ARREARS_CLOCK": f"lapse:{START}:3",
        "ARREARS_POLICIES": str(policies),
        "ARREARS_NAP_SECONDS": "1",
        "ARREARS_SWEEP_GRACE_SECONDS": "3",
        "ARREARS_DOUBT_SECONDS": "0.5",
        "ARREARS_LEASE_SECONDS": "5",
        "ARREARS_TWILIO_BASE_URL": twilio.url,
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO_FROM": SENDER,
    }
    server = PrefectServer(tmp_path / "prefect", warm=warm_prefect)
    try:
        server.start()
        with BadRoad(server.port) as road:
            yield World(server, cluster, road, tmp_path, environment)
    finally:
        server.stop()


def opened(environment: dict[str, str], **other: str) -> Services:
    names = {"database_url", "outbox", "documents", "clock", "policies", "twilio_base_url"}
    given = {name: environment[f"ARREARS_{name.upper()}"] for name in names}
    twilio = {f"twilio_{name}": environment[f"TWILIO_{name.upper()}"] for name in ("account_sid", "auth_token", "from")}
    return open_services(Settings(**(given | twilio | other)))  # pyright: ignore[reportArgumentType]


def take_in(services: Services, folder: Path, *, at: datetime, driver: str) -> list[str]:
    path = folder / "portfolio.csv"
    names = [f"P-{n:03d}" for n in range(ACCOUNTS)]
    path.write_text(HEADER + "".join(a_row(name, phone=f"+1518555{n:04d}") for n, name in enumerate(names)))
    enroll(services, path, at=at, who="test", driver=driver)  # type: ignore[arg-type]
    return names


def climbed(services: Services) -> dict[str, set[tuple[str, int, str]]] | None:
    """What each account has done, and what waits for a person; None while a file is owed, or the ledger is away."""
    rungs: defaultdict[str, set[tuple[str, int, str]]] = defaultdict(set)
    with suppress(LedgerAway), services.ledger.read() as session:
        if session.exec(select(models.PlacementBatch).where(col(models.PlacementBatch.unwritten).is_(True))).first():
            return None
        for step in session.exec(select(models.Step)):
            rungs[step.account_id].add((step.rung, step.attempt, step.status))
        return dict(rungs)
    return None


@pytest.fixture
def undisturbed(world: World, tmp_path: Path) -> dict[str, set[tuple[str, int, str]]]:
    """The same accounts on a virtual clock, with nothing in their way."""
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    with TwilioStandIn() as twilio:
        elsewhere = {"database_url": sqlite_ledger(folder / "ledger.db"), "outbox": str(folder / "outbox")}
        services = opened(world.environment, **elsewhere, twilio_base_url=twilio.url)
        begins = parse_instant(START)
        take_in(services, folder, at=begins, driver="sweep")
        catch_up(services, begins + timedelta(days=30), who="test", budget=Budget())
        rungs = climbed(services)
        services.close()
    assert rungs
    assert {rung for rung, _, status in rungs["P-000"] if status == "done"} >= {
        "sms-1",
        "call-1",
        "letter-1",
        "agency-1",
    }
    return rungs


def test_every_timeline_ends_where_an_undisturbed_one_ends(
    undisturbed: dict[str, set[tuple[str, int, str]]], world: World, twilio: TwilioStandIn, tmp_path: Path
) -> None:
    rnd = random.Random(1)
    services = opened(world.environment)
    names = take_in(services, tmp_path, at=services.clock.now(), driver="timeline")
    with temporary_settings({PREFECT_API_URL: world.server.environment["PREFECT_API_URL"]}):
        start_timelines(services, names)
    for name in ("one", "two"):
        world.start_worker(name)
    done: list[str] = []
    try:
        with world.sweeping():
            for name, fault in rnd.sample(world.faults, len(world.faults)):
                time.sleep(rnd.expovariate(1))
                fault()
                done.append(name)
            wait_for("the end of all climbs", lambda: climbed(services) == undisturbed, seconds=600 if FULL else 120)
    except AssertionError as error:
        error.add_note(f"after {', '.join(done)}; {climbed(services)}")
        raise
    finally:
        for process in world.workers.values():
            end(process)
    assert_each_once(books_of(services, twilio.accepted()))
    services.close()
