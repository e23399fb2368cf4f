"""How fast texts may go out, sender by sender. Prefect's own limits take this place where it runs the show."""

from __future__ import annotations

import time
from datetime import timedelta
from threading import Lock
from typing import Protocol


class Pace(Protocol):
    """Says when a sender may send its next text."""

    def wait(self, sender: str, *, at_most: timedelta) -> bool:
        """Wait for the sender's turn and take it; False when it does not come within `at_most`, and none is taken."""
        ...


class NoPace:
    """As fast as they come."""

    def wait(self, sender: str, *, at_most: timedelta) -> bool:
        """At once."""
        return True


class LocalPace:
    """At most `per_second` texts a second from each sender, evenly, over all threads of this process."""

    def __init__(self, per_second: float) -> None:
        self._apart = 1 / per_second
        self._next: dict[str, float] = {}
        self._lock = Lock()

    def wait(self, sender: str, *, at_most: timedelta) -> bool:
        """Sleep until it is the sender's turn."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next.get(sender, now))
            if turn - now > at_most.total_seconds():
                return False
            self._next[sender] = turn + self._apart
        time.sleep(turn - now)
        return True
