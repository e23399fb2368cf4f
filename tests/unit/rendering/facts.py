"""Facts for rendering tests: an account, a referral, and values that mean harm."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from hashlib import sha256
from typing import Any

from arrears.engine.money import Money
from arrears.rendering.catalog import Catalog
from arrears.rendering.context import Address, ChronologyLine, ContactContext, StatementLine
from arrears.rendering.pack import Enclosure, ReferralPack
from arrears.rendering.referral import (
    ApprovalLine,
    AskLine,
    DocumentLine,
    ItemLine,
    LetterLine,
    LimitationLine,
    NoticeLine,
    ReferralFacts,
)
from arrears.settings import ROOT

TEMPLATES = ROOT / "templates"

HOSTILE = [
    '#panic("boom")',
    '"]; #panic() [',
    '")#panic("x',
    "\\",
    '\\"',
    "\\u{41}",
    '#import "@preview/cetz:0.3.0": *',
    '#read("/etc/passwd")',
    "= Not a heading",
    "*not bold* _not slanted_",
    "$ x^2 $",
    "`raw` ```raw```",
    "// not a comment",
    "/* not a comment */",
    "<label> @reference",
    "https://evil.example/?a=1&b=2",
    "{{ creditor }}",
    "{% include 'x' %}",
    "{# gone #}",
    "<script>alert(1)</script> &amp;",
    "'; DROP TABLE accounts; --",
    "-- --- ... ~ 'quotes'",
    "#let x = 1; #x",
    "%s %(x)s {0} ${HOME}",
    "a]b[c)d(e}f{g",
]


def a_context(**changes: Any) -> ContactContext:
    """120.00 of 1,200.00 USD, 72 days past due on 23 December 2026, in New York."""
    context = ContactContext(
        account_id="A-1001",
        holder_name="Maria Gonzalez",
        address=Address("12 Main Street Apt 4", "Springfield", "NY", "10001", "US"),
        locale="en-US",
        creditor="Example Bank",
        creditor_phone="+1 800 555 0100",
        creditor_address="1 Harbor Plaza, Springfield, NY 10001",
        payment_url="https://pay.example.com",
        amount_due=Money(12_000, "USD"),
        balance=Money(120_000, "USD"),
        due_date=date(2026, 10, 12),
        days_past_due=72,
        today=date(2026, 12, 23),
        reference="7K3M9QXZ",
        rung="letter-1",
        attempt=1,
        agency="Northline Recovery",
        email="maria@example.com",
        respond_by=date(2027, 1, 27),
    )
    return replace(context, **changes)


def a_long_context() -> ContactContext:
    """Names and addresses longer than any form allows, one without a single space."""
    return a_context(
        holder_name="Wolfeschlegelsteinhausenbergerdorff" * 3 + " Bartholomew" * 10,
        address=Address("Long Street " * 12, "Llanfair" * 10, "NY", "10001", "CA"),
        creditor="The Most Honorable Savings and Loan Company of Springfield",
        creditor_address="1 Harbor Plaza " * 8,
        amount_due=Money(999_999_999_99, "USD"),
        balance=Money(9_999_999_999_99, "USD"),
    )


def a_hostile_context(value: str) -> ContactContext:
    """`value` in every field that a stranger may fill."""
    return a_context(
        holder_name=value, address=Address(value, value, value, value, "US"), agency=value, creditor_address=value
    )


LETTER = b"%PDF-1.7 the letter as it left"
AGREEMENT = b"%PDF-1.7 the agreement as the lender has it"
US_PAPERS = (
    "cover-sheet", "statement", "itemization", "chain-of-title", "pleading-checklist", "affidavit-draft", "chronology"
)  # fmt: skip


def usd(amount: int) -> Money:
    return Money(amount, "USD")


def referral_facts(**changes: Any) -> ReferralFacts:
    """A referral approved on 20 December 2026, with two statement lines, two steps and one document."""
    facts = ReferralFacts(
        firm="",
        papers=("statement", "chronology"),
        original_creditor="Example Bank",
        opened_on=date(2019, 3, 14),
        charged_off_on=None,
        last_payment_on=date(2026, 11, 2),
        last_payment=usd(15_000),
        items=ItemLine(
            since=date(2026, 10, 12),
            since_what="first missed due date",
            owed=usd(135_000),
            interest=usd(0),
            fees=usd(0),
            received=usd(15_000),
            payments=usd(-15_000),
            credits=usd(0),
            total=usd(120_000),
        ),
        statement=(
            StatementLine(date(2026, 10, 1), "opening", "", usd(135_000)),
            StatementLine(date(2026, 11, 2), "payment", "P-1", usd(-15_000)),
        ),
        statement_total=usd(120_000),
        chronology=(
            ChronologyLine("2026-10-14T14:05:00Z", "sms-1", 1, "sms", "done", "SM0123456789abcdef", ""),
            ChronologyLine("2026-12-01T15:00:00Z", "letter-1", 1, "letter", "done", "sha256:" + "ab" * 32, "none"),
        ),
        approvals=(ApprovalLine("Dana Whitfield", "2026-12-20T15:00:00Z", usd(120_000)),),
        approvals_needed=1,
        limitation=LimitationLine(
            rule="LIMITATION-US-NY",
            years=3,
            source="CPLR 214-i",
            verified=True,
            counted_from=date(2026, 10, 12),
            because="first missed due date",
            ends=date(2029, 10, 12),
            days_left=1024,
        ),
        title=(),
        gaps=(),
        documents=(
            DocumentLine(
                "Cardholder agreement", "AGR-1", "documents/card_agreement.pdf", sha256(AGREEMENT).hexdigest()
            ),
        ),
        to_follow=(),
        asks=(AskLine("The name of the original creditor.", "chain-of-title", "CPLR 3016(j)(2)", True),),
        letters=(LetterLine("letter-1", date(2026, 12, 1), "letters/letter-1.pdf"),),
        default_notice=NoticeLine(date(2026, 11, 2), date(2026, 11, 17)),
        letter_of_claim=NoticeLine(date(2026, 11, 18), date(2026, 12, 18)),
    )
    return replace(facts, **changes)


def a_pack(
    *, context: ContactContext | None = None, papers: tuple[str, ...] = US_PAPERS, **changes: Any
) -> ReferralPack:
    """The referral as an American court would want it, with a letter and an agreement enclosed."""
    return ReferralPack(
        context=context or a_context(),
        facts=referral_facts(**changes),
        papers=papers,
        enclosures=(
            Enclosure("letters/letter-1.pdf", sha256(LETTER).hexdigest(), "letters/2026-12-01/AAAA1111.pdf"),
            Enclosure("documents/card_agreement.pdf", sha256(AGREEMENT).hexdigest()),
        ),
    )


@cache
def the_catalog() -> Catalog:
    """The templates as shipped."""
    return Catalog(TEMPLATES)
