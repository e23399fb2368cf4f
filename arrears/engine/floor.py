"""The call floor: whom to call next and why, and how the work is shared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final

from arrears.engine.money import Money

# Before a person has been called often, an hour is judged by what is known of people: nothing, so one half.
_PRIOR_REACHED: Final = 1
_PRIOR_CALLED: Final = 2


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part of a score is worth at most, in points, and where it is full.

    `full_balance` counts in minor units by currency, `full_days` in days past due; `promise_days`: for how many
    days after its day a promise that was not kept still counts.
    """

    balance: int
    full_balance: Mapping[str, int]
    days_past_due: int
    full_days: int
    promise: int
    promise_days: int
    best_hour: int


@dataclass(frozen=True, slots=True)
class HourTried:
    """One earlier call to this person: the local hour of the day, and whether they were spoken to."""

    hour: int
    reached: bool


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a score turns on. `promised`: the day of the last promise that was not kept yet; `best_from` to
    `best_to` are the ladder's local hours; `now` is local to the holder."""

    balance: Money
    days_past_due: int
    promised: date | None
    best_from: time
    best_to: time
    tried: tuple[HourTried, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a score: its points, and why so many."""

    name: str
    points: int
    why: str


@dataclass(frozen=True, slots=True)
class Score:
    """The sum of its parts, which are printed beside it."""

    parts: tuple[Part, ...]

    @property
    def points(self) -> int:
        """0 to the sum of the weights."""
        return sum(part.points for part in self.parts)


def score(prospect: Prospect, weights: Weights, *, local_now: datetime) -> Score:
    """How pressing a call is at `local_now`, the holder's own time. A stated sum: no part is hidden."""
    return Score(
        (
            _balance(prospect, weights),
            _days(prospect, weights),
            _promise(prospect, weights, local_now.date()),
            _hour(prospect, weights, local_now),
        )
    )


def chance(tried: Iterable[HourTried], hour: int) -> tuple[int, int]:
    """How often the person was reached in this hour of the day, as a fraction that no single call turns over."""
    calls = [call for call in tried if call.hour == hour]
    return sum(call.reached for call in calls) + _PRIOR_REACHED, len(calls) + _PRIOR_CALLED


def _balance(prospect: Prospect, weights: Weights) -> Part:
    full = weights.full_balance.get(prospect.balance.currency, 0)
    if not full:
        return Part("balance", 0, f"no full balance is set for {prospect.balance.currency}")
    owed = min(max(prospect.balance.amount, 0), full)
    return Part("balance", weights.balance * owed // full, f"{100 * owed // full}% of a full balance")


def _days(prospect: Prospect, weights: Weights) -> Part:
    days = min(max(prospect.days_past_due, 0), weights.full_days)
    return Part("days past due", weights.days_past_due * days // weights.full_days, f"{prospect.days_past_due} days")


def _promise(prospect: Prospect, weights: Weights, today: date) -> Part:
    if prospect.promised is None or prospect.promised > today:
        return Part("promise", 0, "none due")
    if prospect.promised == today:
        return Part("promise", weights.promise, "due today")
    if today - prospect.promised <= timedelta(days=weights.promise_days):
        return Part("promise", weights.promise, f"not kept on {prospect.promised}")
    return Part("promise", 0, "none lately")


def _hour(prospect: Prospect, weights: Weights, local_now: datetime) -> Part:
    if not prospect.tried:
        in_time = prospect.best_from <= local_now.time() < prospect.best_to
        why = "in" if in_time else "outside"
        return Part("best hour", weights.best_hour // 2 if in_time else 0, f"never called; {why} the ladder's hours")
    reached, called = chance(prospect.tried, local_now.hour)
    why = f"reached {reached - _PRIOR_REACHED} of {called - _PRIOR_CALLED} times between {local_now.hour}:00 and :59"
    return Part("best hour", weights.best_hour * reached // called, why)


@dataclass(frozen=True, slots=True)
class Dealable:
    """A task to hand out: its key, whose it is, its score."""

    key: str
    person: str
    points: int


@dataclass(slots=True)
class Hand:
    """What one collector is dealt."""

    collector: str
    keys: list[str] = field(default_factory=list[str])
    points: int = 0


def deal(tasks: Iterable[Dealable], collectors: Sequence[str]) -> tuple[Hand, ...]:
    """Fair shares: persons are handed out best first, each to whoever has least so far.

    All tasks of a person go to one collector. Neither the order of `tasks` nor that of `collectors` matters, and
    no two hands differ by more points than the best person is worth.
    """
    people: defaultdict[str, list[Dealable]] = defaultdict(list)
    for task in tasks:
        people[task.person].append(task)
    worth = {person: sum(task.points for task in theirs) for person, theirs in people.items()}
    hands = [Hand(name) for name in sorted(set(collectors))]
    if not hands:
        return ()
    for person in sorted(people, key=lambda name: (-worth[name], name)):
        hand = min(hands, key=lambda h: (h.points, len(h.keys), h.collector))
        theirs = sorted(people[person], key=lambda task: (-task.points, task.key))
        hand.keys.extend(task.key for task in theirs)
        hand.points += worth[person]
    return tuple(hands)
