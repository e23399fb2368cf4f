"""The ladder: which rungs there are, when each is due, and what it needs before it may go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from enum import StrEnum
from functools import cached_property

from arrears.engine.money import Money
from arrears.engine.vocabulary import ChannelName, Disposition, Stage


class Late(StrEnum):
    """What becomes of a rung whose moment has passed because nobody was awake.

    skip: dropped once any later rung is due. merge: dropped once a later rung of its stage is due,
    which speaks for both. go: goes late, at the ladder's distances. ask: waits for a person's approval.
    """

    SKIP = "skip"
    MERGE = "merge"
    GO = "go"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class DaysPastDue:
    """Due `days` after the due date (due date = day 0), at local time `at`."""

    days: int
    at: time


@dataclass(frozen=True, slots=True)
class DaysAfter:
    """Due `days` after another rung was done, at local time `at`."""

    rung: str
    days: int
    at: time


Due = DaysPastDue | DaysAfter


@dataclass(frozen=True, slots=True)
class Attempts:
    """At most `most` attempts, each `days_apart` calendar days after the last."""

    most: int = 1
    days_apart: int = 1


@dataclass(frozen=True, slots=True)
class AfterDone:
    """Another rung must be done, at least `days` days ago."""

    rung: str
    days: int = 0


@dataclass(frozen=True, slots=True)
class ContactsWithoutPayment:
    """Collection failed repeatedly: this many contacts since the last payment."""

    least: int


@dataclass(frozen=True, slots=True)
class UnreachedCalls:
    """The holder is out of touch: this many call attempts and never a right-party contact, or no number left."""

    least: int


@dataclass(frozen=True, slots=True)
class BalanceAtLeast:
    """The balance is worth it. A currency that is not listed never is."""

    least: Mapping[str, Money]


@dataclass(frozen=True, slots=True)
class NotTimeBarred:
    """The limitation period has not run out; unknown counts as run out until a person says otherwise.

    A referral requires it whether its rung says so or not.
    """


@dataclass(frozen=True, slots=True)
class Approved:
    """As many named people as it needs have approved this rung for this case."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The placement that this rung made is over: refused, returned or recalled."""

    rung: str


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of several."""

    options: tuple[Requirement, ...]


Requirement = (
    AfterDone | ContactsWithoutPayment | UnreachedCalls | BalanceAtLeast | NotTimeBarred | Approved | Returned | AnyOf
)


@dataclass(frozen=True, slots=True)
class RecallTerms:
    """When an account is called back from its agency: days without a payment, days in which the agency may object,
    and days that an objection gives it. `on_hold`: a hold that stops everything calls it back at once.
    """

    without_result_days: int = 180
    objection_days: int = 5
    extension_days: int = 30
    on_hold: bool = True


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder; `until_dpd` is the day past due from which it is no longer made.

    `gives`: the statutory notice that this rung gives, such as `default_notice`. `threatens_suit`: from
    then on some places treat the creditor as a collector. `otherwise`: the letter that goes, once in a case, when
    the text cannot reach the holder; `stands_in_for`: the rung in whose place this letter goes. `firm`: the law firm
    that a referral is for; empty for the lender's own lawyers.
    """

    name: str
    stage: Stage
    channel: ChannelName
    template: str
    due: Due
    late: Late
    attempts: Attempts = Attempts()
    until_dpd: int | None = None
    ends_on: frozenset[Disposition] = frozenset()
    requires: tuple[Requirement, ...] = ()
    purpose: str = "payment_reminder"
    agencies: tuple[str, ...] = ()
    recall: RecallTerms = RecallTerms()
    gives: str = ""
    threatens_suit: bool = False
    otherwise: str = ""
    stands_in_for: str = ""
    firm: str = ""

    @property
    def takes_turns(self) -> bool:
        """Whether it waits for its turn among a person's accounts. What the law wants said waits for nobody."""
        return self.channel.reaches_the_holder and not self.gives


def stand_in_name(rung: str) -> str:
    """The name of the letter that goes when `rung` cannot reach the holder."""
    return f"letter-for-{rung}"


def with_stand_ins(rungs: Iterable[Rung]) -> tuple[Rung, ...]:
    """The rungs, each followed by the letter that goes when it cannot reach the holder, if it names one."""
    found: list[Rung] = []
    for rung in rungs:
        found.append(rung)
        if rung.otherwise:
            found.append(
                Rung(
                    name=stand_in_name(rung.name),
                    stage=rung.stage,
                    channel=ChannelName.LETTER,
                    template=rung.otherwise,
                    due=DaysAfter(rung.name, 0, rung.due.at),
                    late=Late.GO,
                    until_dpd=rung.until_dpd,
                    purpose=rung.purpose,
                    stands_in_for=rung.name,
                )
            )
    return tuple(found)


class Leftover(StrEnum):
    """What becomes of fees and interest when everything else is paid: a person decides, or they are waived."""

    ASK = "ask"
    WAIVE = "waive"


@dataclass(frozen=True, slots=True)
class Terms:
    """What promises and plans are worth. While one is open nothing goes out.

    `grace_days` after its day it is judged; further away than `furthest_days` none is taken. `after_broken`:
    the rung to go on with when one is broken, at once; empty: where the ladder stood.
    """

    grace_days: int = 2
    furthest_days: int = 45
    after_broken: str = ""
    leftover_charges: Leftover = Leftover.ASK


class Contacts(StrEnum):
    """What becomes of the contacts about several accounts of one person.

    each: every account goes its own way. space: one waits until `hours` after the last about another account.
    merge: one message tells about every account whose turn it is; what cannot be told together is spaced.
    """

    MERGE = "merge"
    SPACE = "space"
    EACH = "each"


@dataclass(frozen=True, slots=True)
class SeveralAccounts:
    """How a person with several accounts is contacted; `hours` lie between contacts about different accounts."""

    contacts: Contacts = Contacts.EACH
    hours: int = 20

    @property
    def apart(self) -> timedelta:
        """The least distance between contacts about different accounts."""
        return timedelta(hours=self.hours)


@dataclass(frozen=True)
class Ladder:
    """A named, versioned policy of rungs in order; `hours_between_contacts` holds across channels."""

    name: str
    version: int
    hours_between_contacts: int
    rungs: tuple[Rung, ...]
    description: str = ""
    terms: Terms = Terms()
    several: SeveralAccounts = SeveralAccounts()

    @cached_property
    def by_name(self) -> Mapping[str, Rung]:
        """Rungs by name."""
        return {rung.name: rung for rung in self.rungs}

    @property
    def id(self) -> str:
        """`card-standard@1`."""
        return f"{self.name}@{self.version}"
