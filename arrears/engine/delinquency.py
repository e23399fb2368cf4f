"""Days past due, buckets, and local instants."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The IANA zone; an empty name is UTC (an account whose zone is unknown still has a calendar)."""
    return ZoneInfo(name or "UTC")


def local_date(now: datetime, zone: str) -> date:
    """The calendar day at `now` in `zone`."""
    return now.astimezone(zone_of(zone)).date()


def days_past_due(due_date: date, now: datetime, zone: str) -> int:
    """0 on the due date, negative before it."""
    return (local_date(now, zone) - due_date).days


def bucket(dpd: int) -> str:
    """The reporting bucket: current, 1-29, 30-59, 60-89 or 90+."""
    if dpd <= 0:
        return "current"
    for last, name in ((29, "1-29"), (59, "30-59"), (89, "60-89")):
        if dpd <= last:
            return name
    return "90+"


@lru_cache(maxsize=65536)
def at_local(day: date, at: time, zone: str) -> datetime:
    """UTC instant of local time `at` on `day`.

    A time that a clock change skips becomes the same distance after midnight, so it is never before
    the change; of a time that happens twice, the first is meant.
    """
    return datetime.combine(day, at, tzinfo=zone_of(zone)).astimezone(UTC)


def days_later(moment: datetime, days: int, at: time, zone: str) -> datetime:
    """UTC instant of local time `at`, `days` calendar days after the local day of `moment`."""
    return at_local(local_date(moment, zone) + timedelta(days=days), at, zone)
