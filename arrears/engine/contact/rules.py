"""The shapes contact rules come in. The numbers, sources and dates are data (`policies/contact-rules`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol

from arrears.engine.contact.facts import ContactChannel, Facts, Location, Proposal
from arrears.engine.vocabulary import Party


class HolidayCalendar(Protocol):
    """Whether a local calendar day is a public holiday."""

    def __contains__(self, day: object, /) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What every rule has: who and what it binds, from when to when, and where it is written.

    `purposes`: only contacts with one of these purposes (any, when empty); `except_purposes`: never these.
    `review_by`: the last day on which the rule may be relied upon without being read again.
    `more_than_dpd`: only debts past due for longer. `first_party_once_accelerated`: the creditor itself is
    bound only once it has accelerated the debt, charged it off, or taken or threatened suit. What is not
    known counts as so.
    """

    id: str
    applies_to: frozenset[Party]
    channels: frozenset[ContactChannel]
    strength: str
    source: str
    verified: bool
    effective_from: date | None = None
    effective_to: date | None = None
    review_by: date | None = None
    purposes: frozenset[str] = frozenset()
    except_purposes: frozenset[str] = frozenset()
    more_than_dpd: int | None = None
    first_party_once_accelerated: bool = False

    def in_force(self, day: date) -> bool:
        """Whether `day` lies in the rule's time; a rule that has no dates is always in force."""
        begun = self.effective_from is None or day >= self.effective_from
        return begun and (self.effective_to is None or day <= self.effective_to)

    def binds(self, proposal: Proposal) -> bool:
        """Whether the rule speaks of this contact at all, whatever the day."""
        return (
            proposal.actor in self.applies_to
            and proposal.channel in self.channels
            and (not self.purposes or proposal.purpose in self.purposes)
            and proposal.purpose not in self.except_purposes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(Rule):
    """Contact only within [opens, closes) local time, in every zone the person may be in."""

    opens: time
    closes: time


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedDays(Rule):
    """No contact on these weekdays (Monday = 0) nor on the named calendars' holidays."""

    weekdays: frozenset[int]
    calendars: frozenset[str]


class Span(StrEnum):
    """Over what a cap counts: the time just past, local calendar days, or the week.

    A week is counted from Monday and from Sunday: no law here says which, so both must have room.
    """

    ROLLING = "rolling"
    LOCAL_DAYS = "local_days"
    CALENDAR_WEEK = "calendar_week"


class Counts(StrEnum):
    """What a cap counts. Unanswered: attempts that reached nobody."""

    ATTEMPTS = "attempts"
    CONVERSATIONS = "conversations"
    UNANSWERED = "unanswered"


class Per(StrEnum):
    """Whose counter it is: one debt's, one person's over all debts, or one number's."""

    DEBT = "debt"
    PERSON = "person"
    NUMBER = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counting(Rule):
    """What caps and cooldowns share.

    `per_collector`: only contacts of the same party count. `uncounted`: outcomes of calls that are no
    attempts. `consent_days`: a call within so many days of the holder's consent, the day of consent
    included, is not counted and not stopped, until a conversation ends it.
    """

    per: Per = Per.PERSON
    per_collector: bool = False
    uncounted: frozenset[str] = frozenset()
    consent_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap(_Counting):
    """At most `most` contacts on all `channels` together within `length`; `location`: only there."""

    most: int
    span: Span
    length: timedelta
    counts: Counts = Counts.ATTEMPTS
    location: Location | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown(_Counting):
    """After a conversation, its day being the first, no contact for `days` days."""

    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRule(Rule):
    """A kind of hold and the channels it blocks.

    `everything`: the case stands still. `own_channel`: only the channel the hold names. `days`: a hold
    without an end lasts this many days. Contacts with an `except_purposes` purpose may be made all the same.
    `per`: it covers the one debt it was set for, or the person with all their debts.
    """

    kind: str
    everything: bool
    own_channel: bool
    days: int | None
    per: Per = Per.DEBT


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRule(Rule):
    """Needs the holder's consent for the channel, or that they used it within `or_used_within_days`.

    `safe_harbor`: the contact is lawful without it, but not protected: a caution, not a denial.
    """

    or_used_within_days: int = 0
    safe_harbor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRule(Rule):
    """A notice that must have gone out, and its time passed, before contacts on `channels`.

    The clock: `receipt_business_days` (on `calendar`) until it is taken as received, then
    `calendar_days`, all of which must have ended. `dpd`: when the ladder sends it by itself, if not
    counted back from what needs it. `template`: the letter that gives it; empty when somebody else does.
    `if_given`: nothing is waited for unless the notice is on record; whether it went out is for people.
    """

    notice: str
    calendar_days: int
    receipt_business_days: int = 0
    calendar: str = ""
    only_with_email: bool = False
    dpd: int | None = None
    template: str = ""
    if_given: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StageGate(Rule):
    """What must be so before placement or referral.

    `absent_holds` must not be in force. `approval`: a named person agrees. `limitation`: the claim is not
    time-barred. `asks`: questions only a person can answer, put to whoever approves.
    """

    absent_holds: frozenset[str] = frozenset()
    approval: bool = False
    limitation: bool = False
    asks: tuple[str, ...] = ()


class When(StrEnum):
    """In which communications words are required."""

    EVERY = "every"
    INITIAL = "initial"
    SUBSEQUENT = "subsequent"
    TIME_BARRED = "time_barred"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure(Rule):
    """Words that a text, letter or call must hold; `words` name the parts in `templates/words`."""

    when: When
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keywords(Rule):
    """Replies that stop, restart or explain texts, in capitals without punctuation.

    One confirmation of a stop may follow within `confirm_within`.
    """

    stop: frozenset[str]
    start: frozenset[str] = frozenset()
    help: frozenset[str] = frozenset()
    confirm_within: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention(Rule):
    """How long records of a kind are kept at least; `years` None: until `until` is so."""

    records: str
    years: int | None = None
    until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone(Rule):
    """Something that becomes so on a day past due without anybody being contacted."""

    milestone: str
    dpd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty(Rule):
    """A rule of conduct that people keep; the gate cannot judge it, but names it to whoever asks."""

    does: str


@dataclass(frozen=True, slots=True)
class Pack:
    """The rules of one jurisdiction, on top of those of `inherits`."""

    jurisdiction: str
    inherits: str | None
    name: str = ""
    windows: tuple[Window, ...] = ()
    closed_days: tuple[ClosedDays, ...] = ()
    caps: tuple[Cap, ...] = ()
    cooldowns: tuple[Cooldown, ...] = ()
    holds: tuple[HoldRule, ...] = ()
    consents: tuple[ConsentRule, ...] = ()
    notices: tuple[NoticeRule, ...] = ()
    stage_gates: tuple[StageGate, ...] = ()
    disclosures: tuple[Disclosure, ...] = ()
    keywords: tuple[Keywords, ...] = ()
    retention: tuple[Retention, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    duties: tuple[Duty, ...] = ()

    @classmethod
    def of(cls, jurisdiction: str, rules: Collection[Rule], *, inherits: str | None = None, name: str = "") -> Pack:
        """The pack of these rules, each in the section of its shape."""
        sections: dict[str, Any] = {
            section: tuple(rule for rule in rules if isinstance(rule, shape)) for section, shape in _SECTIONS.items()
        }
        return cls(jurisdiction, inherits, name, **sections)

    def rules(self) -> Iterator[Rule]:
        """Every rule of the pack, in the order of the sections."""
        yield from self.judged()
        yield from self.holds
        yield from self.disclosures
        yield from self.keywords
        yield from self.retention
        yield from self.milestones
        yield from self.duties

    def judged(self) -> Iterator[Rule]:
        """The rules the gate asks about a contact, besides holds."""
        yield from self.windows
        yield from self.closed_days
        yield from self.caps
        yield from self.cooldowns
        yield from self.consents
        yield from self.notices
        yield from self.stage_gates


_SECTIONS: Mapping[str, type[Rule]] = {
    "windows": Window,
    "closed_days": ClosedDays,
    "caps": Cap,
    "cooldowns": Cooldown,
    "holds": HoldRule,
    "consents": ConsentRule,
    "notices": NoticeRule,
    "stage_gates": StageGate,
    "disclosures": Disclosure,
    "keywords": Keywords,
    "retention": Retention,
    "milestones": Milestone,
    "duties": Duty,
}


@dataclass(frozen=True, slots=True)
class Docket:
    """The rules that speak of one kind of contact on one day, sorted by shape.

    `unsettled`: rules not yet in force or past their review. `unknown`: places without any rules;
    `unreviewed`: subdivisions judged by their country's rules alone.
    """

    ids: tuple[str, ...]
    windows: tuple[Window, ...]
    closed_days: tuple[ClosedDays, ...]
    caps: tuple[Cap, ...]
    cooldowns: tuple[Cooldown, ...]
    consents: tuple[ConsentRule, ...]
    notices: tuple[NoticeRule, ...]
    stage_gates: tuple[StageGate, ...]
    unsettled: tuple[str, ...]
    unknown: tuple[str, ...]
    unreviewed: tuple[str, ...]

    @property
    def counts_days(self) -> bool:
        """Whether a local clock or calendar is needed to judge."""
        return bool(
            self.windows
            or self.closed_days
            or self.cooldowns
            or any(cap.span is not Span.ROLLING for cap in self.caps)
            or any(cap.consent_days for cap in self.caps)
        )


_DocketKey = tuple[tuple[str, ...], ContactChannel, Party, str, Location, date, bool, tuple[bool, ...]]
_MOST_DOCKETS = 50_000


@dataclass(frozen=True)
class Rulebook:
    """All packs; `version` identifies their exact content. `HOUSE` holds the lender's own policies.

    `fail_closed`: a subdivision without rules of its own goes to a person instead of its country's rules.
    """

    version: str
    packs: Mapping[str, Pack]
    calendars: Mapping[str, HolidayCalendar]
    fail_closed: bool = False
    _dockets: dict[_DocketKey, Docket] = field(default_factory=dict[_DocketKey, Docket], compare=False, repr=False)
    _matching: dict[tuple[str, ...], tuple[Pack, ...]] = field(
        default_factory=dict[tuple[str, ...], tuple[Pack, ...]], compare=False, repr=False
    )

    def matching(self, jurisdictions: tuple[str, ...]) -> tuple[Pack, ...]:
        """Every pack that may apply, house policies last. A subdivision falls back to its country's."""
        packs = self._matching.get(jurisdictions)
        if packs is None:
            if len(self._matching) >= _MOST_DOCKETS:
                self._matching.clear()
            found = {pack.jurisdiction: pack for place in jurisdictions for pack in self._chain(place)}
            house = self.packs.get(HOUSE)
            packs = self._matching[jurisdictions] = (*found.values(), house) if house else tuple(found.values())
        return packs

    def docket(self, proposal: Proposal, facts: Facts, day: date) -> Docket:
        """The rules that bind `proposal` on `day`, put together once for all contacts of the kind."""
        accelerated, dpd = facts.accelerated is not False, facts.days_past_due
        long_due = tuple(dpd is None or dpd > mark for mark in self._dpd_marks)
        key = (
            facts.jurisdictions,
            proposal.channel,
            proposal.actor,
            proposal.purpose,
            proposal.location,
            day,
            accelerated,
            long_due,
        )
        docket = self._dockets.get(key)
        if docket is None:
            if len(self._dockets) >= _MOST_DOCKETS:
                self._dockets.clear()
            docket = self._dockets[key] = self._put_together(proposal, facts, day)
        return docket

    @cached_property
    def days_of_memory(self) -> int:
        """How far back contacts can matter to any rule, in days, with a margin for zones and weeks."""
        spans = [
            days
            for pack in self.packs.values()
            for days in (
                *(cap.length.days + 7 for cap in pack.caps),
                *(rule.days for rule in pack.cooldowns),
                *(rule.or_used_within_days for rule in pack.consents),
            )
        ]
        return max(spans, default=0) + 2

    @cached_property
    def _dpd_marks(self) -> tuple[int, ...]:
        marks = {rule.more_than_dpd for pack in self.packs.values() for rule in pack.judged()}
        return tuple(sorted(mark for mark in marks if mark is not None))

    def milestones(self, jurisdictions: tuple[str, ...]) -> tuple[Milestone, ...]:
        """What becomes so by itself where these places' rules hold, the earliest first."""
        found = {rule.id: rule for pack in self.matching(jurisdictions) for rule in pack.milestones}
        return tuple(sorted(found.values(), key=lambda rule: rule.dpd))

    def rule(self, rule_id: str) -> tuple[Pack, Rule] | None:
        """The rule with this id and the pack it stands in."""
        return next(((pack, r) for pack in self.packs.values() for r in pack.rules() if r.id == rule_id), None)

    def _put_together(self, proposal: Proposal, facts: Facts, day: date) -> Docket:
        jurisdictions = facts.jurisdictions
        packs = self.matching(jurisdictions)
        bound = [
            rule
            for pack in packs
            for rule in pack.judged()
            if rule.binds(proposal)
            and concerns(rule, proposal.actor, facts)
            and (rule.effective_to is None or day <= rule.effective_to)
            and not (isinstance(rule, Cap) and rule.location not in (None, proposal.location))
        ]
        unsettled = [r.id for r in bound if not r.in_force(day) or (r.review_by and day > r.review_by)]
        ids = dict.fromkeys(rule.id for rule in bound)
        unknown = [place for place in jurisdictions if not any(self._chain(place))]
        unreviewed = [place for place in jurisdictions if place not in self.packs and place not in unknown]
        if self.fail_closed:
            unknown, unreviewed = unknown + unreviewed, []
        return Docket(
            ids=tuple(ids),
            windows=tuple(r for r in bound if isinstance(r, Window)),
            closed_days=tuple(r for r in bound if isinstance(r, ClosedDays)),
            caps=tuple(r for r in bound if isinstance(r, Cap)),
            cooldowns=tuple(r for r in bound if isinstance(r, Cooldown)),
            consents=tuple(r for r in bound if isinstance(r, ConsentRule)),
            notices=tuple(r for r in bound if isinstance(r, NoticeRule)),
            stage_gates=tuple(r for r in bound if isinstance(r, StageGate)),
            unsettled=tuple(dict.fromkeys(unsettled)),
            unknown=tuple(unknown) if jurisdictions else ("no jurisdiction",),
            unreviewed=tuple(unreviewed),
        )

    def _chain(self, place: str) -> Iterator[Pack]:
        name: str | None = None if place == HOUSE else place
        while name:
            pack = self.packs.get(name)
            if pack is not None:
                yield pack
                name = pack.inherits
            else:
                name = name.rpartition("-")[0] or None


HOUSE = "HOUSE"


def concerns(rule: Rule, actor: Party, facts: Facts) -> bool:
    """Whether the rule is about a debt like this one; what is not known counts as so."""
    if rule.more_than_dpd is not None and facts.days_past_due is not None and facts.days_past_due <= rule.more_than_dpd:
        return False
    return not (rule.first_party_once_accelerated and actor is Party.FIRST and facts.accelerated is False)


def is_closed(rule: ClosedDays, day: date, calendars: Mapping[str, HolidayCalendar]) -> bool:
    """Whether `rule` closes `day` (local). A calendar that is not loaded is an error at load, not here."""
    return day.weekday() in rule.weekdays or any(day in calendars[name] for name in rule.calendars)
