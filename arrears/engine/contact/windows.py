"""The next instant that no cap or notice bars, inside every window and outside every closed day, in every zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from arrears.engine.contact.counting import MIDNIGHT, Bar
from arrears.engine.contact.rules import ClosedDays, Docket, HolidayCalendar, Window, is_closed
from arrears.engine.delinquency import at_local, zone_of

HORIZON = timedelta(days=400)


def first_legal(
    docket: Docket,
    bars: Iterable[Bar],
    zones: tuple[str, ...],
    calendars: Mapping[str, HolidayCalendar],
    *,
    now: datetime,
) -> tuple[datetime | None, tuple[str, ...]]:
    """First legal instant at or after `now`, and the ids of the rules that put it off, in the order they did.

    None when nothing opens within 400 days, as when windows of distant zones never meet.
    """
    timed = [(rule, zone) for rule in (*docket.windows, *docket.closed_days) for zone in zones]
    deciding: dict[str, None] = {}
    moment = now
    while moment - now <= HORIZON:
        opening = moment
        for bar in bars:
            clear = bar.clears(moment)
            if clear > moment:
                deciding[bar.rule] = None
                opening = max(opening, clear)
        for rule, zone in timed:
            opens = _opens(rule, zone, calendars, moment)
            if opens > moment:
                deciding[rule.id] = None
                opening = max(opening, opens)
        if opening <= moment:
            return moment, tuple(deciding)
        moment = opening
    return None, tuple(deciding)


def _opens(
    rule: Window | ClosedDays, zone: str, calendars: Mapping[str, HolidayCalendar], moment: datetime
) -> datetime:
    """The first instant at or after `moment` that may satisfy `rule` in `zone`; `moment` itself if it does."""
    local = moment.astimezone(zone_of(zone))
    day = local.date()
    if isinstance(rule, ClosedDays):
        if not is_closed(rule, day, calendars):
            return moment
        return at_local(day + timedelta(days=1), MIDNIGHT, zone)
    clock = local.time()
    if clock < rule.opens:
        # A clock set back can repeat an hour: the local opening may lie before `moment`.
        return _not_before(at_local(day, rule.opens, zone), moment, rule, zone)
    if clock >= rule.closes:
        return at_local(day + timedelta(days=1), rule.opens, zone)
    return moment


def _not_before(opening: datetime, moment: datetime, rule: Window, zone: str) -> datetime:
    if opening > moment:
        return opening
    second = opening.astimezone(zone_of(zone)).replace(fold=1).astimezone(UTC)
    return second if second > moment else moment + timedelta(minutes=1)
