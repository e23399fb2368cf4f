"""Invented holders, one a locale: what letters look like before there is an account."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Final

from arrears.engine.money import Money
from arrears.rendering.context import AccountItem, Address, ContactContext, OtherAccount
from arrears.rendering.formats import DEFAULT_LOCALE

REFERENCE: Final = "SPECIMEN"
_DUE: Final = date(2026, 10, 12)
_HOLDERS: Final = {
    "en-US": ("Maria Gonzalez", Address("12 Main Street Apt 4", "Springfield", "NY", "10001", "US"), "USD"),
    "es-US": ("María González", Address("845 Calle Ocho Apt 2", "Miami", "FL", "33130", "US"), "USD"),
    "en-GB": ("Oliver Hughes", Address("42 Kirkgate", "Leeds", "", "LS1 6BY", "GB"), "GBP"),
    "de-DE": ("Jürgen Groß", Address("Torstraße 1", "Berlin", "", "10119", "DE"), "EUR"),
    "zh-CN": ("王小明", Address("黄浦区南京东路100号", "上海市", "", "200001", "CN"), "CNY"),
}


def specimen_context(locale: str = DEFAULT_LOCALE) -> ContactContext:
    """120.00 past due of 1,200.00, on 23 December 2026, with a fee and a payment since it was taken in."""
    name, address, currency = _HOLDERS.get(locale, _HOLDERS[DEFAULT_LOCALE])
    return ContactContext(
        account_id="SPECIMEN-1",
        holder_name=name,
        address=address,
        locale=locale,
        creditor="Example Bank",
        creditor_phone="+1 800 555 0100",
        creditor_address="1 Harbor Plaza, Springfield, NY 10001",
        payment_url="https://pay.example.com",
        amount_due=Money(12_000, currency),
        balance=Money(120_000, currency),
        due_date=_DUE,
        days_past_due=72,
        today=date(2026, 12, 23),
        reference=REFERENCE,
        rung="letter-1",
        attempt=1,
        agency="Northline Recovery",
        email="holder@example.com",
        respond_by=date(2027, 1, 27),
        pay_link="https://pay.example.com/a/specimen",
        items=(
            AccountItem("opening", _DUE, Money(135_000, currency)),
            AccountItem("fees", _DUE, Money(2_500, currency)),
            AccountItem("payments", _DUE, Money(-17_500, currency)),
        ),
    )


def longest_context(locale: str) -> ContactContext:
    """As long as names, addresses and amounts of real people get, and two more accounts: what a letter must bear."""
    usual = specimen_context(locale)
    currency = usual.amount_due.currency
    name = usual.holder_name if len(usual.holder_name) < 6 else "Bartholomew Wolfeschlegelsteinhausen-Montgomery"
    return replace(
        usual,
        holder_name=name,
        address=replace(usual.address, street=f"Apartment 1204, {usual.address.street}, Rear Building, Staircase B"),
        amount_due=Money(98_765_432, currency),
        balance=Money(987_654_321, currency),
        others=(OtherAccount("1002", Money(4_500, currency), _DUE), OtherAccount("1003", Money(7_800, currency), _DUE)),
    )
