"""The blocks of a contact-rules file, and the engine's shapes they stand for."""

from __future__ import annotations

import re
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Self, TypedDict, cast

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from arrears.engine.contact.facts import ContactChannel, Location
from arrears.engine.contact.rules import (
    Cap,
    ClosedDays,
    ConsentRule,
    Cooldown,
    Counts,
    Disclosure,
    Duty,
    HoldRule,
    Keywords,
    Milestone,
    NoticeRule,
    Per,
    Retention,
    Rule,
    Span,
    StageGate,
    When,
    Window,
)
from arrears.engine.vocabulary import Party
from arrears.policies.calendars import CALENDAR_NAMES
from arrears.policies.check import Row
from arrears.policies.fields import ClockTime, Text, Word, matching, one_of, wrong_block, wrong_value
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


def _most(value: object) -> object:
    if isinstance(value, dict):
        each = cast(dict[object, object], value)
        return {_blocked_channel(word): _a_count(count) for word, count in each.items()}
    return _a_count(value)


def _a_count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000:
        return value
    raise wrong_value(f"{value!r} is no number of contacts; expected 1 to 1000")


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
    effective_from: date | None
    effective_to: date | None
    review_by: date | None
    purposes: frozenset[str]
    except_purposes: frozenset[str]
    more_than_dpd: int | None
    first_party_once_accelerated: bool


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
    effective_to: date | None = None
    review_by: date | None = None
    purposes: Annotated[list[Word], Field(default_factory=list)]
    except_purposes: Annotated[list[Word], Field(default_factory=list)]
    more_than_dpd: Annotated[int, Field(ge=1, le=3650)] | None = None
    first_party_once_accelerated: bool = False

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.effective_from and self.effective_to and self.effective_to < self.effective_from:
            raise wrong_block(f"effective_to {self.effective_to} is before effective_from {self.effective_from}")
        return self

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
            "effective_from": self.effective_from,
            "effective_to": self.effective_to,
            "review_by": self.review_by,
            "purposes": frozenset(self.purposes),
            "except_purposes": frozenset(self.except_purposes),
            "more_than_dpd": self.more_than_dpd,
            "first_party_once_accelerated": self.first_party_once_accelerated,
        }

    def rules(self) -> tuple[Rule, ...]:
        """The engine's shapes this row stands for, all under its id."""
        raise NotImplementedError


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

    def rules(self) -> tuple[Rule, ...]:
        return (_closed_days(self, self.channels, self.closed),)


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

    def rules(self) -> tuple[Rule, ...]:
        window = Window(**self.common(), channels=frozenset(self.channels), opens=self.opens, closes=self.closes)
        return (window, _closed_days(self, self.channels, self.closed)) if self.closed else (window,)


class SpanRow(Row):
    """Over what a cap counts: one of `{days: 7}`, `{hours: 24}`, `{local_days: 1}`, `{calendar_weeks: 1}`."""

    days: Annotated[int, Field(ge=1, le=366)] | None = None
    hours: Annotated[int, Field(ge=1, le=8784)] | None = None
    local_days: Annotated[int, Field(ge=1, le=366)] | None = None
    calendar_weeks: Annotated[int, Field(ge=1, le=1)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if sum(value is not None for value in (self.days, self.hours, self.local_days, self.calendar_weeks)) != 1:
            raise wrong_block("within needs exactly one of days, hours, local_days or calendar_weeks")
        return self

    def span(self) -> tuple[Span, timedelta]:
        """The engine's words for it."""
        if self.local_days:
            return Span.LOCAL_DAYS, timedelta(days=self.local_days)
        if self.calendar_weeks:
            return Span.CALENDAR_WEEK, timedelta(weeks=self.calendar_weeks)
        return Span.ROLLING, timedelta(days=self.days or 0, hours=self.hours or 0)


class _CountingRow(RuleRow):
    channels: Channels
    per: Annotated[Per, one_of(Per, "counter")]
    per_collector: bool = False


class CapRow(_CountingRow):
    """At most so many contacts. `most` is one number for all channels together, or one for each."""

    most: Annotated[int | dict[ChannelWord, int], BeforeValidator(_most)]
    within: SpanRow
    counts: Annotated[Counts, one_of(Counts, "thing to count")] = Counts.ATTEMPTS
    location: Annotated[Location | None, one_of(Location, "location")] = None

    @model_validator(mode="after")
    def _a_number_for_each(self) -> Self:
        if isinstance(self.most, dict) and set(self.most) != set(self.channels):
            raise wrong_block("most must give a number for every channel of the rule, and for no other")
        return self

    def rules(self) -> tuple[Rule, ...]:
        span, length = self.within.span()
        each = self.most if isinstance(self.most, dict) else {None: self.most}
        return tuple(
            Cap(
                **self.common(),
                channels=frozenset(self.channels if channel is None else [channel]),
                per=self.per,
                per_collector=self.per_collector,
                most=most,
                span=span,
                length=length,
                counts=self.counts,
                location=self.location,
            )
            for channel, most in each.items()
        )


class CooldownRow(_CountingRow):
    """After a conversation, nothing for so many days, the day of the conversation being the first."""

    days: Annotated[int, Field(ge=1, le=366)]

    def rules(self) -> tuple[Rule, ...]:
        return (
            Cooldown(
                **self.common(),
                channels=frozenset(self.channels),
                per=self.per,
                per_collector=self.per_collector,
                days=self.days,
            ),
        )


class CountingRow(RuleRow):
    """What caps and cooldowns leave uncounted.

    `of`: the ids it qualifies; all caps and cooldowns of all files, when left out of the house's own.
    """

    of: Annotated[list[RuleId], Field(default_factory=list)]
    uncounted: Annotated[list[Word], Field(default_factory=list)]
    consent_days: Annotated[int, Field(ge=0, le=366)] = 0

    def rules(self) -> tuple[Rule, ...]:
        return ()


class ConsentRow(RuleRow):
    """The holder's consent to a channel; `safe_harbor`: without it lawful, but unprotected."""

    channels: Channels
    or_used_within_days: Annotated[int, Field(ge=0, le=3660)] = 0
    safe_harbor: bool = False

    def rules(self) -> tuple[Rule, ...]:
        return (
            ConsentRule(
                **self.common(),
                channels=frozenset(self.channels),
                or_used_within_days=self.or_used_within_days,
                safe_harbor=self.safe_harbor,
            ),
        )


class NoticeRow(RuleRow):
    """A notice that must precede placement or referral, and its clock."""

    notice: Word
    before: Annotated[list[Annotated[ContactChannel, one_of(ContactChannel, "channel")]], Field(min_length=1)]
    calendar_days: Annotated[int, Field(ge=0, le=366)] = 0
    receipt_business_days: Annotated[int, Field(ge=0, le=60)] = 0
    calendar: Annotated[str, BeforeValidator(_calendar_name)] = ""
    only_with_email: bool = False
    dpd: Annotated[int, Field(ge=1, le=3660)] | None = None
    template: str = ""
    if_given: bool = False

    @model_validator(mode="after")
    def _somebody_gives_it(self) -> Self:
        if not self.template and not self.if_given:
            raise wrong_block("needs a template that gives the notice, or if_given: true when somebody else does")
        return self

    def rules(self) -> tuple[Rule, ...]:
        return (
            NoticeRule(
                **self.common(),
                channels=frozenset(self.before),
                notice=self.notice,
                calendar_days=self.calendar_days,
                receipt_business_days=self.receipt_business_days,
                calendar=self.calendar,
                only_with_email=self.only_with_email,
                dpd=self.dpd,
                template=self.template,
                if_given=self.if_given,
            ),
        )


class Need(StrEnum):
    """What a stage gate can need besides the absence of holds."""

    APPROVAL = "approval"
    CLAIM_NOT_TIME_BARRED = "claim_not_time_barred"


class StageGateRow(RuleRow):
    """What must be so before placement or referral."""

    before: Annotated[list[Annotated[ContactChannel, one_of(ContactChannel, "channel")]], Field(min_length=1)]
    absent_holds: Annotated[list[Annotated[HoldKind, one_of(HoldKind, "kind of hold")]], Field(default_factory=list)]
    needs: Annotated[list[Annotated[Need, one_of(Need, "need")]], Field(default_factory=list)]
    asks: Annotated[list[Text], Field(default_factory=list)]

    def rules(self) -> tuple[Rule, ...]:
        return (
            StageGate(
                **self.common(),
                channels=frozenset(self.before),
                absent_holds=frozenset(kind.value for kind in self.absent_holds),
                approval=Need.APPROVAL in self.needs,
                limitation=Need.CLAIM_NOT_TIME_BARRED in self.needs,
                asks=tuple(self.asks),
            ),
        )


class DisclosureRow(RuleRow):
    """Words a message must hold; each names a part in `templates/words`."""

    channels: Channels
    when: Annotated[When, one_of(When, "occasion")]
    words: Annotated[list[Word], Field(min_length=1)]

    def rules(self) -> tuple[Rule, ...]:
        return (
            Disclosure(**self.common(), channels=frozenset(self.channels), when=self.when, words=tuple(self.words)),
        )


Keyword = Annotated[
    str,
    matching(re.compile(r"[^\W_a-z]+( [^\W_a-z]+)*"), "keyword", "one in capitals, no punctuation, such as STOP ALL"),
]


class KeywordsRow(RuleRow):
    """Replies by text that stop, restart or explain."""

    channels: Channels
    stop: Annotated[list[Keyword], Field(min_length=1)]
    start: Annotated[list[Keyword], Field(default_factory=list)]
    help: Annotated[list[Keyword], Field(default_factory=list)]
    confirm_within_minutes: Annotated[int, Field(ge=1, le=60)] | None = None

    def rules(self) -> tuple[Rule, ...]:
        minutes = self.confirm_within_minutes
        return (
            Keywords(
                **self.common(),
                channels=frozenset(self.channels),
                stop=frozenset(self.stop),
                start=frozenset(self.start),
                help=frozenset(self.help),
                confirm_within=timedelta(minutes=minutes) if minutes else None,
            ),
        )


class RetentionRow(RuleRow):
    """How long records are kept: `years`, or `until` something is so."""

    records: Text
    years: Annotated[int, Field(ge=1, le=100)] | None = None
    until: str = ""

    @model_validator(mode="after")
    def _some_end(self) -> Self:
        if (self.years is None) == (not self.until):
            raise wrong_block("needs either years or until")
        return self

    def rules(self) -> tuple[Rule, ...]:
        every = frozenset(ContactChannel)
        return (Retention(**self.common(), channels=every, records=self.records, years=self.years, until=self.until),)


class MilestoneRow(RuleRow):
    """Something that becomes so on a day past due."""

    milestone: Word
    dpd: Annotated[int, Field(ge=1, le=3660)]

    def rules(self) -> tuple[Rule, ...]:
        return (Milestone(**self.common(), channels=frozenset(ContactChannel), milestone=self.milestone, dpd=self.dpd),)


class DutyRow(RuleRow):
    """A rule of conduct in one sentence. It has no shape the gate could judge: people keep it."""

    channels: Annotated[list[ChannelWord], Field(default_factory=lambda: list(ContactChannel))]
    does: Text

    def rules(self) -> tuple[Rule, ...]:
        return (Duty(**self.common(), channels=frozenset(self.channels), does=self.does),)


class HoldRow(RuleRow):
    """A kind of hold and what it blocks.

    `channels`: with `blocks: own_channel`, what is blocked when the hold names no channel. `days`: how
    long a hold without an end lasts. `per`: the debt it was set for, or the person with all their debts.
    """

    hold: Annotated[HoldKind, one_of(HoldKind, "kind of hold")]
    blocks: Blocks
    channels: Channels | None = None
    days: Annotated[int, Field(ge=1, le=3650)] | None = None
    per: Annotated[Per, one_of(Per, "reach of a hold", without=frozenset({Per.NUMBER}))] = Per.DEBT

    @model_validator(mode="after")
    def _channels_for_own_channel(self) -> Self:
        if (self.blocks is Reach.OWN_CHANNEL) != (self.channels is not None):
            raise wrong_block("channels belongs to blocks: own_channel, and only there")
        return self

    def rules(self) -> tuple[Rule, ...]:
        named = self.channels or (self.blocks if isinstance(self.blocks, tuple) else ContactChannel)
        return (
            HoldRule(
                **self.common(),
                channels=frozenset(named),
                kind=self.hold.value,
                everything=self.blocks is Reach.EVERYTHING,
                own_channel=self.blocks is Reach.OWN_CHANNEL,
                days=self.days,
                per=self.per,
            ),
        )


def _closed_days(row: RuleRow, channels: list[ContactChannel], closed: ClosedRow) -> ClosedDays:
    order = list(Weekday)
    return ClosedDays(
        **row.common(),
        channels=frozenset(channels),
        weekdays=frozenset(order.index(day) for day in closed.weekdays),
        calendars=frozenset(closed.holidays),
    )
