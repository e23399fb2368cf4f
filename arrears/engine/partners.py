"""The firms that accounts and files are handed to: what each takes, in which layout, under which key, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final

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
    `commission`: what its file says, as plain values.
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
    commission: Mapping[str, object] = field(default_factory=dict[str, object])


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
