"""What all sides share: processes that begin together, and the effects, each a line in a file."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUNGS = ("text-1", "text-2", "text-3", "text-4", "text-5")
LONGEST_S = 1_800


@dataclass(frozen=True, slots=True)
class Measured:
    """What a side made: effects as their file tells them, the seconds it took, and those of processor time.

    `cpu` is of the processes that make the steps: neither PostgreSQL's, Redis's nor Prefect's server's.
    """

    side: str
    processes: int
    wanted: int
    effects: int
    distinct: int
    seconds: float
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        """Account-steps a second."""
        return self.distinct / self.seconds

    @property
    def exactly_once(self) -> bool:
        """Whether every step's effect is there, and none twice."""
        return self.effects == self.distinct == self.wanted

    def line(self, ours: float | None = None) -> str:
        """Rate, proof and, beside ours, how many times faster we are."""
        proof = "each once" if self.exactly_once else f"NOT ONCE: {self.effects:,} of {self.wanted:,}"
        ratio = f"  ours is {ours / self.rate:5.2f} x" if ours else ""
        busy = f"{1000 * self.cpu / self.wanted:6.2f} ms"
        what = f"{self.side:60} {self.processes} proc."
        return f"{what} {self.rate:8,.0f} steps/s {busy} of processor a step  {self.wanted:>7,} steps, {proof}{ratio}"


class Effects:
    """Effects as lines in a file of this process, written at once and not synced: less than our own side does."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / f"{os.getpid()}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def make(self, account_id: str, rung: str) -> None:
        """One effect."""
        os.write(self._file, json.dumps({"account_id": account_id, "rung": rung}).encode() + b"\n")


def count_effects(folder: Path) -> tuple[int, int]:
    """How many effects there are, and how many different ones."""
    found = [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
    return len(found), len({(each["account_id"], each["rung"]) for each in found})


def accounts_of(number: int, of: int, accounts: int) -> list[str]:
    """The share of one process."""
    return [f"B-{n}" for n in range(number, accounts, of)]


@dataclass(frozen=True, slots=True)
class Together:
    """Seconds from the first process's start to the last's end, of processor time in all, and what each answered."""

    seconds: float
    cpu: float
    answers: list[Any]


def together(processes: int, work: Callable[..., Any], *arguments: Any) -> Together:
    """Run `work(start, number, of, *arguments)` in so many processes at once.

    Each process gets ready, then waits at `start.wait()`, once or before every round; the time runs from the first.
    """
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(processes)
    answers = context.Queue()
    running = [
        context.Process(target=_run, args=(answers, start, number, processes, work, arguments))
        for number in range(processes)
    ]
    for process in running:
        process.start()
    found: list[tuple[_Start, Any]] = [answers.get(timeout=LONGEST_S) for _ in running]
    for process in running:
        process.join()
    if failed := [answer for _, answer in found if isinstance(answer, Exception)]:
        raise failed[0]
    starts = [start for start, _ in found]
    seconds = max(each.ended for each in starts) - min(each.began for each in starts)
    return Together(seconds, sum(each.cpu for each in starts), [answer for _, answer in found])


class _Start:
    """Notes when the first round began and the last ended."""

    def __init__(self, barrier: Any) -> None:
        self._barrier = barrier
        self.began = self.ended = self.cpu = 0.0

    def wait(self) -> None:
        """Until all are ready."""
        self._barrier.wait(timeout=LONGEST_S)
        if not self.began:
            self.began, self.cpu = time.perf_counter(), -time.process_time()

    def end(self) -> None:
        """Nothing after this is counted."""
        if not self.ended:
            self.ended = time.perf_counter()
            self.cpu += time.process_time()
            self._barrier = None


def _run(answers: Any, barrier: Any, number: int, of: int, work: Callable[..., Any], arguments: Sequence[Any]) -> None:
    start = _Start(barrier)
    try:
        answer = work(start, number, of, *arguments)
    except Exception as error:
        barrier.abort()
        answer = RuntimeError(f"{type(error).__name__}: {error}")
    start.end()
    answers.put((start, answer))
