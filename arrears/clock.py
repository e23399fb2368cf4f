"""The only place that reads a clock. Everything below the edge is told `now`.

Two times are kept apart: `now` is the ledger's (what ladders and law count in, and what may be virtual
or time-lapse), `wall` is the machines' (what leases, retries and provider look-ups count in). Machines that share
a ledger share its server's time (`CommonTime`): their own clocks may be apart, and may step.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

logger = logging.getLogger(__name__)

# Linux counts the time that a machine sleeps in a clock of its own.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_LAPSE = re.compile(r"lapse:(?P<start>.+):(?P<seconds>[0-9]+(?:\.[0-9]+)?)")


class ClockError(ValueError):
    """A clock setting or instant that cannot be understood; the message says what was expected."""


class Clock(Protocol):
    """`now` of the ledger, `wall` of the machines, and the wall instant at which the ledger reaches a moment."""

    def now(self) -> datetime: ...
    def wall(self) -> datetime: ...
    def wall_at(self, moment: datetime) -> datetime: ...
    def lasts(self, span: timedelta) -> timedelta:
        """How much ledger time passes while `span` of wall time does."""
        ...

    def pause(self, until: datetime) -> None:
        """Let the machine's time reach `until` (wall)."""
        ...


def machine_time() -> datetime:
    """UTC by this machine's own clock."""
    return datetime.now(UTC)


class CommonTime:
    """UTC as a server has it that all machines ask; between two answers it goes on by a clock that never steps.

    `ask` asks the server, now, and again whenever `refresh` finds the last answer to be older than `every`. `skew`: how
    far this machine's own clock is ahead of the server's, as of the last answer; that it is more than `tolerated` is
    said in the log, when it begins and when it has changed by as much.
    """

    def __init__(
        self,
        ask: Callable[[], datetime],
        *,
        every: timedelta = timedelta(seconds=60),
        tolerated: timedelta = timedelta(seconds=5),
    ) -> None:
        self._every, self._tolerated = every.total_seconds(), tolerated
        self._said = timedelta(0)
        self._read(ask)

    def __call__(self) -> datetime:
        return self._base + timedelta(seconds=_steady())

    def refresh(self, ask: Callable[[], datetime]) -> None:
        """Ask again, if it is time to. Raises what `ask` raises."""
        if _steady() > self._until:
            self._read(ask)

    def _read(self, ask: Callable[[], datetime]) -> None:
        before = _steady()
        answer, own = ask(), machine_time()
        after = _steady()
        # The answer was true some time between question and answer.
        self._base = answer - timedelta(seconds=(before + after) / 2)
        self._until = after + self._every
        self.skew = own - self._base - timedelta(seconds=after)
        if abs(self.skew - self._said) > self._tolerated:
            self._said = self.skew
            how = "ahead of" if self.skew > timedelta(0) else "behind"
            seconds = abs(self.skew).total_seconds()
            logger.warning("this machine's clock is %.0f s %s the ledger's server, whose time counts", seconds, how)


def _steady() -> float:
    """Seconds since some moment, by a clock that is never set and counts while the machine sleeps."""
    return time.clock_gettime(_STEADY)


class _RealPause:
    """Real time, for every clock: what `machine` says it is."""

    __slots__ = ()
    machine: Callable[[], datetime]

    def wall(self) -> datetime:
        """The machines' UTC time."""
        return self.machine()

    def pause(self, until: datetime) -> None:
        """Sleep until the machines' time is `until`."""
        while (left := (until - self.wall()).total_seconds()) > 0:
            time.sleep(min(left, 1.0))


@dataclass(frozen=True, slots=True)
class SystemClock(_RealPause):
    """The machines' own time."""

    machine: Callable[[], datetime] = machine_time

    def now(self) -> datetime:
        return self.machine()

    def wall_at(self, moment: datetime) -> datetime:
        return moment

    def lasts(self, span: timedelta) -> timedelta:
        return span


@dataclass(slots=True)
class VirtualClock:
    """Stands at `moment` until it is set: drives `arrears advance`, and tests. Wall time is that of `real`."""

    moment: datetime
    real: Clock = SystemClock()

    def now(self) -> datetime:
        return self.moment

    def wall(self) -> datetime:
        return self.real.wall()

    def pause(self, until: datetime) -> None:
        self.real.pause(until)

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
    machine: Callable[[], datetime] = machine_time

    def now(self) -> datetime:
        return self.start + (self.wall() - self.epoch) * (86_400 / self.seconds_per_day)

    def wall_at(self, moment: datetime) -> datetime:
        return self.epoch + (moment - self.start) * (self.seconds_per_day / 86_400)

    def lasts(self, span: timedelta) -> timedelta:
        return span * (86_400 / self.seconds_per_day)


def parse_clock(text: str, *, epoch: datetime | None = None, machine: Callable[[], datetime] = machine_time) -> Clock:
    """`system`, or `lapse:<start ISO>:<seconds per day>`; real time by `machine`.

    A lapse clock needs a common `epoch` for all processes (the ledger keeps it); without one it starts
    now. Raises ClockError for anything else.
    """
    if text == "system":
        return SystemClock(machine)
    match = _LAPSE.fullmatch(text)
    if match is None:
        raise ClockError(f"clock {text!r} is not known; expected system or lapse:<start ISO>:<seconds per day>")
    seconds = float(match["seconds"])
    if seconds <= 0:
        raise ClockError(f"clock {text!r}: seconds per day must be above 0")
    return LapseClock(parse_instant(match["start"]), seconds, epoch or machine(), machine)


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
