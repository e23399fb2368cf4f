"""The facts of a legal referral, beside those every contact has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from arrears.engine.money import Money
from arrears.rendering.context import ChronologyLine, StatementLine


@dataclass(frozen=True, slots=True)
class IndexLine:
    """One member of the pack: its path in the zip, its SHA-256 in hex, its size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class ApprovalLine:
    """Who approved, when (ISO 8601 UTC), and what was owed then if that was written down."""

    by: str
    at: str
    balance: Money | None


@dataclass(frozen=True, slots=True)
class LimitationLine:
    """The limitation period: `ends` is the first day on which the claim is time-barred.

    `because`: what happened on `counted_from`. `verified`: sources agree on the period.
    """

    rule: str
    years: int
    source: str
    verified: bool
    counted_from: date
    because: str
    ends: date
    days_left: int


@dataclass(frozen=True, slots=True)
class ItemLine:
    """What makes up the balance: `owed` at the end of `since`, which was `since_what`, and what came after.

    `received` is the money that came in, `payments` the same as it changes the balance.
    """

    since: date
    since_what: str
    owed: Money
    interest: Money
    fees: Money
    received: Money
    payments: Money
    credits: Money
    total: Money


@dataclass(frozen=True, slots=True)
class TitleLine:
    """One sale of the debt, and the reference of the document that shows it."""

    seller: str
    buyer: str
    on: date
    reference: str


@dataclass(frozen=True, slots=True)
class GapLine:
    """A break in the chain of title: who last had the debt, and who is the next known owner."""

    buyer: str
    owner: str


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """A document of the lender that is enclosed: its path in the zip and its digest."""

    title: str
    reference: str
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class NeedLine:
    """A document that must be there and is not."""

    title: str
    source: str


@dataclass(frozen=True, slots=True)
class AskLine:
    """What the law wants the claim to say or show, where the pack has it, and whether the source was verified."""

    says: str
    found_in: str
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class NoticeLine:
    """A statutory notice: the day it was given, and the last day of the time that it set, if one is known."""

    on: date
    ends: date | None


@dataclass(frozen=True, slots=True)
class LetterLine:
    """A letter enclosed: its rung, the day it went, its path in the zip."""

    rung: str
    on: date | None
    name: str


@dataclass(frozen=True, slots=True)
class ReferralFacts:
    """What the templates under `legal/` may use beside the `ContactContext`.

    `statement_total` is the sum of the statement. `limitation` None: nobody has established it. `papers` are those of
    the pack besides cover sheet and index. `firm` is empty for
    the lender's own lawyers. `original_creditor` gave the credit; `title` has the sales since, `gaps` where they do
    not join. `last_payment` and the dates are None where they are not known. `to_follow` lists what must be there
    before suit and is not. `index` is empty except on the index page.
    """

    firm: str
    papers: tuple[str, ...]
    original_creditor: str
    opened_on: date | None
    charged_off_on: date | None
    last_payment_on: date | None
    last_payment: Money | None
    items: ItemLine
    statement: tuple[StatementLine, ...]
    statement_total: Money
    chronology: tuple[ChronologyLine, ...]
    approvals: tuple[ApprovalLine, ...]
    approvals_needed: int
    limitation: LimitationLine | None
    title: tuple[TitleLine, ...]
    gaps: tuple[GapLine, ...]
    documents: tuple[DocumentLine, ...]
    to_follow: tuple[NeedLine, ...]
    asks: tuple[AskLine, ...]
    letters: tuple[LetterLine, ...]
    default_notice: NoticeLine | None
    letter_of_claim: NoticeLine | None
    index: tuple[IndexLine, ...] = ()
