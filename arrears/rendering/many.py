"""Many letters at once, on all cores: Typst lets go of Python's lock while it sets a page."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Job = TypeVar("_Job")
_Made = TypeVar("_Made")


def in_parallel(make: Callable[[_Job], _Made], jobs: Iterable[_Job], *, workers: int | None = None) -> Iterator[_Made]:
    """`make` of each job, in their order, on `workers` threads: by default as many as this process may use cores.

    No more than a few results wait to be taken at any time, however many jobs there are. The first exception comes
    out where its result would have.
    """
    workers = workers or cores()
    if workers == 1:
        yield from map(make, jobs)
        return
    under_way: deque[Future[_Made]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for job in jobs:
            under_way.append(pool.submit(make, job))
            if len(under_way) > 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
