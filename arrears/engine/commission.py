"""What an agency keeps of what it collects.

Contingency fees are the field's rule: a share of what was collected and nothing else, agreed flat, by the age of the
debt or of the placement, higher for a second placement, or by target, where the share rises as more of a vintage is
liquidated (creditors' and agencies' published terms, and the FTC's study of the debt buying industry, 2013, on primary,
secondary and tertiary placements). Rates are basis points, 2,500 for 25 percent; amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final, assert_never

WHOLE: Final = 10_000
"""A hundred percent, in basis points."""


class AgeOf(StrEnum):
    """What grows old: the placement, from the day it was made; the debt, from the first due date missed."""

    PLACEMENT = "placement"
    DEBT = "debt"


@dataclass(frozen=True, slots=True)
class Step:
    """From `least` on, and below the next step's, the rate is `rate`. `least`: days, or basis points of a target."""

    least: int
    rate: int


@dataclass(frozen=True, slots=True)
class Flat:
    """The same share of everything."""

    rate: int


@dataclass(frozen=True, slots=True)
class ByAge:
    """A share by whole days of age on the day of the payment; the first band begins at 0."""

    of: AgeOf
    bands: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class ByTarget:
    """A share that changes with the part of the vintage that has been collected; the first tier begins at 0.

    Each rate is for the money within its tier, as with income tax: whoever reaches a target earns the better rate for
    what comes after, and no payment is worth less for being larger.
    """

    tiers: tuple[Step, ...]


Schedule = Flat | ByAge | ByTarget


@dataclass(frozen=True, slots=True)
class Commission:
    """A partner's terms. `further`: for accounts that another agency has had before, where that is another share.

    `tolerance`: minor units by which one row of its file may be off; both sides round.
    """

    schedule: Schedule
    further: Schedule | None = None
    tolerance: int = 0

    def schedule_of(self, order: int) -> Schedule:
        """The schedule of an account's first placement (1), second (2) and so on."""
        return self.further if order > 1 and self.further is not None else self.schedule


@dataclass(frozen=True, slots=True)
class Earning:
    """What a share is earned on: `amount` paid at `at`.

    `order`: 1 for the account's first placement. `reached`: what was collected of the vintage before; `placed`: all
    that was placed in it.
    """

    amount: int
    at: datetime
    placed_at: datetime
    due_on: date
    order: int = 1
    reached: int = 0
    placed: int = 0


def earned(terms: Commission, money: Earning) -> int:
    """The commission on one payment, in minor units, never more than was paid.

    Rounded to the minor unit nearest, halves up. By target it is what the vintage earns with this payment less what
    it earned without, each rounded: the parts of a vintage always add up to the whole.
    """
    schedule = terms.schedule_of(money.order)
    match schedule:
        case Flat(rate):
            return _share(money.amount, rate)
        case ByAge():
            return _share(money.amount, rate_at(schedule.bands, _age(schedule.of, money)))
        case ByTarget(tiers):
            return _of_vintage(tiers, money.reached + money.amount, money.placed) - _of_vintage(
                tiers, money.reached, money.placed
            )
        case _:
            assert_never(schedule)


def given_back(kept: int, gross: int, *, before: int, amount: int) -> int:
    """What an agency gives back of the `kept` on `gross`, when `amount` of it is taken back after `before` was.

    In proportion, rounded so that the parts of a payment taken back in full add up to all that was kept on it.
    """
    return _proportion(kept, before + amount, gross) - _proportion(kept, before, gross)


def rate_at(steps: tuple[Step, ...], value: int) -> int:
    """The rate of the step that `value` lies in: steps are half-open, the last has no end."""
    return max((step for step in steps if step.least <= value), key=lambda step: step.least, default=steps[0]).rate


def problems_of(steps: Iterable[Step]) -> str:
    """Why these cannot be bands or tiers; empty when they can."""
    ordered = list(steps)
    if not ordered or ordered[0].least != 0:
        return "the first must begin at 0"
    if any(after.least <= before.least for before, after in pairwise(ordered)):
        return "each must begin after the one before it"
    return ""


def _age(of: AgeOf, money: Earning) -> int:
    since = money.placed_at.date() if of is AgeOf.PLACEMENT else money.due_on
    return max(0, (money.at.date() - since).days)


def _of_vintage(tiers: tuple[Step, ...], collected: int, placed: int) -> int:
    """What a vintage has earned in all when `collected` of `placed` is in."""
    total = 0
    for step, after in zip(tiers, (*tiers[1:], None), strict=True):
        begins = step.least * placed
        ends = after.least * placed if after is not None else None
        inside = collected * WHOLE - begins
        if ends is not None:
            inside = min(inside, ends - begins)
        # In basis points of basis points: nothing is rounded before the end.
        total += max(inside, 0) * step.rate
    return _nearest(total, WHOLE * WHOLE)


def _share(amount: int, rate: int) -> int:
    return _nearest(amount * rate, WHOLE)


def _proportion(kept: int, part: int, whole: int) -> int:
    return _nearest(kept * part, whole) if whole else 0


def _nearest(numerator: int, denominator: int) -> int:
    """Halves go up; below zero, down: what is given back is what was kept."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude
