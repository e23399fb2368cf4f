"""The Celery version: beat looks for what is due, a task a step writes intent, effect and outcome and sends the next.

Set up to be quick: no results, no events, eight messages fetched ahead for each thread. Late acknowledgement, because a
task that is lost with its worker would be lost for good.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from pathlib import Path

import psycopg
from celery import Celery

from benchmarks.sides import ledger, same
from benchmarks.sides.common import RUNGS, Effects

URL = ledger.plain(os.environ["BENCH_URL"])
FOLDER = Path(os.environ["BENCH_FOLDER"])
SAME = os.environ["BENCH_WORK"] == "same"
_own = threading.local()

app = Celery("ladder", broker=os.environ["BENCH_REDIS"])
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=8,
    worker_send_task_events=False,
    beat_schedule={"due": {"task": "due", "schedule": 1.0}},
    beat_schedule_filename=str(FOLDER / "beat"),
    broker_connection_retry_on_startup=True,
)


@cache
def _effects(process: int) -> Effects:
    return Effects(FOLDER / "effects")


@cache
def _steps(process: int) -> same.Steps:
    return same.Steps(os.environ["BENCH_URL"], FOLDER)


def _connection() -> psycopg.Connection[tuple[object, ...]]:
    """The thread's own."""
    if not hasattr(_own, "connection"):
        _own.connection = psycopg.connect(URL, autocommit=True)
    return _own.connection


@app.task(name="due")
def due() -> None:
    """Send the first task of every account that is due and not sent yet."""
    found = _connection().execute(
        "UPDATE accounts SET queued = true WHERE next_due <= now() AND NOT queued RETURNING id"
    )
    for [account_id] in found.fetchall():
        step.delay(account_id, 0)


@app.task(name="step")
def step(account_id: str, number: int) -> None:
    """Intent, effect, outcome; then the next, for which nobody waits here."""
    at = (account_id, RUNGS[number])
    if SAME:
        _steps(os.getpid()).make(_connection(), *at)
    elif _connection().execute(ledger.INTEND, at).rowcount:
        _effects(os.getpid()).make(*at)
        _connection().execute(ledger.DONE, at)
    if number + 1 < len(RUNGS):
        step.delay(account_id, number + 1)
