"""Wakes a second of the worker type `arrears` against Prefect's own process worker, both in one run.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_worker.py [--accounts 100] [--few 8] [--rounds 1] [--calls]

One Prefect server and one ledger, both on PostgreSQL, on the server that ARREARS_TEST_POSTGRES_URL names. Each side has
a pool and a deployment of the same flow, and accounts that climb the same five rungs, one a wake, with a ledger write
each: a day lasts two seconds, and every rung is due a day after the one before. The time runs from the first rung made
until the last; a rate is of rungs. `--calls` also counts the API calls of a wake, by method and path, and times them.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path
from statistics import median
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy import Engine, TextClause, create_engine, text

from arrears.clock import SystemClock
from arrears.orchestration.waiting import waiting_state
from arrears.settings import ROOT
from benchmarks.bench_enroll import write
from benchmarks.databases import postgres
from tests.support.policies import policies_with
from tests.support.prefect_house import BIN, PrefectServer, end

HERE = Path(__file__).parent
RUNGS = 5
MADE = text(
    "SELECT count(*) FROM steps s JOIN cases c ON c.id = s.case_id WHERE s.status = 'done' AND c.account_id = ANY(:who)"
)
WAKES = text(
    "SELECT sum(r.run_count) FROM flow_run r JOIN deployment d ON d.id = r.deployment_id"
    " WHERE d.name = :side AND r.name = ANY(:who)"
)


@dataclass(frozen=True)
class Side:
    """A kind of worker, the pool it serves, and how many flow runs it may have in hand.

    The process worker's limit is its pool's: with `--limit`, prefect 3.8.8 ends a worker one of whose runs is due again
    before its process has ended.
    """

    type: str
    limit: int

    @property
    def pool(self) -> str:
        return f"bench-{self.type}"

    @property
    def deployment(self) -> str:
        return f"escalate/{self.type}"


@dataclass(frozen=True)
class World:
    """Where both sides work."""

    server: PrefectServer
    folder: Path
    ledger: Engine
    prefect: Engine


@dataclass(frozen=True)
class Measured:
    """What one side did with its accounts; processor times in seconds."""

    rungs: int
    wakes: int
    seconds: float
    worker: float
    server: float

    @property
    def rate(self) -> float:
        return self.rungs / self.seconds


def deploy(server: PrefectServer, side: Side) -> None:
    """A pool of the side's type, and the timeline's flow deployed to it."""
    server.run("prefect", "--no-prompt", "work-pool", "create", side.pool, "--type", side.type)
    with get_client(sync_client=True) as client:
        if side.type == "process":
            client.update_work_pool(side.pool, WorkPoolUpdate(concurrency_limit=side.limit))
        known = client.read_deployment_by_name("escalate/default")
        client.create_deployment(
            known.flow_id, side.type, entrypoint=known.entrypoint, work_pool_name=side.pool, tags=["arrears"]
        )


def start_runs(side: Side, accounts: list[str]) -> list[FlowRun]:
    """A run for each account, due now."""
    now = SystemClock().wall()
    with get_client(sync_client=True) as client:
        deployment: UUID = client.read_deployment_by_name(side.deployment).id
        return [
            client.create_flow_run_from_deployment(
                deployment, name=account, parameters={"account_id": account}, state=waiting_state(now, "until sms-1")
            )
            for account in accounts
        ]


def processor_seconds(root: int) -> float:
    """User and system time of a process and of all its descendants, ended ones included. Linux."""
    parents: dict[int, list[int]] = defaultdict(list)
    spent: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        pid = int(stat.parent.name)
        parents[int(fields[1])].append(pid)
        spent[pid] = sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    found, left = 0.0, [root]
    while left:
        pid = left.pop()
        found += spent.get(pid, 0.0)
        left.extend(parents[pid])
    return found


@contextmanager
def working(world: World, side: Side, seen: Path | None) -> Iterator[subprocess.Popen[bytes]]:
    """The side's worker."""
    spying = {"PYTHONPATH": str(HERE / "calls"), "CALLS_SEEN": str(seen)} if seen else {}
    command = ["prefect", "worker", "start", "--pool", side.pool, "--type", side.type]
    with (world.folder / f"{side.type}.log").open("ab") as log:
        process = subprocess.Popen(
            command if side.type == "process" else [*command, "--limit", str(side.limit)],
            stdout=log,
            stderr=log,
            env=world.server.environment | spying,
            start_new_session=True,
            cwd=ROOT,
        )
    try:
        yield process
    finally:
        end(process)


def measure(world: World, side: Side, accounts: list[str], seen: Path | None) -> Measured:
    """Let the side take its accounts up the ladder."""
    assert world.server.process
    start_runs(side, accounts)

    def counted(engine: Engine, what: TextClause) -> int:
        with engine.connect() as connection:
            return int(connection.execute(what, {"who": accounts, "side": side.type}).scalar_one())

    made, wakes = partial(counted, world.ledger, MADE), partial(counted, world.prefect, WAKES)
    with working(world, side, seen) as worker:
        first = reached(made, 1, worker)
        began = time.perf_counter()
        before = processor_seconds(worker.pid), processor_seconds(world.server.process.pid)
        last = reached(made, RUNGS * len(accounts), worker)
        seconds = time.perf_counter() - began
        after = processor_seconds(worker.pid), processor_seconds(world.server.process.pid)
    return Measured(last - first, wakes(), seconds, after[0] - before[0], after[1] - before[1])


def reached(made: Callable[[], int], wanted: int, worker: subprocess.Popen[bytes]) -> int:
    """Ask until so many rungs are made; how many there are then."""
    deadline = time.monotonic() + 1200
    while (found := made()) < wanted:
        assert time.monotonic() < deadline, f"{found} of {wanted} rungs were made"
        assert worker.poll() is None, f"the worker ended with {worker.returncode}"
        time.sleep(0.1)
    return found


def calls(seen: Path, wakes: int) -> None:
    """Print the API calls of a wake."""
    times: dict[str, list[float]] = defaultdict(list)
    for path in seen.iterdir():
        for line in path.read_text().splitlines():
            call, _, spent = line.rpartition(" ")
            times[call].append(float(spent))
    for call, spent in sorted(times.items(), key=lambda each: -sum(each[1])):
        print(f"    {len(spent) / wakes:6.2f} a wake, median {median(spent):6.1f} ms  {call}")
    count, total = sum(map(len, times.values())), sum(map(sum, times.values()))
    print(f"    {count / wakes:6.2f} a wake, {total / wakes:6.0f} ms together")


def told(side: Side, found: Measured) -> None:
    """One line of figures."""
    print(
        f"{side.type:8} limit {side.limit}: {found.rate:5.2f} wakes/s ({found.rungs} rungs in {found.seconds:.0f} s, "
        f"{found.wakes} wakes in all); of a core, worker {found.worker / found.seconds:4.0%}, server "
        f"{found.server / found.seconds:4.0%}; a wake costs the worker {1000 * found.worker / found.rungs:,.0f} ms, "
        f"the server {1000 * found.server / found.rungs:,.0f} ms",
        flush=True,
    )


@contextmanager
def world(accounts: int, sides: list[Side]) -> Iterator[World]:
    """A server with a pool for each side, and enrolled accounts B-0, B-1 and so on that nobody drives yet."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ledger = stack.enter_context(postgres())
        prefect = stack.enter_context(postgres("postgresql+asyncpg"))
        more = {
            "ARREARS_DATABASE_URL": ledger,
            "ARREARS_OUTBOX": str(folder / "outbox"),
            "ARREARS_POLICIES": str(policies_with(HERE / "five_rungs.yaml", folder, at_any_hour=True)),
            "ARREARS_CLOCK": "lapse:2026-08-05T12:00:00Z:2",
            "ARREARS_NAP_SECONDS": "0",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": prefect,
        }
        server = PrefectServer(folder / "prefect", more=more)
        stack.callback(server.stop)
        server.start()
        stack.enter_context(temporary_settings({PREFECT_API_URL: server.environment["PREFECT_API_URL"]}))
        portfolio = folder / "portfolio.csv"
        write(portfolio, accounts)
        server.run(str(BIN / "arrears"), "enroll", str(portfolio), "--driver", "sweep", "--at", "2026-08-01T12:00:00Z")
        for side in sides:
            deploy(server, side)
        engines = [create_engine(url.replace("+asyncpg", "+psycopg")) for url in (ledger, prefect)]
        for engine in engines:
            stack.callback(engine.dispose)
        yield World(server, folder, *engines)


def main() -> None:
    # So that a run that is cut short takes its server and databases with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--few", type=int, default=8, help="accounts of the process worker")
    parser.add_argument("--limit", type=int, default=8)
    parser.add_argument("--few-limit", type=int, default=4, help="limit of the process worker")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--calls", action="store_true")
    parser.add_argument("--only", choices=("arrears", "process"))
    wanted = parser.parse_args()
    both = {Side("process", wanted.few_limit): wanted.few, Side("arrears", wanted.limit): wanted.accounts}
    sides = {side: count for side, count in both.items() if wanted.only in (None, side.type)}
    names = iter(f"B-{number}" for number in count())
    with world(wanted.rounds * sum(sides.values()), list(sides)) as opened:
        for number in range(wanted.rounds):
            rates: dict[str, float] = {}
            for side, accounts in sides.items():
                seen = opened.folder / f"seen-{side.type}-{number}" if wanted.calls else None
                if seen:
                    seen.mkdir()
                found = measure(opened, side, list(islice(names, accounts)), seen)
                told(side, found)
                if seen:
                    calls(seen, found.wakes)
                rates[side.type] = found.rate
            if len(rates) == 2:
                print(f"{'':8} ratio {rates['arrears'] / rates['process']:.1f}", flush=True)


if __name__ == "__main__":
    main()
