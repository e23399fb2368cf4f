"""What Prefect's server bears in timelines that wait: bytes each, and milliseconds of a poll, a wake's calls, the UI's.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_timelines.py [--sizes 1000,10000,100000,1000000]
             [--chart docs/pictures/cost-of-timelines.svg]

Prefect's server on PostgreSQL, which ARREARS_TEST_POSTGRES_URL names. One Waiting run is made through the API as a
timeline is; the others are copies of its rows under names, ids and times of their own. The least of several looks.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy import Connection, create_engine, text

from arrears.clock import SystemClock
from arrears.orchestration.waiting import waiting_state
from benchmarks.charts import Panel, draw
from benchmarks.databases import postgres
from tests.support.prefect_house import PrefectServer

_LOOKS = 7
_DUE = timedelta(days=20)
_COLUMNS = text(
    "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = :of"
    " AND is_generated = 'NEVER'"
)


def copy_runs(connection: Connection, first: int, last: int) -> None:
    """Copies `first` to `last` of the one run that was made, each due a second after the one before."""
    # A run and its state name each other: whoever replicates may write one before the other.
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(
        text(
            "CREATE TEMP TABLE new ON COMMIT DROP AS SELECT i, gen_random_uuid() AS run, gen_random_uuid() AS state"
            " FROM generate_series(CAST(:first AS int), CAST(:last AS int)) i"
        ),
        {"first": first, "last": last},
    )
    due = "next_scheduled_start_time + i * interval '1 second'"
    runs = {"id": "run", "name": "'W-' || i", "state_id": "state", "idempotency_key": "NULL"}
    runs |= {"next_scheduled_start_time": due, "expected_start_time": due}
    _copy(connection, "flow_run", runs, "t.name = 'W-0'")
    its_state = "t.id = (SELECT state_id FROM flow_run WHERE name = 'W-0')"
    _copy(connection, "flow_run_state", {"id": "state", "flow_run_id": "run"}, its_state)


def _copy(connection: Connection, table: str, new: dict[str, str], where: str) -> None:
    columns = list(connection.execute(_COLUMNS, {"of": table}).scalars())
    values = ", ".join(new.get(column, f't."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    connection.execute(text(f"INSERT INTO {table} ({names}) SELECT {values} FROM new, {table} t WHERE {where}"))


def least(ask: Callable[[], Any]) -> float:
    """Milliseconds of the quickest of several looks."""
    found: list[float] = []
    for _ in range(_LOOKS):
        began = time.perf_counter()
        ask()
        found.append(time.perf_counter() - began)
    return 1000 * min(found)


def looks(client: SyncPrefectClient, run_id: object) -> dict[str, Callable[[], Any]]:
    """What a worker and a person ask of the server, by name."""

    def post(path: str, **body: Any) -> Callable[[], Any]:
        return lambda: client._client.post(path, json=body).raise_for_status()  # pyright: ignore[reportPrivateUsage]

    def wake() -> None:
        due = SystemClock().wall() + _DUE
        client.set_flow_run_state(run_id, waiting_state(due, "until sms-2"), force=True)  # type: ignore[arg-type]

    waiting = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    before = str(SystemClock().wall())
    return {
        "poll, none due": post("/work_pools/arrears/get_scheduled_flow_runs", scheduled_before=before, limit=24),
        "a state set": wake,
        "runs page": post("/flow_runs/filter", sort="START_TIME_DESC", limit=15, **waiting),
        "count": post("/flow_runs/count", **waiting),
        "one by name": post("/flow_runs/filter", flow_runs={"name": {"any_": ["W-500"]}}),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--chart", type=Path)
    wanted = parser.parse_args()
    print("load", *(f"{each:.1f}" for each in os.getloadavg()), f"on {os.cpu_count()} cores at the start", flush=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(postgres("postgresql+asyncpg"))
        server = PrefectServer(folder, more={"PREFECT_SERVER_DATABASE_CONNECTION_URL": url})
        stack.callback(server.stop)
        server.start()
        stack.enter_context(temporary_settings({PREFECT_API_URL: server.environment["PREFECT_API_URL"]}))
        client = stack.enter_context(get_client(sync_client=True))
        engine = create_engine(url.replace("+asyncpg", "+psycopg"))
        stack.callback(engine.dispose)
        deployment = client.read_deployment_by_name("escalate/default").id
        due = SystemClock().wall() + _DUE
        state = waiting_state(due, "until sms-1, 2026-12-23 10:00 America/New_York")
        run = client.create_flow_run_from_deployment(
            deployment, name="W-0", parameters={"account_id": "W-0"}, state=state, tags=["arrears", "stage:none"]
        )
        size = text("SELECT pg_total_relation_size('flow_run') + pg_total_relation_size('flow_run_state')")
        with engine.connect() as connection:
            empty = connection.execute(size).scalar_one()
        filled, sizes = 1, [int(wants) for wants in wanted.sizes.split(",")]
        bytes_each: list[float] = []
        took: dict[str, list[float]] = {}
        for wants in sizes:
            with engine.begin() as connection:
                copy_runs(connection, filled, wants - 1)
            filled = wants
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE flow_run, flow_run_state"))
                each = (connection.execute(size).scalar_one() - empty) / wants
            bytes_each.append(each)
            for name, ask in looks(client, run.id).items():
                took.setdefault(name, []).append(least(ask))
            found = ", ".join(f"{name} {values[-1]:.1f} ms" for name, values in took.items())
            print(f"{wants:>9,} waiting: {each:6,.0f} bytes each; {found}", flush=True)
        if wanted.chart:
            title = "Cost of waiting in Prefect, by timelines"
            panels = [
                Panel("bytes a waiting timeline", {"run and state": bytes_each}),
                Panel("milliseconds of a call", took),
            ]
            wanted.chart.write_text(draw(title, "timelines that wait", sizes, panels), encoding="utf-8")


if __name__ == "__main__":
    main()
