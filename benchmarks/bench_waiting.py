"""What it costs that an account waits: bytes, and milliseconds of the query for what is due and of a whole tick.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_waiting.py [--sizes 1000,10000,100000,1000000]
             [--chart docs/pictures/cost-of-waiting.svg]

Accounts as they are after enrolment, all waiting for their first text. ARREARS_TEST_POSTGRES_URL names the server.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arrears.clock import VirtualClock
from arrears.operations.services import Services
from arrears.operations.sweep import due_accounts
from benchmarks.bench_growth import idle_ticks
from benchmarks.charts import Panel, draw
from benchmarks.databases import postgres
from benchmarks.filling import IDLE_AT, begun, bytes_of, fill

_LOOKS = 25


@dataclass(frozen=True, slots=True)
class Point:
    """What waiting costs in a ledger of `size` accounts that wait."""

    size: int
    bytes_each: float
    query_ms: float
    tick_ms: float

    @property
    def tick_us_each(self) -> float:
        """Microseconds of a tick an account."""
        return 1000 * self.tick_ms / self.size

    def line(self) -> str:
        """The figures in one line."""
        return (
            f"{self.size:>9,} waiting: {self.bytes_each:6,.0f} bytes each; due-query {self.query_ms:7.2f} ms,"
            f" tick {self.tick_ms:7.2f} ms: {self.tick_us_each:8.4f} µs an account"
        )


def chart(points: Sequence[Point]) -> str:
    """Bytes, the milliseconds of a tick, and what is an account's share of them."""
    ticks = {"whole tick": [each.tick_ms for each in points], "due-query": [each.query_ms for each in points]}
    return draw(
        "Cost of waiting, by accounts in the ledger",
        "accounts that wait",
        [each.size for each in points],
        [
            Panel("bytes a waiting account", {"with all indexes": [each.bytes_each for each in points]}),
            Panel("milliseconds, nothing due", ticks),
            Panel("microseconds of a tick an account", {"whole tick": [p.tick_us_each for p in points]}, powers=True),
        ],
    )


def due_query(services: Services) -> float:
    """Seconds of asking for what is due, of which there is nothing: the least of many, the least disturbed."""
    at = services.at(VirtualClock(IDLE_AT))
    found: list[float] = []
    for _ in range(_LOOKS):
        started = time.perf_counter()
        assert not due_accounts(at, limit=10_000)
        found.append(time.perf_counter() - started)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--chart", type=Path)
    wanted = parser.parse_args()
    print("load", *(f"{each:.1f}" for each in os.getloadavg()), f"on {os.cpu_count()} cores at the start", flush=True)
    points: list[Point] = []
    filled = 1
    with tempfile.TemporaryDirectory() as name, postgres() as url:
        services = begun(url, Path(name), climbed=False)
        empty = sum(bytes_of(url).values())
        for size in map(int, wanted.sizes.split(",")):
            fill(url, filled, size)
            filled = size
            each = (sum(bytes_of(url).values()) - empty) / size
            points.append(Point(size, each, 1000 * due_query(services), 1000 * min(idle_ticks(services, _LOOKS))))
            print(points[-1].line(), flush=True)
        services.close()
    if wanted.chart:
        wanted.chart.write_text(chart(points), encoding="utf-8")


if __name__ == "__main__":
    main()
