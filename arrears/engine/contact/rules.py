"""The shapes contact rules come in. The numbers, sources and dates are data (`policies/contact-rules`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Protocol

from arrears.engine.contact.facts import ContactChannel
from arrears.engine.vocabulary import Party


class HolidayCalendar(Protocol):
    """Whether a local calendar day is a public holiday."""

    def __contains__(self, day: object, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """What every rule has: who and what it binds, and where it is written."""

    id: str
    applies_to: frozenset[Party]
    channels: frozenset[ContactChannel]
    strength: str
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Window(Rule):
    """Contact only within [opens, closes) local time, in every zone the person may be in."""

    opens: time
    closes: time


@dataclass(frozen=True, slots=True)
class ClosedDays(Rule):
    """No contact on these weekdays (Monday = 0) nor on the named calendars' holidays."""

    weekdays: frozenset[int]
    calendars: frozenset[str]


@dataclass(frozen=True, slots=True)
class HoldRule(Rule):
    """A kind of hold and the channels it blocks.

    `everything`: the case stands still. `own_channel`: only the channel the hold names. `days`: a hold
    without an end lasts this many days.
    """

    kind: str
    everything: bool
    own_channel: bool
    days: int | None


@dataclass(frozen=True, slots=True)
class Pack:
    """The rules of one jurisdiction, on top of those of `inherits`."""

    jurisdiction: str
    inherits: str | None
    windows: tuple[Window, ...] = ()
    closed_days: tuple[ClosedDays, ...] = ()
    holds: tuple[HoldRule, ...] = ()


@dataclass(frozen=True)
class Rulebook:
    """All packs; `version` identifies their exact content. `HOUSE` holds the lender's own policies."""

    version: str
    packs: Mapping[str, Pack]
    calendars: Mapping[str, HolidayCalendar]

    def matching(self, jurisdictions: tuple[str, ...]) -> tuple[Pack, ...] | None:
        """Every pack that may apply, house policies last; None when a place has no pack at all.

        A subdivision without a pack of its own falls back to its country's.
        """
        found: dict[str, Pack] = {}
        for place in jurisdictions:
            chain = list(self._chain(place))
            if not chain:
                return None
            found.update((pack.jurisdiction, pack) for pack in chain)
        if not found:
            return None
        return (*found.values(), *self.house_only())

    def house_only(self) -> tuple[Pack, ...]:
        """The lender's own policies, which hold even where no law is known."""
        house = self.packs.get(HOUSE)
        return (house,) if house else ()

    def _chain(self, place: str) -> Iterator[Pack]:
        name: str | None = place
        while name:
            pack = self.packs.get(name)
            if pack is not None:
                yield pack
                name = pack.inherits
            else:
                name = name.rpartition("-")[0] or None


HOUSE = "HOUSE"


def is_closed(rule: ClosedDays, day: date, calendars: Mapping[str, HolidayCalendar]) -> bool:
    """Whether `rule` closes `day` (local). A calendar that is not loaded is an error at load, not here."""
    return day.weekday() in rule.weekdays or any(day in calendars[name] for name in rule.calendars)
