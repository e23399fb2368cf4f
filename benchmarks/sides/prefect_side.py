"""Plain Prefect: a flow run a process, a task a step; the server on PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.sides import ledger
from benchmarks.sides.common import RUNGS, Measured, accounts_of, count_effects, together
from benchmarks.sides.rivals import SAID, lay, maker
from tests.support.prefect_house import free_port


@contextmanager
def server(database: str, folder: Path) -> Generator[str]:
    """A Prefect server of its own; its API's address."""
    port = free_port()
    world = os.environ | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=world, stdout=log, stderr=log, start_new_session=True)
    try:
        _until_it_answers(port)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def _until_it_answers(port: int) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=2, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.3)
    raise RuntimeError("Prefect's server did not start within 180 s")


def _share(
    start: Any,
    number: int,
    of: int,
    url: str,
    api: str,
    home: Path,
    folder: Path,
    accounts: int,
    threads: int,
    work: str,
) -> int:
    os.environ.update(
        PREFECT_API_URL=api, PREFECT_HOME=str(home), PREFECT_LOGGING_LEVEL="ERROR", NO_PROXY="127.0.0.1",
        PREFECT_SERVER_ANALYTICS_ENABLED="false", DO_NOT_TRACK="1", PREFECT_LOGGING_TO_API_ENABLED="false",
    )  # fmt: skip
    from prefect import flow, task
    from prefect.futures import wait
    from prefect.task_runners import ThreadPoolTaskRunner

    made = maker(url, folder, threads, work)

    @task(persist_result=False)
    def make(account_id: str, rung: str) -> None:
        made(account_id, rung)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=threads), persist_result=False)  # pyright: ignore
    def climb(accounts: list[str]) -> None:
        for rung in RUNGS:
            wait(make.map(accounts, rung))  # pyright: ignore

    mine = accounts_of(number, of, accounts)
    start.wait()
    climb(mine)
    start.end()
    return len(mine)


def measured(
    url: str, database: str, folder: Path, *, accounts: int, processes: int, threads: int, work: str
) -> Measured:
    """One flow run a process until it is Completed; what the server still has to record then is not waited for."""
    lay(url, folder, accounts, work)
    with server(database, folder) as api:
        home = folder / "home"
        ran = together(processes, _share, url, api, home, folder, accounts, threads, work)
    assert ledger.all_done(url, accounts)
    effects, distinct = count_effects(folder / "effects")
    side = f"Prefect tasks in a flow, {threads} threads{SAID[work]}"
    return Measured(side, processes, accounts * len(RUNGS), effects, distinct, ran.seconds, ran.cpu)
