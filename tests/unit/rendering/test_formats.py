"""Amounts are written as Babel writes them, whatever is kept of how it does."""

from __future__ import annotations

from decimal import Decimal

from babel.numbers import format_currency
from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.money import MINOR_DIGITS, Money
from arrears.rendering.formats import money

LOCALES = ("en-US", "en-GB", "en-IN", "de-DE", "de-CH", "es-ES", "fr-FR", "pl-PL", "pt-PT", "ar-EG", "fa-IR", "zh-CN")


@given(st.integers(-(10**16), 10**16), st.sampled_from(sorted(MINOR_DIGITS)), st.sampled_from(LOCALES))
def test_an_amount_reads_as_babel_writes_it(amount: int, currency: str, locale: str) -> None:
    value = Money(amount, currency)
    expected = format_currency(Decimal(value.decimal_text()), currency, locale=locale.replace("-", "_"))
    assert money(value, locale) == expected


def test_a_currency_that_babel_knows_with_fewer_decimals_is_rounded_by_babel() -> None:
    assert money(Money(120_050, "RSD"), "en-US").endswith("1,200")
