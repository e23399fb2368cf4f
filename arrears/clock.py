"""The only place that reads a clock. Everything below the edge is told `now`.

Two times are kept apart: `now` is the ledger's (what ladders and law count in, and what may be virtual
or time-lapse), `wall` is the machine's (what leases, retries and provider look-ups count in).
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

_DAY = timedelta(days=1)
_LAPSE = re.compile(r"lapse:(?P<start>.+):(?P<seconds>[0-9]+(?:\.[0-9]+)?)")


class ClockError(ValueError):
    """A clock setting or instant that cannot be understood; the message says what was expected."""


class Clock(Protocol):
    """`now` of the ledger, `wall` of the machine, and the wall instant at which the ledger reaches a moment."""

    def now(self) -> datetime: ...
    def wall(self) -> datetime: ...
    def wall_at(self, moment: datetime) -> datetime: ...
    def lasts(self, span: timedelta) -> timedelta:
        """How much ledger time passes while `span` of wall time does."""
        ...

    def pause(self, until: datetime) -> None:
        """Let the machine's time reach `until` (wall)."""
        ...


class _RealPause:
    """Waiting in real time, for every clock that has one."""

    __slots__ = ()

    def wall(self) -> datetime:
        """The machine's UTC time."""
        return datetime.now(UTC)

    def pause(self, until: datetime) -> None:
        """Sleep until the machine's time is `until`."""
        while (left := (until - self.wall()).total_seconds()) > 0:
            time.sleep(min(left, 1.0))


@dataclass(frozen=True, slots=True)
class SystemClock(_RealPause):
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wall_at(self, moment: datetime) -> datetime:
        return moment

    def lasts(self, span: timedelta) -> timedelta:
        return span


@dataclass(slots=True)
class VirtualClock:
    """Stands at `moment` until it is set: drives `arrears advance`, and tests. Wall time stays that of `machine`."""

    moment: datetime
    machine: Clock = SystemClock()

    def now(self) -> datetime:
        return self.moment

    def wall(self) -> datetime:
        return self.machine.wall()

    def pause(self, until: datetime) -> None:
        self.machine.pause(until)

    def wall_at(self, moment: datetime) -> datetime:
        return self.wall() if moment > self.moment else moment

    def lasts(self, span: timedelta) -> timedelta:
        return timedelta(0)


@dataclass(frozen=True, slots=True)
class LapseClock(_RealPause):
    """Ledger time runs from `start`, one day in `seconds_per_day`, beginning at wall instant `epoch`."""

    start: datetime
    seconds_per_day: float
    epoch: datetime

    def now(self) -> datetime:
        return self.start + (self.wall() - self.epoch) * (86_400 / self.seconds_per_day)

    def wall_at(self, moment: datetime) -> datetime:
        return self.epoch + (moment - self.start) * (self.seconds_per_day / 86_400)

    def lasts(self, span: timedelta) -> timedelta:
        return span * (86_400 / self.seconds_per_day)


def parse_clock(text: str, *, epoch: datetime | None = None) -> Clock:
    """`system`, or `lapse:<start ISO>:<seconds per day>`.

    A lapse clock needs a common `epoch` for all processes (the ledger keeps it); without one it starts
    now. Raises ClockError for anything else.
    """
    if text == "system":
        return SystemClock()
    match = _LAPSE.fullmatch(text)
    if match is None:
        raise ClockError(f"clock {text!r} is not known; expected system or lapse:<start ISO>:<seconds per day>")
    seconds = float(match["seconds"])
    if seconds <= 0:
        raise ClockError(f"clock {text!r}: seconds per day must be above 0")
    return LapseClock(parse_instant(match["start"]), seconds, epoch or datetime.now(UTC))


def parse_instant(text: str) -> datetime:
    """An ISO 8601 instant as aware UTC; one without an offset is taken as UTC, a date as its midnight."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ClockError(f"{text!r} is no instant; expected ISO 8601 such as 2026-11-23T14:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def iso(moment: datetime) -> str:
    """`2026-11-23T14:00:00Z`; fractions of a second are kept when there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
