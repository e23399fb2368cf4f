"""Flows that end in order, crash, hang or wait, for a worker to survive. They leave marks in a file."""

from __future__ import annotations

import time
from pathlib import Path

from prefect import flow

from arrears.clock import SystemClock
from arrears.orchestration.waiting import wait_until


def _mark(path: str, word: str) -> None:
    with Path(path).open("a", encoding="utf-8") as stream:
        stream.write(word + "\n")


@flow(persist_result=False)
def works(path: str, until: str = "", in_company: int = 0) -> None:
    """Marks its beginning and its end, however it comes.

    It ends once there is a file `until`, and once so many, itself included, have been at it at the same time.
    """
    _mark(path, "begins")
    try:
        while (until and not Path(until).exists()) or most_at_once(path) < in_company:
            time.sleep(0.02)
    finally:
        _mark(path, "ends")


def most_at_once(path: str) -> int:
    """How many had begun and not ended, at most, by the marks."""
    now = most = 0
    for word in Path(path).read_text(encoding="utf-8").split():
        now += 1 if word == "begins" else -1
        most = max(most, now)
    return most


@flow(persist_result=False)
def blocks(path: str, seconds: float) -> None:
    """Hangs where no exception reaches it."""
    _mark(path, "begins")
    time.sleep(seconds)
    _mark(path, "ends")


_KEPT: list[bytes] = []


@flow(persist_result=False)
def leaks(mib: int) -> None:
    """Keeps what nobody will ask for again."""
    _KEPT.append(b"x" * (mib * 2**20))


@flow(persist_result=False)
def dies(how: str) -> None:
    """Ends as no flow should."""
    raise {"SystemExit": SystemExit, "KeyboardInterrupt": KeyboardInterrupt, "ValueError": ValueError}[how](
        "on purpose"
    )


@flow(persist_result=False)
def waits(path: str, times: int) -> None:
    """Wakes as often as it is told, and waits in between."""
    _mark(path, "wakes")
    if len(Path(path).read_text(encoding="utf-8").split()) < times:
        wait_until(SystemClock().wall(), "until the next time")


@flow(persist_result=False)
async def elsewhere() -> None:
    """Needs an event loop of its own."""
