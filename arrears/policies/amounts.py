"""Amounts of money by currency, as policy files write them."""

from __future__ import annotations

from collections.abc import Mapping

from arrears.engine.money import Money, MoneyError
from arrears.policies.document import Document, Place


def read_amounts(document: Document, place: Place, written: Mapping[str, str]) -> dict[str, int]:
    """Minor units by currency of the block at `place`, such as `{USD: "100.00"}`; what is no money is reported."""
    amounts: dict[str, int] = {}
    for currency, amount in written.items():
        try:
            money = Money.parse(amount, currency)
        except MoneyError as error:
            document.report((*place, currency), str(error))
            continue
        if money.amount < 0:
            document.report((*place, currency), f"{amount!r} is below zero")
        amounts[currency] = money.amount
    return amounts
