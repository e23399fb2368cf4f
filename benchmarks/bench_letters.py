"""Letters a second, one after the other, on threads and in processes, in one run; and memory over many of them.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_letters.py [--letters 200] [--rounds 3] [--many 10000]

The rounds take turns, so that whatever else the machine does falls on all of them alike. Letters are set, and not
written. The many are made on threads, as batches make them.
"""

from __future__ import annotations

import argparse
import resource
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from statistics import median

from arrears.rendering.catalog import Catalog, Kind
from arrears.rendering.letters import render_pdf
from arrears.rendering.many import cores, in_parallel
from arrears.rendering.specimens import specimen_context
from arrears.settings import ROOT

_LOCALES = ("en-US", "en-GB", "de-DE", "es-US", "zh-CN")
_catalog: list[Catalog] = []


def letter(number: int) -> int:
    """Set one letter, each to another holder; its size in bytes."""
    if not _catalog:
        _catalog.append(Catalog(ROOT / "templates"))
    usual = specimen_context(_LOCALES[number % len(_LOCALES)])
    pay_link = f"https://pay.example.com/a/{number:012d}abcdefghijklmnop"
    context = replace(usual, account_id=f"B-{number}", reference=f"{number:08d}", pay_link=pay_link)
    return len(render_pdf(_catalog[0], Kind.LETTERS, "reminder", context))


def per_second(make: Callable[[Iterable[int]], Iterable[int]], count: int) -> float:
    """Letters a second by the clock."""
    begun = time.perf_counter()
    made = sum(1 for _ in make(range(count)))
    assert made == count
    return count / (time.perf_counter() - begun)


def lock_held(compiles: int = 20) -> float:
    """The longest that another thread had to wait for Python's lock while letters were set, in milliseconds."""
    gaps, done = [0.0], threading.Event()

    def watch() -> None:
        last = time.perf_counter()
        while not done.is_set():
            done.wait(0.0005)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(compiles):
        letter(number)
    done.set()
    watcher.join()
    return median(gaps) * 1000


def peak() -> int:
    """MiB of this process, at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--letters", type=int, default=200, help="in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=10_000, help="for the memory")
    wanted = parser.parse_args()
    found: dict[str, list[float]] = {"serial": [], "threads": [], "processes": []}
    with ProcessPoolExecutor(cores(), mp_context=get_context("spawn")) as pool:
        warm = [letter(n) for n in range(20)] + list(pool.map(letter, range(40)))
        print(f"{sum(warm) // len(warm) / 1000:.0f} kB a letter; {cores()} cores")
        for _ in range(wanted.rounds):
            found["serial"].append(per_second(lambda jobs: map(letter, jobs), wanted.letters))
            found["threads"].append(per_second(lambda jobs: in_parallel(letter, jobs), wanted.letters))
            found["processes"].append(per_second(lambda jobs: pool.map(letter, jobs, chunksize=10), wanted.letters))
    serial = median(found["serial"])
    for how, rates in found.items():
        print(f"{how:10} {median(rates):6.1f} letters/s, {median(rates) / serial:.2f} times serial")
    print(f"another thread waits {lock_held():.1f} ms for Python's lock while letters are set (median)")
    before, begun = peak(), time.perf_counter()
    processor = time.process_time()
    for number, _ in enumerate(in_parallel(letter, range(wanted.many)), start=1):
        if number % max(1, wanted.many // 10) == 0:
            print(f"after {number:6,} letters: {peak()} MiB at most ({before} MiB before)", flush=True)
    taken = time.perf_counter() - begun
    spent = time.process_time() - processor
    print(f"{wanted.many / taken:.1f} letters/s by the clock, {wanted.many / spent:.1f} a second of processor time")


if __name__ == "__main__":
    main()
