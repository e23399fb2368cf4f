"""Account-steps a second: our sweep against DBOS, Celery, plain Prefect tasks and raw PostgreSQL, in one run.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_sweep.py [--accounts 5000] [--processes 2] [--only raw,dbos]

On every side five steps an account with a ledger write each, waits skipped, PostgreSQL, the same number of processes.
Ours keeps all its guarantees. The rivals are set up to be quick, and measured twice: with the least that a step can do,
an effect and a small row, and with the same work as ours (`sides/same.py`): decide, ask the contact rules, fill in the
text, commit intent and log, make the effect, commit outcome, log and the next wait.
`--accounts` is for our side; the others get as many as take about as long. The rivals come from the dependency group
`bench`, into `.venv-bench`, on the first run. ARREARS_TEST_POSTGRES_URL names the server, BENCH_REDIS_URL a Redis with
an empty database (redis://127.0.0.1:6379/9).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def with_rivals() -> None:
    """Run on in `.venv-bench`, made first where it is missing."""
    venv = ROOT / ".venv-bench"
    if Path(sys.prefix).resolve() == venv:
        return
    uv = shutil.which("uv") or str(ROOT / ".uv/bin/uv")
    command = [uv, "sync", "--quiet", "--frozen", "--no-dev", "--group", "bench", "--python", sys.executable]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"UV_PROJECT_ENVIRONMENT": str(venv)})
    os.execv(venv / "bin/python", [str(venv / "bin/python"), *sys.argv])


def main() -> None:
    from arrears.settings import Settings
    from benchmarks.databases import copied, postgres
    from benchmarks.sides import celery_side, dbos_side, ours, prefect_side, raw
    from benchmarks.sides.common import Measured

    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=5_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=8, help="of each of the rivals' processes")
    parser.add_argument("--only", default="ours,raw,dbos,celery,prefect")
    parser.add_argument(
        "--work", default="least,same", help="what a rival's step does: the least, and the same as ours"
    )
    parser.add_argument("--profile", action="store_true", help="where the time of our side goes, in one process")
    wanted = parser.parse_args()
    only, accounts, processes, threads = wanted.only.split(","), wanted.accounts, wanted.processes, wanted.threads
    batch = Settings().sweep_batch
    broker = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/9")
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"load {load} on {os.cpu_count()} cores at the start", flush=True)
    with ExitStack() as stack:
        here = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def side(name: str, measure: Callable[..., Measured], ours_is: float | None = None) -> Measured:
            folder = here / name
            folder.mkdir()
            with postgres() as url:
                found = measure(url, folder=folder)
            print(found.line(ours_is), flush=True)
            return found

        if wanted.profile:
            with postgres() as url:
                ours.profiled(url, here, accounts=accounts)
            return
        if processes > 1:
            side("alone", lambda url, folder: ours.measured(url, folder, accounts=accounts, processes=1))
        source = stack.enter_context(postgres())
        (here / "ours").mkdir()
        mine = ours.measured(source, here / "ours", accounts=accounts, processes=processes)
        print(mine.line(), flush=True)
        rate, steps = mine.rate, accounts * len(ours.RUNGS)
        if "raw" in only:
            for size, most in ((batch, steps), (1, max(steps // 10, 1000))):
                with copied(source) as url:
                    print(raw.measured(source, url, size=size, processes=processes, most=most).line(rate), flush=True)
            for size, most in ((batch, 10 * steps), (1, max(steps // 5, 1000))):
                with postgres() as url:
                    print(raw.bare(url, size=size, processes=processes, steps=most).line(rate), flush=True)
        if "celery" in only and not celery_side.reached(broker):
            print(f"Celery: not measured, no Redis answers at {broker}")
            only.remove("celery")
        for work in wanted.work.split(","):
            # The same work takes a rival about twice as long.
            fewer = 2 if work == "same" else 1
            how = {"processes": processes, "threads": threads, "work": work}
            if "dbos" in only:
                with postgres("postgresql") as system:
                    measure = partial(dbos_side.measured, system=system, accounts=accounts // 5 // fewer, **how)
                    side(f"dbos-{work}", measure, rate)
            if "celery" in only:
                measure = partial(celery_side.measured, broker=broker, accounts=accounts // 2 // fewer, **how)
                side(f"celery-{work}", measure, rate)
            if "prefect" in only:
                with postgres("postgresql+asyncpg") as database:
                    measure = partial(prefect_side.measured, database=database, accounts=accounts // 20, **how)
                    side(f"prefect-{work}", measure, rate)


if __name__ == "__main__":
    with_rivals()
    main()
