"""Does a larger ledger make the sweep slower? Steps a second and a tick's time, from 10,000 to 1,000,000 cases.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_growth.py [--sizes 10000,100000] [--plans FILE]

At every size: a tick that finds nothing due, and steps a second over the same few accounts and over a hundredth of all,
who are due a text. At the largest, of what is then left two processes take half of that, without and with a ceiling of
a day's effects. With `--plans`, the queries of a sweep at the largest size are explained into that file.
ARREARS_TEST_POSTGRES_URL names the server.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from arrears.clock import VirtualClock
from arrears.ledger import state
from arrears.operations.brakes import Budget
from arrears.operations.services import Services
from arrears.operations.sweep import Share, sweep
from benchmarks.databases import postgres
from benchmarks.filling import DUE_AT, IDLE_AT, begun, bytes_of, fill
from benchmarks.plans import Plans
from benchmarks.sides import ours
from benchmarks.sides.common import together

_TICKS = 5


def tick(services: Services, **more: int) -> tuple[float, int]:
    """Seconds and effects of one sweep."""
    started = time.perf_counter()
    swept = sweep(services, who="benchmark", budget=Budget(), **more)
    assert not swept.failed, swept.failed[:3]
    return time.perf_counter() - started, swept.effects


def idle_ticks(services: Services, number: int) -> list[float]:
    """Seconds of so many sweeps that find nothing due."""
    found = [tick(services.at(VirtualClock(IDLE_AT))) for _ in range(number)]
    assert not any(effects for _, effects in found)
    return [seconds for seconds, _ in found]


def _share(start: Any, number: int, of: int, url: str, folder: Path, most: int, per_day: int | None) -> int:
    logging.disable(logging.WARNING)
    services = ours.opened(url, folder)
    settings = services.settings.model_copy(update={"most_effects_per_day": per_day})
    at = replace(services, settings=settings).at(VirtualClock(DUE_AT))
    start.wait()
    swept = sweep(at, who="benchmark", budget=Budget(), limit=most, share=Share(number, of))
    start.end()
    services.close()
    assert not swept.failed, swept.failed[:3]
    return swept.effects


def main() -> None:
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument(
        "--same", type=int, default=0, help="accounts swept at each size; default: a hundredth of the first"
    )
    parser.add_argument(
        "--most", type=int, default=4_000, help="most accounts of the hundredth that are due to be swept"
    )
    parser.add_argument("--plans", type=Path)
    wanted = parser.parse_args()
    sizes = [int(size) for size in wanted.sizes.split(",")]
    same = wanted.same or sizes[0] // 200
    print("load", *(f"{each:.1f}" for each in os.getloadavg()), f"on {os.cpu_count()} cores at the start", flush=True)
    filled = 1
    with tempfile.TemporaryDirectory() as name, postgres() as url:
        services = begun(url, Path(name))
        due = services.at(VirtualClock(DUE_AT))
        for size in sizes:
            started = time.perf_counter()
            fill(url, filled, size)
            spent, filled = time.perf_counter() - started, size
            idle = median(idle_ticks(services, _TICKS))
            same_s, same_steps = tick(due, limit=same)
            due_s, due_steps = tick(due, limit=wanted.most)
            each = sum(bytes_of(url).values()) / size
            print(
                f"{size:>9,} cases: idle tick {1000 * idle:7.1f} ms;"
                f" {same_steps / same_s:6.0f} steps/s over {same_steps:,} accounts;"
                f" {due_steps:,} due: {due_s:6.1f} s, {due_steps / due_s:6.0f} steps/s;"
                f" {each:,.0f} bytes a case (filled in {spent:,.0f} s)",
                flush=True,
            )
        for per_day, says in ((None, "no ceiling"), (10**6, "a ceiling of a million a day")):
            both = together(2, _share, url, Path(name), wanted.most // 2, per_day)
            made = sum(both.answers)
            print(
                f"{filled:>9,} cases, two processes, {says}: {made:,} due: {both.seconds:.1f} s,"
                f" {made / both.seconds:.0f} steps/s",
                flush=True,
            )
        if wanted.plans:
            fill(url, filled, filled + 100_000)
            filled += 100_000
            capped = replace(due, settings=due.settings.model_copy(update={"most_effects_per_day": 10**9}))
            with services.ledger.write() as session:
                # So that the day's effects are counted, too, and not taken from the note.
                state.put(session, state.EFFECTS_TODAY, None)
            with Plans() as plans:
                tick(capped, limit=400)
            plans.write(url, wanted.plans, f"{filled:,} cases, three steps each")
        services.close()


if __name__ == "__main__":
    main()
