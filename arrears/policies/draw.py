"""A ladder as rows to show: what happens when, for one due date, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import assert_never

from arrears.engine.delinquency import at_local, zone_of
from arrears.engine.ladder import (
    AfterDone,
    AnyOf,
    Approved,
    Attempts,
    BalanceAtLeast,
    ContactsWithoutPayment,
    DaysAfter,
    DaysPastDue,
    Ladder,
    NotTimeBarred,
    Requirement,
    Returned,
    Rung,
    UnreachedCalls,
)


@dataclass(frozen=True, slots=True)
class DrawnRung:
    """One row. `at` is the local instant the rung first falls due, None where that hangs on another rung."""

    rung: str
    stage: str
    channel: str
    template: str
    at: datetime | None
    when: str
    attempts: str
    until: str
    late: str
    requires: str


def draw(ladder: Ladder, due_date: date, zone: str) -> tuple[DrawnRung, ...]:
    """The rungs in order, with dates for an account due on `due_date` in IANA zone `zone`."""
    return tuple(_drawn(rung, due_date, zone) for rung in ladder.rungs)


def in_words(requirement: Requirement) -> str:
    """`10 days after letter-3 is done`, `a person's approval`."""
    match requirement:
        case AfterDone(rung, days):
            return f"{_days(days)} after {rung} is done" if days else f"{rung} is done"
        case ContactsWithoutPayment(least):
            return f"{least} contacts without a payment"
        case UnreachedCalls(least):
            return f"{least} calls without reaching the holder"
        case BalanceAtLeast(least):
            return "balance at least " + ", ".join(f"{money.decimal_text()} {code}" for code, money in least.items())
        case NotTimeBarred():
            return "not time-barred"
        case Approved():
            return "a person's approval"
        case Returned(rung):
            return f"{rung} is over"
        case AnyOf(options):
            return " or ".join(in_words(option) for option in options)
        case _:
            assert_never(requirement)


def _drawn(rung: Rung, due_date: date, zone: str) -> DrawnRung:
    at: datetime | None = None
    match rung.due:
        case DaysPastDue(days, clock):
            at = at_local(due_date + timedelta(days=days), clock, zone).astimezone(zone_of(zone))
            when = f"{at:%Y-%m-%d %H:%M %Z} ({_days(days)} past due)"
        case DaysAfter() if rung.stands_in_for:
            when = f"once, if no text reaches the holder by {rung.stands_in_for}"
        case DaysAfter(before, days, clock):
            when = f"{_days(days)} after {before}, at {clock:%H:%M}"
        case _:
            assert_never(rung.due)
    last_day = due_date + timedelta(days=rung.until_dpd) if rung.until_dpd is not None else None
    return DrawnRung(
        rung=rung.name,
        stage=rung.stage.value,
        channel=rung.channel.value,
        template=rung.template,
        at=at,
        when=when,
        attempts=_attempts(rung.attempts),
        until=f"before {last_day} ({_days(rung.until_dpd or 0)} past due)" if last_day else "",
        late=rung.late.value,
        requires="; ".join(in_words(requirement) for requirement in rung.requires),
    )


def _attempts(attempts: Attempts) -> str:
    if attempts.most == 1:
        return "once"
    apart = "every day" if attempts.days_apart == 1 else f"every {attempts.days_apart} days"
    return f"up to {attempts.most}, {apart}"


def _days(days: int) -> str:
    return f"{days} day" if days == 1 else f"{days} days"
