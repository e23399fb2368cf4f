"""From a posted payment to the timeline's run being Completed, with many timelines waiting.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_wake.py [--timelines 1000] [--payments 200] [--parts 30]

A Prefect server and a worker of their own, `arrears serve` as a process, one payment after the other: the system is
idle but for the timelines that wait. The ledger's database and Prefect's are PostgreSQL's, on the server that
ARREARS_TEST_POSTGRES_URL names. A payment clears what is past due; the time runs from before its POST until Prefect's
API, asked every five milliseconds, says Completed. A second figure is for payments that clear nothing: until the run,
woken by a worker that polls every second, waits again.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from arrears.clock import SystemClock, iso
from benchmarks.bench_enroll import write
from benchmarks.databases import postgres
from tests.support.prefect_house import BIN, PrefectServer, end, worker

TOKEN = "benchmark"


def run_of(prefect: httpx.Client, account: str) -> dict[str, Any]:
    """The account's flow run."""
    [run] = prefect.post("/flow_runs/filter", json={"flow_runs": {"name": {"any_": [account]}}, "limit": 1}).json()
    return run


def timed(desk: httpx.Client, prefect: httpx.Client, number: int, amount: str, *, wakes: bool) -> float:
    """Milliseconds from a payment's POST until the account's run is Completed or, having woken, waits again."""
    account = f"B-{number}"
    before = run_of(prefect, account)
    assert before["state"]["name"] == "Waiting", before["state"]
    payment = {"account_id": account, "reference": f"P-{number}-{amount}", "amount": amount, "currency": "USD"}
    started = time.perf_counter()
    answer = desk.post("/payments", json=payment | {"at": iso(SystemClock().now())})
    assert answer.status_code == 201, answer.text
    while True:
        run = run_of(prefect, account)
        spent = time.perf_counter() - started
        again = run["run_count"] > before["run_count"] and run["state"]["name"] == "Waiting"
        if again if wakes else run["state"]["name"] == "Completed":
            return spent * 1000
        assert spent < 60, (account, run["state"])
        time.sleep(0.005)


def told(what: str, found: list[float]) -> None:
    """Median, 99th percentile and most."""
    found.sort()
    at_99 = found[round(0.99 * (len(found) - 1))]
    print(f"{what:40} median {median(found):6,.0f} ms, p99 {at_99:6,.0f} ms, most {found[-1]:6,.0f} ms, n={len(found)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--timelines", type=int, default=1000)
    parser.add_argument("--payments", type=int, default=200)
    parser.add_argument("--parts", type=int, default=30)
    wanted = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        more = {"ARREARS_OUTBOX": str(folder / "outbox"), "ARREARS_API_TOKEN": TOKEN}
        more["ARREARS_DATABASE_URL"] = stack.enter_context(postgres())
        more["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = stack.enter_context(postgres("postgresql+asyncpg"))
        server = PrefectServer(folder / "prefect", more=more)
        stack.callback(server.stop)
        server.start()
        path = folder / "portfolio.csv"
        write(path, wanted.timelines, due=f"{SystemClock().now():%Y-%m-%d}")
        begun = time.perf_counter()
        server.run(str(BIN / "arrears"), "enroll", str(path), "--driver", "timeline")
        print(f"{wanted.timelines:,} timelines waiting after {time.perf_counter() - begun:,.0f} s", flush=True)
        stack.callback(end, worker(server, folder / "worker.log"))
        log = stack.enter_context((folder / "serve.log").open("wb"))
        serve = [str(BIN / "arrears"), "serve", "--port", "0"]
        listening = subprocess.Popen(
            serve, stdout=subprocess.PIPE, stderr=log, env=server.environment, start_new_session=True, text=True
        )
        stack.callback(end, listening)
        assert listening.stdout
        found = re.search(r"http://\S+:\d+", listening.stdout.readline())
        assert found
        desk = stack.enter_context(
            httpx.Client(base_url=found.group(), headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
        )
        prefect = stack.enter_context(httpx.Client(base_url=server.environment["PREFECT_API_URL"], timeout=30))
        last = wanted.timelines - 1
        timed(desk, prefect, last, "120.00", wakes=False)  # the first of each opens connections
        timed(desk, prefect, last - 1, "1.00", wakes=True)
        done = [timed(desk, prefect, n, "120.00", wakes=False) for n in range(wanted.payments)]
        told("payment that cures, until Completed", done)
        first = wanted.payments
        parts = [timed(desk, prefect, n, "1.00", wakes=True) for n in range(first, first + wanted.parts)]
        told("payment in part, until it waits again", parts)


if __name__ == "__main__":
    main()
