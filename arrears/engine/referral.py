"""What a legal referral must enclose, what it lacks, and who has owned the debt."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class DocumentKind(StrEnum):
    """Documents of the lender that only the lender has."""

    CARD_AGREEMENT = "card_agreement"
    APPLICATION = "application"
    STATEMENTS = "statements"
    CHARGE_OFF_STATEMENT = "charge_off_statement"
    BILL_OF_SALE = "bill_of_sale"
    DEFAULT_NOTICE = "default_notice"
    TERMINATION = "termination"
    ADDRESS_CHECK = "address_check"
    RECORDS_CERTIFICATE = "records_certificate"
    POWER_OF_ATTORNEY = "power_of_attorney"
    OTHER = "other"


class Needed(StrEnum):
    """When a referral must enclose a document: in every case, when the debt was sold, or when there is one."""

    ALWAYS = "always"
    IF_ASSIGNED = "if_assigned"
    IF_GIVEN = "if_given"


@dataclass(frozen=True, slots=True)
class DocumentNeed:
    """One document that the place's courts want to see; `instead`: kinds that do as well.

    `verified`: sources agree on what `source` says.
    """

    kind: DocumentKind
    title: str
    needed: Needed
    source: str
    verified: bool
    instead: tuple[DocumentKind, ...] = ()

    def met_by(self, given: Collection[str]) -> bool:
        """Whether one of the kinds `given` is it."""
        return any(kind in given for kind in (self.kind, *self.instead))


@dataclass(frozen=True, slots=True)
class Assignment:
    """The debt was sold by `seller` to `buyer` on a day, by the bill of sale known as `reference`."""

    seller: str
    buyer: str
    on: date
    reference: str


def lacking(needs: Iterable[DocumentNeed], given: Collection[str], *, assigned: bool) -> tuple[DocumentNeed, ...]:
    """The documents without which the referral must not leave."""
    wanted = (Needed.ALWAYS, Needed.IF_ASSIGNED) if assigned else (Needed.ALWAYS,)
    return tuple(need for need in needs if need.needed in wanted and not need.met_by(given))


def chain_of_title(sales: Iterable[Assignment]) -> tuple[Assignment, ...]:
    """The sales in the order of their days."""
    return tuple(sorted(sales, key=lambda sale: (sale.on, sale.reference)))


def breaks(chain: Sequence[Assignment], claimant: str) -> tuple[tuple[str, str], ...]:
    """Where the chain is broken: who last had the debt, and who is the next known to have had it."""
    buyers = [sale.buyer for sale in chain]
    owners = [*(sale.seller for sale in chain[1:]), claimant] if chain else []
    return tuple((buyer, owner) for buyer, owner in zip(buyers, owners, strict=True) if _plain(buyer) != _plain(owner))


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold().rstrip(".")
