"""Clocks that tests put forward themselves."""

from __future__ import annotations

from datetime import datetime, timedelta

from arrears.clock import SystemClock


class Skipping:
    """A machine's clock that stands still but for being put forward by whoever waits."""

    def __init__(self) -> None:
        self._moment = SystemClock().wall()

    def wall(self) -> datetime:
        return self._moment

    now = wall

    def pause(self, until: datetime) -> None:
        self._moment = max(until, self._moment)

    def wall_at(self, moment: datetime) -> datetime:
        return moment

    def lasts(self, span: timedelta) -> timedelta:
        return span
