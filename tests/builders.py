"""Accounts, steps and rules as the tests speak of them. `NOW` is noon in New York on 24 December 2026."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any, TypeVar

from arrears.engine.case import Case, Step
from arrears.engine.contact.facts import ContactChannel, Facts, Hold, Proposal
from arrears.engine.contact.rules import (
    HOUSE,
    Cap,
    ClosedDays,
    Cooldown,
    HoldRule,
    Pack,
    Rule,
    Rulebook,
    Span,
    Window,
)
from arrears.engine.decide import Perform
from arrears.engine.delinquency import at_local
from arrears.engine.ladder import Ladder
from arrears.engine.money import Money
from arrears.engine.vocabulary import ChannelName, Party, StepStatus
from arrears.policies.contact_rules import load_rulebook
from arrears.policies.ladders import load_ladder
from arrears.settings import ROOT

POLICIES = ROOT / "policies"
NEW_YORK = "America/New_York"
NOW = datetime(2026, 12, 24, 17, 0, tzinfo=UTC)
BOTH = frozenset(Party)
R = TypeVar("R", bound=Rule)


@cache
def standard_ladder() -> Ladder:
    """The ladder as shipped."""
    return load_ladder(POLICIES / "ladders" / "card-standard.yaml")


@cache
def shipped_rules() -> Rulebook:
    """The contact rules as shipped."""
    return load_rulebook(POLICIES / "contact-rules")


def usd(amount: str) -> Money:
    return Money.parse(amount, "USD")


def a_case(*steps: Step, dpd: int = 31, **changes: Any) -> Case:
    """A case that is `dpd` days past due at NOW, for 120.00 of a 2,500.00 balance, in New York."""
    case = Case(
        account_id="A-1",
        due_date=NOW.date() - timedelta(days=dpd),
        amount_due=usd("120.00"),
        balance=usd("2500.00"),
        zone=NEW_YORK,
        steps=steps,
        limitation_ends=date(2030, 1, 1),
    )
    return replace(case, **changes)


def a_step(rung: str, *, days_ago: float = 0, attempt: int = 1, **changes: Any) -> Step:
    """A done step of the standard ladder, `days_ago` days before NOW."""
    channel = ChannelName(rung.rpartition("-")[0])
    step = Step(rung, attempt, channel, StepStatus.DONE, at=NOW - timedelta(days=days_ago))
    return replace(step, **changes)


def day(case: Case, dpd: int, at: str = "10:00") -> datetime:
    """The instant of a local time on a day past due."""
    return at_local(case.due_date + timedelta(days=dpd), time.fromisoformat(at), case.zone)


def made(case: Case, what: Perform, now: datetime, **changes: Any) -> Case:
    """The case after an attempt: done at `now` unless said otherwise."""
    step = Step(what.rung.name, what.attempt, what.rung.channel, StepStatus.DONE, at=now)
    return recorded(case, replace(step, **changes))


def recorded(case: Case, step: Step) -> Case:
    """The case with `step` in place of the same attempt's earlier state."""
    others = (s for s in case.steps if (s.rung, s.attempt) != (step.rung, step.attempt))
    return replace(case, steps=(*others, step))


def a_rule(
    shape: type[R], /, *, id: str = "T-RULE", channels: Iterable[ContactChannel] | None = None, **fields: Any
) -> R:
    """A rule that binds both parties on every channel unless said otherwise."""
    named = frozenset(ContactChannel if channels is None else channels)
    common: dict[str, Any] = {"applies_to": BOTH, "strength": "hard", "source": "test", "verified": True}
    return shape(id=id, channels=named, **{**common, **fields})


def a_window(opens: str, closes: str, *, id: str = "T-QH", channels: Iterable[ContactChannel] | None = None) -> Window:
    """Hours that bind both parties on every channel unless said otherwise."""
    hours = {"opens": time.fromisoformat(opens), "closes": time.fromisoformat(closes)}
    return a_rule(Window, id=id, channels=channels, **hours)


def closed_on(*weekdays: int, calendars: Iterable[str] = (), id: str = "T-DAY") -> ClosedDays:
    """Closed weekdays (Monday = 0) for both parties on every channel."""
    return a_rule(ClosedDays, id=id, weekdays=frozenset(weekdays), calendars=frozenset(calendars))


def a_hold_rule(kind: str, *, id: str = "T-HOLD", **changes: Any) -> HoldRule:
    """A rule that makes a hold of `kind` block everything for both parties."""
    reach: dict[str, Any] = {"everything": True, "own_channel": False, "days": None}
    return a_rule(HoldRule, id=id, kind=kind, **{**reach, **changes})


def a_cap(most: int, *, days: float = 7, id: str = "T-CAP", **changes: Any) -> Cap:
    """At most `most` contacts, on every channel together, in `days` rolling days."""
    return a_rule(Cap, id=id, **{"most": most, "span": Span.ROLLING, "length": timedelta(days=days), **changes})


def a_cooldown(days: int, *, id: str = "T-COOL", **changes: Any) -> Cooldown:
    """Nothing on any channel for `days` days after a conversation."""
    return a_rule(Cooldown, id=id, days=days, **changes)


def rules(*of_us: Rule, house: Iterable[Rule] = (), **calendars: Any) -> Rulebook:
    """A rulebook with one country, US, and a house."""
    return Rulebook("test", {"US": Pack.of("US", of_us), HOUSE: Pack.of(HOUSE, tuple(house))}, calendars)


def a_contact(channel: str = "call", *, by: Party = Party.FIRST) -> Proposal:
    return Proposal(ContactChannel(channel), by)


def facts(*holds: Hold, zones: tuple[str, ...] = (NEW_YORK,), places: tuple[str, ...] = ("US",), **rest: Any) -> Facts:
    return Facts(places, zones, holds, **rest)


def a_hold(kind: str, *, days_ago: float = 1, **rest: Any) -> Hold:
    return Hold(kind, NOW - timedelta(days=days_ago), **rest)
