"""Outside facts about an account, in the order in which they happened, whatever the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from arrears.engine.vocabulary import ReturnReason


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeEvent:
    """Something that happened at `at` (UTC). `key` is its name for good: the same key is the same event.

    Amounts are minor units of the account's currency. `seq` counts up as events become known: of two that
    happened at the same instant, as they do while a virtual clock stands, it says which was told first.
    """

    key: str
    at: datetime
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment(LifeEvent):
    """Money received."""

    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal(LifeEvent):
    """A payment, or `amount` of it, taken back: returned, charged back. `of` is the payment's key."""

    of: str
    amount: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge(LifeEvent):
    """A fee or interest, owed at once."""

    kind: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment(LifeEvent):
    """A correction of what is owed: below zero it is owed less, as if paid, above zero more."""

    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed(LifeEvent):
    """A further amount falls due on `due_on`; `balance` is the whole balance as the lender has it at `at`."""

    due_on: date
    amount: int
    balance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Residue(LifeEvent):
    """What a person decided about charges left when the rest was paid: `waive` them, or go on for them."""

    waive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise(LifeEvent):
    """The holder's word to pay `amount` by the end of `due_on`. A later one takes its place."""

    amount: int
    due_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Instalment:
    """One part of a plan."""

    due_on: date
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(LifeEvent):
    """Instalments agreed upon, in order of their dates; more misses than allowed breach it."""

    instalments: tuple[Instalment, ...]
    misses_allowed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn(LifeEvent):
    """A promise or plan (its key) that no longer counts: made in error, or ended by agreement."""

    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberChecked(LifeEvent):
    """Whether the holder can be reached at `number` (E.164), as a call or a message showed."""

    number: str
    good: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Untextable(LifeEvent):
    """Texts do not reach the holder at `number` (E.164): a landline, or blocked. Calls may."""

    number: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailReturned(LifeEvent):
    """The post brought a letter back. `address`: where it went, as `one_line` writes it; `why`: a ReturnReason."""

    letter: str
    address: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFound(LifeEvent):
    """Where the holder gets mail, from `at` on; `why`: how it is known. `country` is ISO 3166-1 alpha-2."""

    street: str
    city: str
    region: str
    postal_code: str
    country: str
    why: str = ""

    @property
    def address(self) -> str:
        """In one line, to tell it from others."""
        return one_line(self.street, self.city, self.region, self.postal_code, self.country)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldSet(LifeEvent):
    """A reason not to collect, from `at` until `until` (open-ended when None), for all channels or for one.

    `number`: for an opt-out, the number it was said from. `evidence`: where it is written. On `review_on` a
    person looks whether it still stands.
    """

    kind: str
    channel: str | None = None
    until: datetime | None = None
    number: str = ""
    evidence: str = ""
    review_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased(LifeEvent):
    """Every hold of `kind` that was set for the account before is over."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentGiven(LifeEvent):
    """The holder's yes to `channel`: it ends the opt-outs from it that the person or their number made before."""

    channel: str
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRevoked(LifeEvent):
    """The holder's no to `channels`, for all their accounts; `how` says by what means, `number` from where."""

    channels: tuple[str, ...]
    how: str = ""
    number: str = ""


RESTRICTIONS: Final = (HoldSet, HoldReleased, ConsentGiven, ConsentRevoked)


def bad_numbers(events: Iterable[LifeEvent]) -> frozenset[str]:
    """Numbers at which the holder cannot be reached; of several words on one, the last counts."""
    last = {event.number: event.good for event in in_order(events) if isinstance(event, NumberChecked)}
    return frozenset(number for number, good in last.items() if not good)


def untextable_numbers(events: Iterable[LifeEvent]) -> frozenset[str]:
    """Numbers at which the holder gets no texts; a later word that the number is good gives it another chance."""
    last = {e.number: e for e in in_order(events) if isinstance(e, Untextable | NumberChecked)}
    return frozenset(number for number, event in last.items() if isinstance(event, Untextable))


def bad_addresses(events: Iterable[LifeEvent]) -> frozenset[str]:
    """Addresses, in one line, from which mail comes back; of several words on one, the last counts.

    Mail that was refused, or not collected, says nothing about the address.
    """
    bad: dict[str, bool] = {}
    for event in in_order(events):
        match event:
            case MailReturned(address=address, why=why) if ReturnReason(why).spoils_the_address:
                bad[address] = True
            case AddressFound():
                bad[event.address] = False
            case _:
                pass
    return frozenset(address for address, is_bad in bad.items() if is_bad)


def one_line(*parts: str) -> str:
    """An address to compare by, without regard to capitals, commas and spaces.

    `parts`: street, city, region, postal code and country.
    """
    return "|".join(" ".join(part.replace(",", " ").split()).casefold() for part in parts)


def in_order(events: Iterable[LifeEvent]) -> list[LifeEvent]:
    """As they happened; of one instant, as they were told."""
    return sorted(events, key=lambda event: (event.at, event.seq, event.key))
