"""Worker processes of type `arrears` on a real Prefect server, and flows that crash, hang and wait."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.flows import load_flow_from_entrypoint
from prefect.states import Cancelling, Scheduled
from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessWorker

from arrears.clock import SystemClock
from arrears.orchestration.waiting import waiting_state
from arrears.orchestration.wake import WarmClient, WarmContext, wake
from arrears.orchestration.worker import WarmWorker
from arrears.settings import ROOT
from tests.e2e.conftest import House, waiting
from tests.support import wakes
from tests.support.prefect_house import AnyProcess, PrefectServer, end, free_port, wait_for, worker

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]

SPY = {"PYTHONPATH": str(ROOT / "benchmarks" / "calls")}


@dataclass
class Pool:
    """A work pool of one test's own, with its deployments and workers."""

    server: PrefectServer
    client: SyncPrefectClient
    folder: Path
    name: str = field(default_factory=lambda: f"warm-{uuid4().hex[:8]}")
    workers: list[AnyProcess] = field(default_factory=list)

    def create(self, kind: type[BaseWorker[Any, Any, Any]]) -> None:
        template = kind.get_default_base_job_template()
        self.client.create_work_pool(WorkPoolCreate(name=self.name, type=kind.type, base_job_template=template))

    def run(
        self, flow: str, *, wake_seconds: float | None = None, due_in: timedelta = timedelta(0), **parameters: Any
    ) -> FlowRun:
        """A run of one of tests.support.wakes, due now or later."""
        flow_id = self.client.create_flow(getattr(wakes, flow))
        deployment_id = self.client.create_deployment(
            flow_id,
            f"{self.name}-{wake_seconds}",
            entrypoint=f"tests.support.wakes.{flow}",
            work_pool_name=self.name,
            job_variables={"wake_seconds": wake_seconds} if wake_seconds else None,
        )
        due = waiting_state(SystemClock().wall() + due_in, "due")
        return self.client.create_flow_run_from_deployment(deployment_id, parameters=parameters, state=due)

    def start_worker(self, *options: str, limit: int = 2, cold: bool = False, **environment: str) -> AnyProcess:
        more = {"PREFECT_WORKER_QUERY_SECONDS": "0.3"} | environment
        started = worker(self.server, self.log, *options, pool=self.name, limit=limit, cold=cold, **more)
        self.workers.append(started)
        return started

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    def ended(self, *runs: FlowRun) -> list[FlowRun] | None:
        """The runs as they are now, once all have come to their ends."""
        now = [self.client.read_flow_run(run.id) for run in runs]
        return now if all(run.state and run.state.is_final() for run in now) else None


@pytest.fixture
def pool(
    prefect_server: PrefectServer, client: SyncPrefectClient, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Pool]:
    made = Pool(prefect_server, client, tmp_path)
    made.create(getattr(request, "param", WarmWorker))
    yield made
    for process in made.workers:
        end(process)


def states(runs: list[FlowRun]) -> list[str]:
    return [run.state_name or "" for run in runs]


def marks(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def test_a_worker_survives_what_crashes_and_hangs_begins_anew_when_worn_out_and_says_it_is_well(
    pool: Pool, tmp_path: Path
) -> None:
    at_once, hung, blocked = tmp_path / "at-once", tmp_path / "hung", tmp_path / "blocked"
    port = str(free_port())
    # A process as it is in production: an interpreter of its own, which becomes the same command again.
    process = pool.start_worker(
        "--with-healthcheck", cold=True, ARREARS_WORKER_MOST_GIVEN_UP="2", PREFECT_WORKER_WEBSERVER_PORT=port
    )
    fine = [pool.run("works", path=str(at_once), in_company=2) for _ in range(5)]
    dying = [pool.run("dies", how=how) for how in ("ValueError", "SystemExit", "KeyboardInterrupt")]
    asynchronous = pool.run("elsewhere")
    done = wait_for("the ends", lambda: pool.ended(*fine, *dying, asynchronous))
    assert states(done) == ["Completed"] * 5 + ["Failed", "Crashed", "Crashed", "Crashed"]
    assert "asynchronous" in done[-1].state.message
    assert wakes.most_at_once(str(at_once)) == 2
    health = f"http://127.0.0.1:{port}/health"
    wait_for("its word that it is well", lambda: httpx.get(health, trust_env=False, timeout=60).status_code == 200)

    hanging = [
        pool.run("works", path=str(hung), until=str(tmp_path / "never"), wake_seconds=10),
        pool.run("blocks", path=str(blocked), seconds=600, wake_seconds=10),
    ]
    given_up = wait_for("the giving up", lambda: pool.ended(*hanging))
    assert states(given_up) == ["Crashed", "Crashed"]
    assert all(run.state.message.startswith("given up after") for run in given_up)
    wait_for("the end in order", lambda: marks(hung) == ["begins", "ends"])
    assert marks(blocked) == ["begins"]

    wait_for("the new beginning", lambda: "begins anew, having given up 2 runs" in pool.log.read_text())
    after = pool.run("works", path=str(at_once))
    assert states(wait_for("a run after it", lambda: pool.ended(after))) == ["Completed"]
    assert process.poll() is None


@pytest.mark.parametrize("hours", [1, -1])
def test_a_worker_whose_clock_is_off_goes_by_that_of_prefects_server(pool: Pool, tmp_path: Path, hours: int) -> None:
    path = tmp_path / "marks"
    later = pool.run("works", path=str(path), due_in=timedelta(minutes=30))
    now = pool.run("works", path=str(path))
    soon = pool.run("works", path=str(path), due_in=timedelta(seconds=4))
    odd = {"PYTHONPATH": str(ROOT / "tests/support/odd_clock"), "CLOCK_AHEAD": str(3600 * hours)}
    # With one thread, a run that was begun too soon would keep the others waiting.
    pool.start_worker(limit=1, cold=True, **odd)
    done = wait_for("the ends", lambda: pool.ended(now, soon))
    assert states(done) == ["Completed", "Completed"]
    for run in done:
        assert run.start_time >= run.expected_start_time, "before its time"
    waiting = pool.client.read_flow_run(later.id)
    assert (waiting.state_name, waiting.run_count) == ("Waiting", 0)
    assert len(pool.client.read_flow_run_states(later.id)) == 1, "begun too soon, and put back"
    assert len(marks(path)) == 4
    assert "s from that of Prefect's server, which counts" in pool.log.read_text()


@pytest.mark.parametrize("pool", [ProcessWorker], indirect=True)
def test_a_wake_costs_three_calls_and_is_shown_as_it_would_be_by_any_worker(pool: Pool, tmp_path: Path) -> None:
    seen, path = tmp_path / "seen", tmp_path / "wakes"
    seen.mkdir()
    # The spy is imported at an interpreter's start.
    pool.start_worker(cold=True, **SPY, CALLS_SEEN=str(seen))
    run = pool.run("waits", path=str(path), times=4)
    [done] = wait_for("the end", lambda: pool.ended(run))
    assert (done.state_name, done.run_count, len(marks(path))) == ("Completed", 4, 4)
    history = [state.name for state in pool.client.read_flow_run_states(run.id)]
    assert history == ["Waiting", *["Pending", "Running", "Waiting"] * 3, "Pending", "Running", "Completed"]
    lines = [line.rpartition(" ")[0] for file in seen.iterdir() for line in file.read_text().splitlines()]
    calls = Counter(line for line in lines if "/flow_runs/" in line)
    # The first wake tells Prefect the flow's policy and version.
    assert calls == {"POST /api/flow_runs/{id}/set_state": 12, "PATCH /api/flow_runs/{id}": 1}


def test_told_to_stop_a_worker_ends_what_it_has_in_hand_and_leaves_the_rest(pool: Pool, tmp_path: Path) -> None:
    path, hung, enough = tmp_path / "marks", tmp_path / "hung", tmp_path / "enough"
    process = pool.start_worker(limit=1)
    first, second = (pool.run("works", path=str(path), until=str(enough)) for _ in range(2))
    wait_for("the beginning", lambda: marks(path))
    process.send_signal(signal.SIGTERM)
    wait_for("the word", lambda: "takes nothing more" in pool.log.read_text())
    enough.touch()
    assert process.wait(timeout=120) == 0
    assert marks(path) == ["begins", "ends"]
    now = [pool.client.read_flow_run(run.id).state_name for run in (first, second)]
    assert sorted(now) == ["Completed", "Waiting"]

    process = pool.start_worker(limit=1, ARREARS_WORKER_DRAIN_SECONDS="1")
    wait_for("the rest", lambda: pool.ended(first, second))
    hanging = pool.run("works", path=str(hung), until=str(tmp_path / "never"))
    wait_for("its beginning", lambda: marks(hung))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 0
    [left] = pool.ended(hanging) or [None]
    assert left is not None
    assert left.state.message == "the worker ended first; the sweep revives a timeline"


def test_a_run_cancelled_while_it_is_under_way_ends_in_order_or_is_given_up(pool: Pool, tmp_path: Path) -> None:
    short, long, enough = tmp_path / "short", tmp_path / "long", tmp_path / "enough"
    pool.start_worker(ARREARS_WORKER_CANCEL_SECONDS="10")
    runs = (
        pool.run("works", path=str(short), until=str(enough)),
        pool.run("works", path=str(long), until=str(tmp_path / "never")),
    )
    wait_for("their beginning", lambda: marks(short) and marks(long))
    for run in runs:
        pool.client.set_flow_run_state(run.id, Cancelling())
    enough.touch()
    done = wait_for("their ends", lambda: pool.ended(*runs))
    assert states(done) == ["Cancelled", "Cancelled"]
    assert done[0].state.message == "cancelled; what was under way has been finished"
    assert done[1].state.message.startswith("cancelled; given up after")
    assert marks(short) == marks(long) == ["begins", "ends"]


def test_a_run_put_off_since_it_was_polled_waits_as_it_did_and_one_that_another_has_is_left_alone(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "marks"
    stale = pool.run("works", path=str(path))
    monkeypatch.setenv("PREFECT_API_URL", pool.server.environment["PREFECT_API_URL"])
    flow = load_flow_from_entrypoint("tests.support.wakes.works", use_placeholder_flow=False)
    later = SystemClock().wall().replace(year=2100)
    with WarmContext() as context:
        assert isinstance(context.client, WarmClient)
        pool.client.set_flow_run_state(stale.id, waiting_state(later, "until letter-1"))
        wake(context.client, flow, stale)
        state = pool.client.read_flow_run(stale.id).state
        assert state
        assert (state.name, state.message) == ("Waiting", "until letter-1")
        assert state.state_details.scheduled_time == later

        pool.client.set_flow_run_state(stale.id, Scheduled())
        wake(context.client, flow, stale)
        assert pool.client.read_flow_run(stale.id).state_name == "Completed"
        pool.client.set_flow_run_state(stale.id, Cancelling(), force=True)
        wake(context.client, flow, stale)
        assert pool.client.read_flow_run(stale.id).state_name == "Cancelling"
    assert marks(path) == ["begins", "ends"]


def test_a_process_worker_goes_on_with_the_same_timeline(house: House, client: SyncPrefectClient) -> None:
    timeline = house.timeline_that_waits(client)
    end(house.workers.pop())

    house.lay_clock("2026-08-02T15:00:00Z")
    house.start_worker(type="process")
    client.set_flow_run_state(timeline.id, Scheduled(name="Waiting"))
    wait_for("the first text", lambda: house.steps().get("sms-1") == "done")
    run = wait_for("the wait", lambda: waiting(house, client))
    assert run.id == timeline.id
    assert run.infrastructure_pid is None
    client.set_flow_run_state(run.id, Cancelling())
    assert house.run(client).state_name == "Cancelled"
