"""The firms that accounts and files are handed to: what each takes, in which layout, under which key, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from math import log
from typing import Final

from arrears.engine.commission import Commission
from arrears.engine.money import Money


class PartnerKind(StrEnum):
    """What a partner does for the bank."""

    AGENCY = "agency"
    LAW_FIRM = "law_firm"
    PRINT_HOUSE = "print_house"


class Layout(StrEnum):
    """How the lines of a placement file are laid out."""

    ARREARS_CSV = "arrears-csv"
    LATITUDE_AIM = "latitude-aim"
    YGC = "ygc"

    @property
    def currency(self) -> str | None:
        """The one currency that amounts are in, where the layout has no field for it; None where it has."""
        return None if self is Layout.ARREARS_CSV else "USD"

    @property
    def numbers_placements(self) -> bool:
        """Placements are known by a number, not by our reference."""
        return self is not Layout.ARREARS_CSV

    @property
    def may_grow(self) -> bool:
        """The reader takes a file that came before and has grown: it knows rows that it already has."""
        return self is Layout.ARREARS_CSV


@dataclass(frozen=True, slots=True)
class AgeKey:
    """A recipient of age, `age1…`."""

    recipient: str


@dataclass(frozen=True, slots=True)
class OpenPgpKey:
    """An OpenPGP certificate, armored or binary, as it was read; `expires` is None for one that never does."""

    certificate: bytes = field(repr=False)
    fingerprint: str
    expires: datetime | None = None


PublicKey = AgeKey | OpenPgpKey


@dataclass(frozen=True, slots=True)
class HandOff:
    """The folders the partner shares with us, each an fsspec URL without secrets; empty where there is none.

    `to`: where our files go; `since`: files of days before stay here. `takes_from`: where the partner leaves its own.
    """

    to: str = ""
    takes_from: str = ""
    since: date | None = None


@dataclass(frozen=True, slots=True)
class Codes:
    """What the field's layouts call us, the partner and the reasons for a recall, by agreement with the partner."""

    ours: str = ""
    theirs: str = ""
    recall: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Takes:
    """Which accounts a partner works; an empty set, an unlisted currency and None set no limit.

    `regions` are written `US-NY`. Balances are in minor units by currency, both ends included, and so are the days
    past due.
    """

    countries: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    least_balance: Mapping[str, int] = field(default_factory=dict[str, int])
    most_balance: Mapping[str, int] = field(default_factory=dict[str, int])
    least_dpd: int | None = None
    most_dpd: int | None = None


@dataclass(frozen=True, slots=True)
class Partner:
    """One agency, law firm or print house.

    `share` weighs it against others that may have the account. `capacity`: how many accounts it works at a time;
    None for any number. `never_again`: it does not get an account back that it had in the same case.
    `commission`: what it keeps of what it collects; None where its file does not say. `answers_within`: days after
    which a placement without an acknowledgement, or a final recall without a return, is for a person to ask about.
    """

    name: str
    kind: PartnerKind = PartnerKind.AGENCY
    layout: Layout = Layout.ARREARS_CSV
    takes: Takes = Takes()
    share: int = 1
    capacity: int | None = None
    never_again: bool = True
    key: PublicKey | None = None
    hand_off: HandOff = HandOff()
    codes: Codes = Codes()
    commission: Commission | None = None
    answers_within: int | None = None


@dataclass(frozen=True)
class Partners:
    """Every partner with a file of its own."""

    by_name: Mapping[str, Partner] = field(default_factory=dict[str, Partner])

    def named(self, name: str) -> Partner:
        """The partner's file; what goes for an agency that is only named in a ladder, where there is none."""
        return self.by_name.get(name) or Partner(name, never_again=False)

    def of_kind(self, kind: PartnerKind) -> tuple[Partner, ...]:
        """The partners of one kind, by name."""
        return tuple(each for _, each in sorted(self.by_name.items()) if each.kind is kind)


NO_PARTNERS: Final = Partners()


@dataclass(frozen=True, slots=True)
class Offered:
    """The account that is to be placed. `had_by`: who has had it in this case."""

    case_id: str
    country: str
    region: str
    balance: Money
    days_past_due: int
    had_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Choice:
    """Who gets the account, None for nobody; `against`: why each of the others cannot have it."""

    partner: str | None
    among: tuple[str, ...]
    against: Mapping[str, str] = field(default_factory=dict[str, str])

    def in_words(self) -> str:
        """`southbank of northside, southbank; northside: takes no account in US-NJ`."""
        reasons = "".join(f"; {name}: {reason}" for name, reason in self.against.items())
        return f"{self.partner or 'nobody'} of {', '.join(self.among)}{reasons}"


def choose(offered: Offered, candidates: Sequence[Partner], working: Mapping[str, int]) -> Choice:
    """The partner that gets the account. `working`: how many accounts each partner works now.

    Among those that may have it, each gets its share in the long run, and the same case the same partner however
    often it is asked: a hash of case and partner is weighed by the share, so that a partner more or less moves no
    account between the others (weighted rendezvous hashing).
    """
    against = {each.name: why for each in candidates if (why := _why_not(each, offered, working.get(each.name, 0)))}
    able = [each for each in candidates if each.name not in against]
    chosen = max(able, key=lambda each: (_weight(each, offered.case_id), each.name), default=None)
    return Choice(chosen.name if chosen else None, tuple(each.name for each in candidates), against)


def _weight(partner: Partner, case_id: str) -> float:
    drawn = int.from_bytes(sha256(f"{case_id}/{partner.name}".encode()).digest()[:8])
    return -partner.share / log((drawn + 0.5) / 2**64)


def _why_not(partner: Partner, offered: Offered, working: int) -> str:
    """Why the partner cannot have the account; empty when it can."""
    takes, balance = partner.takes, offered.balance
    region = f"{offered.country}-{offered.region.removeprefix(f'{offered.country}-')}"
    least, most = takes.least_balance.get(balance.currency), takes.most_balance.get(balance.currency)
    if partner.kind is PartnerKind.PRINT_HOUSE:
        return "prints, and works no accounts"
    if partner.never_again and partner.name in offered.had_by:
        return "has had the account in this case"
    if takes.countries and offered.country not in takes.countries:
        return f"takes no account in {offered.country}"
    if takes.regions and region not in takes.regions:
        return f"takes no account in {region}"
    if partner.layout.currency not in (None, balance.currency):
        return f"its layout {partner.layout} has no field for {balance.currency}"
    if least is not None and balance.amount < least:
        return f"takes no balance below {Money(least, balance.currency).decimal_text()} {balance.currency}"
    if most is not None and balance.amount > most:
        return f"takes no balance above {Money(most, balance.currency).decimal_text()} {balance.currency}"
    if takes.least_dpd is not None and offered.days_past_due < takes.least_dpd:
        return f"takes no account before {takes.least_dpd} days past due"
    if takes.most_dpd is not None and offered.days_past_due > takes.most_dpd:
        return f"takes no account after {takes.most_dpd} days past due"
    if partner.capacity is not None and working >= partner.capacity:
        return f"works {working} accounts and has room for {partner.capacity}"
    return ""
