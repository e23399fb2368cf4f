"""Facts for rendering tests: an account, a referral, and values that mean harm."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from arrears.engine.money import Money
from arrears.rendering.catalog import Catalog
from arrears.rendering.context import Address, ChronologyLine, ContactContext, StatementLine
from arrears.rendering.pack import PackLetter, ReferralPack

TEMPLATES = Path(__file__).parents[3] / "templates"

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


def a_pack(**changes: Any) -> ReferralPack:
    """A referral approved on 20 December 2026, with two statement lines and two steps."""
    pack = ReferralPack(
        context=a_context(),
        statement=(
            StatementLine(date(2026, 10, 1), "Opening balance", Money(135_000, "USD")),
            StatementLine(date(2026, 11, 2), "Payment received", Money(-15_000, "USD")),
        ),
        chronology=(
            ChronologyLine("2026-10-14T14:05:00Z", "sms-1", 1, "sms", "done", "SM0123456789abcdef", ""),
            ChronologyLine("2026-12-01T15:00:00Z", "letter-1", 1, "letter", "done", "sha256:" + "ab" * 32, "none"),
        ),
        letters=(PackLetter("letter-1.pdf", "letters/2026-12-01/AAAA1111.pdf"),),
        approved_by="Dana Whitfield",
        approved_at="2026-12-20T15:00:00Z",
        limitation_ends=date(2029, 10, 12),
    )
    return replace(pack, **changes)


@cache
def the_catalog() -> Catalog:
    """The templates as shipped."""
    return Catalog(TEMPLATES)
