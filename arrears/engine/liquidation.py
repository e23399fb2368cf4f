"""What became of the money that was placed: by agency, by the month of placement, and by its age.

The measures are the field's: a vintage (a batch, a month of placements) is followed for as long as it is worked, and
its liquidation rate is what has been collected of what was placed. Amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

AGES: Final = (30, 60, 90, 180)
"""Days after its placement up to which an account's money is counted for a rate."""

DEFINITIONS: Final = (
    "accounts, placed: placements made in the month (UTC), also those that are over, and the balances placed",
    "collected: what came through the agency less what was taken back, each on its own day; what the holder paid the "
    "bank directly is not in it",
    "commission, net: what the agency kept of that, and what is left",
    "liquidation at N days: collected before the Nth day after the placement, of the balances of the accounts placed "
    "N days ago or earlier; empty when there is none yet",
)


@dataclass(frozen=True, slots=True)
class Placing:
    """One placement."""

    reference: str
    agency: str
    at: datetime
    balance: int
    currency: str


@dataclass(frozen=True, slots=True)
class Cash:
    """Money that came through an agency on a placement, and what it kept; below zero when it was taken back."""

    placement: str
    at: datetime
    gross: int
    commission: int


@dataclass(slots=True)
class Liquidation:
    """One line of the report. `vintage` is `2026-11`, or empty for all; `rates` by age, None before its time."""

    agency: str
    vintage: str
    currency: str
    accounts: int = 0
    placed: int = 0
    collected: int = 0
    commission: int = 0
    rates: dict[int, Fraction | None] = field(default_factory=dict[int, Fraction | None])

    @property
    def net(self) -> int:
        """What is left to the bank."""
        return self.collected - self.commission


def liquidation(
    placings: Iterable[Placing], cash: Iterable[Cash], *, by_agency: bool, by_vintage: bool, now: datetime
) -> list[Liquidation]:
    """A line for each agency, vintage and currency asked for, in that order; without either, one for each currency.

    What happened after `now` is not counted.
    """
    known: dict[str, tuple[Placing, Liquidation]] = {}
    lines: dict[tuple[str, str, str], Liquidation] = {}
    old_enough: dict[tuple[int, int], int] = {}
    for each in placings:
        agency, vintage = each.agency if by_agency else "", f"{each.at:%Y-%m}" if by_vintage else ""
        line = lines.setdefault((agency, vintage, each.currency), Liquidation(agency, vintage, each.currency))
        known[each.reference] = each, line
        line.accounts, line.placed = line.accounts + 1, line.placed + each.balance
        for age in AGES:
            if each.at + timedelta(days=age) <= now:
                old_enough[id(line), age] = old_enough.get((id(line), age), 0) + each.balance
    in_time = _book(known, cash, now)
    for line in lines.values():
        line.rates = {age: _rate(in_time, old_enough, line, age) for age in AGES}
    return [lines[key] for key in sorted(lines)]


def _book(
    known: Mapping[str, tuple[Placing, Liquidation]], cash: Iterable[Cash], now: datetime
) -> dict[tuple[int, int], int]:
    """Adds the money to its lines; what came in time for each age, by line and age."""
    in_time: dict[tuple[int, int], int] = {}
    for money in cash:
        if money.placement not in known or money.at > now:
            continue
        placing, line = known[money.placement]
        line.collected += money.gross
        line.commission += money.commission
        for age in AGES:
            ends = placing.at + timedelta(days=age)
            if money.at < ends <= now:
                in_time[id(line), age] = in_time.get((id(line), age), 0) + money.gross
    return in_time


def _rate(
    in_time: Mapping[tuple[int, int], int], old_enough: Mapping[tuple[int, int], int], line: Liquidation, age: int
) -> Fraction | None:
    base = old_enough.get((id(line), age), 0)
    return Fraction(in_time.get((id(line), age), 0), base) if base else None
