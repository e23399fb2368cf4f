"""The blocks of a contact-rules file, and the engine's shapes they stand for."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from typing import Annotated, Self, TypedDict, cast

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from arrears.engine.contact.facts import ContactChannel
from arrears.engine.contact.rules import ClosedDays, HoldRule, Window
from arrears.engine.vocabulary import Party
from arrears.policies.calendars import CALENDAR_NAMES
from arrears.policies.check import Row
from arrears.policies.fields import ClockTime, Text, matching, one_of, wrong_block, wrong_value
from arrears.policies.hold_kinds import HoldKind
from arrears.policies.problems import listed


class Strength(StrEnum):
    """How binding: law, law's presumption of a violation, the lender's own policy, a regulator's guidance."""

    HARD = "hard"
    PRESUMPTION = "presumption"
    POLICY = "policy"
    GUIDANCE = "guidance"


class Evidence(StrEnum):
    """What was read: the text of the law, others' words about it, sources that disagree, nothing."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    CONFLICT = "conflict"
    NONE = "none"


class Weekday(StrEnum):
    """In the engine Monday is 0."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


class Reach(StrEnum):
    """What a hold blocks when it is no list of channels."""

    EVERYTHING = "everything"
    OWN_CHANNEL = "own_channel"


def _calendar_name(value: object) -> object:
    if isinstance(value, str) and value not in CALENDAR_NAMES:
        raise wrong_value(f"{value!r} is no known calendar; expected {listed(CALENDAR_NAMES)}")
    return value


RuleId = Annotated[str, matching(re.compile(r"[A-Z][A-Z0-9_]*(-[A-Z0-9_]+)+"), "rule id", "one such as US-HOLD-BK")]
Jurisdiction = Annotated[
    str, matching(re.compile(r"HOUSE|[A-Z]{2}(-[A-Z0-9]{1,3})*"), "jurisdiction", "one such as US, US-MA or HOUSE")
]
ChannelWord = Annotated[ContactChannel, one_of(ContactChannel, "channel")]
Channels = Annotated[list[ChannelWord], Field(min_length=1)]


def _blocks(value: object) -> object:
    if isinstance(value, list):
        return tuple(map(_blocked_channel, cast(list[object], value)))
    if isinstance(value, str) and value in set(Reach):
        return Reach(value)
    raise wrong_value(f"{value!r} is no reach of a hold; expected {listed(Reach)}, or a list of channels")


def _blocked_channel(word: object) -> ContactChannel:
    if isinstance(word, str) and word in set(ContactChannel):
        return ContactChannel(word)
    raise wrong_value(f"{word!r} is no channel; expected {listed(ContactChannel)}")


def _named(value: Reach | tuple[ContactChannel, ...]) -> Reach | tuple[ContactChannel, ...]:
    if not value:
        raise wrong_value("is empty")
    return value


Blocks = Annotated[Reach | tuple[ContactChannel, ...], BeforeValidator(_blocks), AfterValidator(_named)]


class _Common(TypedDict):
    id: str
    applies_to: frozenset[Party]
    strength: str
    source: str
    verified: bool


class RuleRow(Row):
    """What every rule has: whom it binds, where it is written, and who has read that."""

    id: RuleId
    applies_to: Annotated[list[Annotated[Party, one_of(Party, "party")]], Field(min_length=1)]
    strength: Annotated[Strength, one_of(Strength, "strength")]
    verified: bool
    evidence: Annotated[Evidence, one_of(Evidence, "kind of evidence")]
    source: Text
    note: str = ""
    effective_from: date | None = None
    review_by: date | None = None

    @model_validator(mode="after")
    def _read_before_it_is_law(self) -> Self:
        if not self.verified and self.strength is not Strength.POLICY:
            raise wrong_block(f"strength {self.strength} needs verified: true; what nobody has read is policy")
        return self

    def common(self) -> _Common:
        """The engine's fields that all shapes share."""
        return {
            "id": self.id,
            "applies_to": frozenset(self.applies_to),
            "strength": self.strength.value,
            "source": self.source,
            "verified": self.verified,
        }


class ClosedRow(Row):
    """`{weekdays: [sunday], holidays: [gb_bank_holidays]}`."""

    weekdays: Annotated[list[Annotated[Weekday, one_of(Weekday, "weekday")]], Field(default_factory=list)]
    holidays: Annotated[list[Annotated[str, BeforeValidator(_calendar_name)]], Field(default_factory=list)]

    @model_validator(mode="after")
    def _closes_something(self) -> Self:
        if not self.weekdays and not self.holidays:
            raise wrong_block("closed names no day; expected weekdays, holidays or both")
        return self


class ClosedDaysRow(RuleRow):
    """Days on which nobody is contacted."""

    channels: Channels
    closed: ClosedRow

    def closed_days(self) -> ClosedDays:
        """The engine's shape."""
        return _closed_days(self, self.channels, self.closed)


class WindowRow(RuleRow):
    """Hours within which people may be contacted, and maybe days on which they may not."""

    channels: Channels
    opens: ClockTime
    closes: ClockTime
    closed: ClosedRow | None = None

    @model_validator(mode="after")
    def _opens_first(self) -> Self:
        if self.opens >= self.closes:
            raise wrong_block(f"closes {self.closes:%H:%M} is not after opens {self.opens:%H:%M}")
        return self

    def window(self) -> Window:
        """The engine's shape."""
        channels = frozenset(self.channels)
        return Window(**self.common(), channels=channels, opens=self.opens, closes=self.closes)

    def closed_days(self) -> ClosedDays | None:
        """The closed days of the same rule, under the same id: it is one rule with two sides."""
        return _closed_days(self, self.channels, self.closed) if self.closed else None


class HoldRow(RuleRow):
    """A kind of hold and what it blocks.

    `channels`: with `blocks: own_channel`, what is blocked when the hold names no channel. `days`: how
    long a hold without an end lasts.
    """

    hold: Annotated[HoldKind, one_of(HoldKind, "kind of hold")]
    blocks: Blocks
    channels: Channels | None = None
    days: Annotated[int, Field(ge=1, le=3650)] | None = None

    @model_validator(mode="after")
    def _channels_for_own_channel(self) -> Self:
        if (self.blocks is Reach.OWN_CHANNEL) != (self.channels is not None):
            raise wrong_block("channels belongs to blocks: own_channel, and only there")
        return self

    def hold_rule(self) -> HoldRule:
        """The engine's shape."""
        named = self.channels or (self.blocks if isinstance(self.blocks, tuple) else ContactChannel)
        return HoldRule(
            **self.common(),
            channels=frozenset(named),
            kind=self.hold.value,
            everything=self.blocks is Reach.EVERYTHING,
            own_channel=self.blocks is Reach.OWN_CHANNEL,
            days=self.days,
        )


def _closed_days(row: RuleRow, channels: list[ContactChannel], closed: ClosedRow) -> ClosedDays:
    order = list(Weekday)
    return ClosedDays(
        **row.common(),
        channels=frozenset(channels),
        weekdays=frozenset(order.index(day) for day in closed.weekdays),
        calendars=frozenset(closed.holidays),
    )
