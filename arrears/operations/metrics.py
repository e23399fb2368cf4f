"""The ledger's numbers as Prometheus reads them, the same from whichever process is asked.

They come from the ledger and not from counters of this process, because sweeps run in processes that end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Final, Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from arrears.clock import CommonTime
from arrears.ledger.database import LedgerError
from arrears.operations.measure import Census, Pulse, census, pulse
from arrears.operations.services import Services

_Read = TypeVar("_Read")
_PULSE_SECONDS: Final = 5.0
_CENSUS_SECONDS: Final = 60.0
# Whatever a reading costs, the next one waits this many times as long: watching takes two per cent at most.
_REST: Final = 50


class _Kept(Generic[_Read]):
    """A reading that is made anew no sooner than it is old, however many ask."""

    def __init__(self, read: Callable[[], _Read], seconds: float) -> None:
        self._read, self._seconds = read, seconds
        self._lock, self._value, self._until = Lock(), None, 0.0

    def get(self) -> _Read:
        with self._lock:
            started = time.monotonic()
            if self._value is None or started >= self._until:
                self._value = self._read()
                ended = time.monotonic()
                self._until = ended + max(self._seconds, _REST * (ended - started))
            return self._value


class LedgerCollector(Collector):
    """Reads the ledger when it is asked; one that does not answer is `arrears_ledger_up 0` and nothing else."""

    def __init__(self, services: Services) -> None:
        self._pulse = _Kept(lambda: pulse(services), _PULSE_SECONDS)
        self._census = _Kept(lambda: census(services), _CENSUS_SECONDS)
        self._machine = services.ledger.machine

    def describe(self) -> Iterator[Metric]:
        """Nothing before the first reading."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Every number there is."""
        try:
            read, counted = self._pulse.get(), self._census.get()
        except (LedgerError, SQLAlchemyError):
            yield _gauge("ledger_up", "Whether the ledger answers.", 0)
            return
        yield _gauge("ledger_up", "Whether the ledger answers.", 1)
        yield from _of_pulse(read)
        yield from _of_sweeps(read)
        yield from _of_census(counted)
        if isinstance(self._machine, CommonTime):
            # The one number that is this machine's own.
            about = "How far this machine's clock is ahead of the ledger's server, whose time counts."
            yield _gauge("clock_skew_seconds", about, self._machine.skew.total_seconds())


def registry_of(services: Services) -> CollectorRegistry:
    """What a metrics endpoint of this deployment shows."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(services))
    return registry


def _of_pulse(read: Pulse) -> Iterator[Metric]:
    yield _gauge("stopped", "Whether the kill switch is pulled.", read.stopped)
    yield _gauge("cases_due", "Open cases whose moment has come.", read.due)
    yield _gauge("cases_overdue", "Open cases later than the sweep's grace.", read.overdue)
    yield _gauge("timelines_late", "Overdue cases that a timeline drives.", read.late_timelines)
    yield _gauge("oldest_overdue_seconds", "How late the oldest overdue case is; 0 without one.", read.oldest_overdue)
    yield _gauge("steps_intended", "Effects being made, or cut short.", read.intended)
    yield _gauge("work_items_open", "What waits for a person.", read.work_items)


def _of_sweeps(read: Pulse) -> Iterator[Metric]:
    totals = read.totals
    yield _counter("sweeps", "Sweeps that came to an end.", totals.sweeps)
    yield _counter("sweep_seconds", "How long they took together.", totals.seconds)
    yield _counter("sweep_failed_accounts", "Accounts that failed in a sweep, and are tried again.", totals.failed)
    effects = CounterMetricFamily("arrears_sweep_effects", "Effects that sweeps made.", labels=["channel"])
    for channel, count in totals.effects.items():
        effects.add_metric([channel], count)
    yield effects
    if (last := read.last_sweep) is not None:
        yield _gauge("last_sweep_timestamp_seconds", "When the last sweep ended.", last.at.timestamp())
        yield _gauge("last_sweep_duration_seconds", "How long it took.", last.seconds)
        yield _gauge("last_sweep_accounts", "How many accounts were due in it.", last.looked_at)
        yield _gauge("last_sweep_effects", "How many effects it made.", last.effects)
        yield _gauge("last_sweep_failed", "How many accounts failed in it.", last.failed)


def _of_census(counted: Census) -> Iterator[Metric]:
    for name, about, label, counts in (
        ("accounts", "Accounts by status.", "status", counted.by_status),
        ("accounts_at_stage", "Accounts by stage.", "stage", counted.by_stage),
        ("texts", "Texts by what became of them.", "status", counted.deliveries),
        ("texts_undelivered", "Texts by the provider's reason for not delivering.", "code", counted.errors),
    ):
        family = GaugeMetricFamily(f"arrears_{name}", about, labels=[label])
        for value, count in counts.items():
            family.add_metric([value], count)
        yield family
    steps = GaugeMetricFamily("arrears_steps", "Steps by channel and status.", labels=["channel", "status"])
    for (channel, standing), count in counted.steps.items():
        steps.add_metric([channel, standing], count)
    yield steps


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"arrears_{name}", about, value=float(value))


def _counter(name: str, about: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"arrears_{name}", about, value=float(value))
