"""Accounts, steps and rules as the tests speak of them. `NOW` is noon in New York on 24 December 2026."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from arrears.engine.case import Case, Step
from arrears.engine.contact.facts import ContactChannel, Facts, Hold, Proposal
from arrears.engine.contact.rules import HOUSE, ClosedDays, HoldRule, Pack, Rulebook, Window
from arrears.engine.decide import Perform
from arrears.engine.delinquency import at_local
from arrears.engine.ladder import Ladder
from arrears.engine.money import Money
from arrears.engine.vocabulary import ChannelName, Party, StepStatus
from arrears.policies.contact_rules import load_rulebook
from arrears.policies.ladders import load_ladder

ROOT = Path(__file__).parent.parent
POLICIES = ROOT / "policies"
NEW_YORK = "America/New_York"
NOW = datetime(2026, 12, 24, 17, 0, tzinfo=UTC)
BOTH = frozenset(Party)


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


def a_window(opens: str, closes: str, *, id: str = "T-QH", channels: Iterable[ContactChannel] | None = None) -> Window:
    """Hours that bind both parties on every channel unless said otherwise."""
    channels = frozenset(ContactChannel if channels is None else channels)
    hours = time.fromisoformat(opens), time.fromisoformat(closes)
    return Window(id, BOTH, channels, "hard", "test", True, *hours)


def closed_on(*weekdays: int, calendars: Iterable[str] = (), id: str = "T-DAY") -> ClosedDays:
    """Closed weekdays (Monday = 0) for both parties on every channel."""
    return ClosedDays(
        id, BOTH, frozenset(ContactChannel), "hard", "test", True, frozenset(weekdays), frozenset(calendars)
    )


def a_hold_rule(kind: str, *, id: str = "T-HOLD", **changes: Any) -> HoldRule:
    """A rule that makes a hold of `kind` block everything for both parties."""
    rule = HoldRule(id, BOTH, frozenset(ContactChannel), "hard", "test", True, kind, True, False, None)
    return replace(rule, **changes)


def rules(*of_us: Window | ClosedDays | HoldRule, house: Iterable[HoldRule] = (), **calendars: Any) -> Rulebook:
    """A rulebook with one country, US, and a house."""
    us = Pack(
        "US",
        None,
        windows=tuple(rule for rule in of_us if isinstance(rule, Window)),
        closed_days=tuple(rule for rule in of_us if isinstance(rule, ClosedDays)),
        holds=tuple(rule for rule in of_us if isinstance(rule, HoldRule)),
    )
    return Rulebook("test", {"US": us, HOUSE: Pack(HOUSE, None, holds=tuple(house))}, calendars)


def a_contact(channel: str = "call", *, by: Party = Party.FIRST) -> Proposal:
    return Proposal(ContactChannel(channel), by)


def facts(*holds: Hold, zones: tuple[str, ...] = (NEW_YORK,), places: tuple[str, ...] = ("US",), **rest: Any) -> Facts:
    return Facts(places, zones, holds, **rest)


def a_hold(kind: str, *, days_ago: float = 1, **rest: Any) -> Hold:
    return Hold(kind, NOW - timedelta(days=days_ago), **rest)
