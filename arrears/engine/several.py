"""One person, several accounts: whose turn it is, and which contacts may be one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from arrears.engine.case import Case, Step, Turn
from arrears.engine.decide import Perform, Skip, decide
from arrears.engine.delinquency import zone_of
from arrears.engine.ladder import Ladder, Rung, SeveralAccounts
from arrears.engine.vocabulary import ChannelName, StepStatus

# How long an account whose turn it is may keep younger ones waiting. One that nobody advances must not silence them.
PATIENCE = timedelta(hours=1)
# Three more accounts and a text is two messages long, no longer.
_MOST_IN_A_TEXT = 3


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The last contact with the person about another of their accounts."""

    at: datetime
    account_id: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A contact about one account that could be made now. `awake`: since when somebody should have made it."""

    account_id: str
    due_at: datetime
    awake: datetime


def spaced(policy: SeveralAccounts, last: Elsewhere | None, *, zone: str) -> Turn | None:
    """The turn of an account after the last contact about another, if there was one."""
    if last is None:
        return None
    local = f"{last.at.astimezone(zone_of(zone)):%Y-%m-%d %H:%M} {zone or 'UTC'}"
    return Turn(last.at + policy.apart, f"another contact with this person at {local} about {last.account_id}")


def behind(mine: Waiting, others: Iterable[Waiting], *, now: datetime) -> Turn | None:
    """The turn of an account while one that fell due before it could go; None when none could.

    Who does not go within `PATIENCE`, for whatever reason, is passed.
    """
    for other in sorted(others, key=_by_due):
        if _by_due(other) < _by_due(mine) and other.awake + PATIENCE > now:
            return Turn(other.awake + PATIENCE, f"it is the turn of {other.account_id}, which fell due first")
    return None


def alike(mine: Rung, other: Rung) -> bool:
    """Whether one message can speak for both rungs: reminders of one stage; a letter only for its equal.

    What the law wants said, and what threatens suit, is said about one account alone.
    """
    if any(rung.gives or rung.threatens_suit or not rung.channel.reaches_the_holder for rung in (mine, other)):
        return False
    if mine.channel is ChannelName.LETTER and mine.template != other.template:
        return False
    return (mine.stage, mine.channel, mine.purpose) == (other.stage, other.channel, other.purpose)


def most_told(channel: ChannelName) -> int | None:
    """How many other accounts one message has room for; None: all."""
    return _MOST_IN_A_TEXT if channel is ChannelName.SMS else None


def not_put_off(case: Case) -> Case:
    """The case as if none of its steps waited for a later hour, or for its turn."""
    return replace(case, steps=tuple(replace(step, not_before=None) for step in case.steps), turn=None)


def would_make(case: Case, ladder: Ladder, *, now: datetime) -> Perform | None:
    """What the case would make at `now`, after passing over what it would skip; None if nothing."""
    while True:
        match decide(case, ladder, now=now):
            case Perform() as made:
                return made
            case Skip(rung, attempt):
                others = (step for step in case.steps if (step.rung, step.attempt) != (rung.name, attempt))
                skipped = Step(rung.name, attempt, rung.channel, StepStatus.SKIPPED, at=now)
                case = replace(case, steps=(*others, skipped))
            case _:
                return None


def _by_due(waiting: Waiting) -> tuple[datetime, str]:
    return waiting.due_at, waiting.account_id
