"""Celery on Redis: workers and a beat as they are started by hand."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import redis

from benchmarks.sides import ledger, same
from benchmarks.sides.common import LONGEST_S, RUNGS, Measured, count_effects
from benchmarks.sides.rivals import SAID, lay

_CELERY = (sys.executable, "-m", "celery", "-A", "benchmarks.sides.celery_app")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def reached(broker: str) -> bool:
    """Whether a Redis answers there."""
    try:
        return bool(redis.Redis.from_url(broker).ping())
    except redis.ConnectionError:
        return False


def measured(
    url: str, broker: str, folder: Path, *, accounts: int, processes: int, threads: int, work: str
) -> Measured:
    """Every account's five tasks; from the first intent to the last outcome, the start of the workers not counted."""
    lay(url, folder, accounts, work)
    queues = redis.Redis.from_url(broker)
    assert queues.dbsize() == 0, f"{broker} is in use"
    environment = os.environ | {"BENCH_URL": url, "BENCH_REDIS": broker, "BENCH_FOLDER": str(folder), "PYTHONPATH": ".",
                                "BENCH_WORK": work}  # fmt: skip
    worker = ("worker", "--pool", "threads", "-c", str(threads), "--without-gossip", "--without-mingle",
              "--without-heartbeat", "-l", "ERROR")  # fmt: skip
    commands = [(*worker, "-n", f"w{number}@%h") for number in range(processes)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with ExitStack() as stack, (folder / "celery.log").open("wb") as log:
        stack.callback(queues.flushdb)
        for command in (*commands, ("beat", "-l", "ERROR")):
            running = subprocess.Popen([*_CELERY, *command], env=environment, stdout=log, stderr=log)
            stack.callback(_end, running)
        time.sleep(12)  # until all of them have started; what is due only then is no test of that
        with psycopg.connect(ledger.plain(url)) as connection:
            connection.execute("UPDATE accounts SET next_due = now()")
        deadline = time.monotonic() + LONGEST_S
        while not ledger.all_done(url, accounts) and time.monotonic() < deadline:
            time.sleep(1)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # With what their start takes: a few seconds.
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds = same.seconds(url) if work == "same" else ledger.seconds(url)
    effects, distinct = count_effects(folder / "effects")
    side = f"Celery, beat and a task a step, {threads} threads{SAID[work]}"
    return Measured(side, processes, accounts * len(RUNGS), effects, distinct, seconds, cpu)
