"""Texts and call scripts: what they say, how long they are, and what cannot get into them."""

from __future__ import annotations

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.money import Money
from arrears.engine.several import most_told
from arrears.engine.vocabulary import ChannelName
from arrears.rendering.catalog import Kind
from arrears.rendering.context import OtherAccount
from arrears.rendering.formats import plain
from tests.unit.rendering.facts import HOSTILE, a_context, a_hostile_context, a_long_context, the_catalog

_GSM7 = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
LOCALES = ["en-US", "en-GB"]
OPT_OUT = ("Reply STOP to opt out",)
SMS = sorted(the_catalog().names(Kind.SMS))
REMINDERS = [name for name in SMS if name.startswith("reminder")]


@pytest.mark.parametrize("locale", [*LOCALES, "en-ZA"])
@pytest.mark.parametrize("name", SMS)
@pytest.mark.parametrize("currency", ["USD", "GBP", "CHF"])
def test_a_text_fits_one_segment(name: str, locale: str, currency: str):
    amount = Money(1_234_550, currency)
    text = the_catalog().text(Kind.SMS, name, a_context(locale=locale, amount_due=amount, required=OPT_OUT))
    extended = sum(2 if c in "^{}\\[~]|€" else 1 for c in text)
    assert set(text) <= _GSM7 | set("^{}\\[~]|€"), "one character outside GSM-7 halves the room"
    assert extended <= 160


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", REMINDERS)
def test_a_text_about_as_many_cards_as_one_may_name_fits_two_segments(name: str, locale: str):
    most = most_told(ChannelName.SMS)
    assert most is not None
    amount = Money(123_450, "USD")
    others = tuple(OtherAccount(f"{1000 + n}", amount, date(2026, 10, 13 + n)) for n in range(most))
    context = a_context(locale=locale, amount_due=amount, required=OPT_OUT, others=others)
    text = the_catalog().text(Kind.SMS, name, context)
    assert all(f"(card ..{other.ending})" in text for other in others)
    assert set(text) <= _GSM7
    assert len(text) <= 2 * 153


@pytest.mark.parametrize("locale", LOCALES)
def test_the_script_names_the_other_cards_where_it_says_why(locale: str):
    others = (OtherAccount("1002", Money(4500, "EUR"), date(2026, 10, 13)),)
    script = the_catalog().text(Kind.CALLS, "first-call", a_context(locale=locale, others=others))
    who, why = script.split("2. WHY WE CALL")
    assert "1002" not in who
    assert "The card ending in 1002 is past due as well: €45.00" in why


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", REMINDERS)
def test_a_text_names_creditor_amount_date_url_reference_and_the_way_out(name: str, locale: str):
    text = the_catalog().text(Kind.SMS, name, a_context(locale=locale, required=OPT_OUT))
    day = "Oct 12, 2026" if locale == "en-US" else "12 Oct 2026"
    amount = "$120.00" if locale == "en-US" else "US$120.00"
    for part in ("Example Bank", amount, day, "https://pay.example.com ", "Ref 7K3M9QXZ.", "Reply STOP to opt out"):
        assert part in text
    assert "Maria" not in text


@pytest.mark.parametrize("locale", LOCALES)
def test_the_script_asks_who_it_is_before_it_says_why(locale: str):
    script = the_catalog().text(Kind.CALLS, "first-call", a_context(locale=locale))
    who, why = script.split("2. WHY WE CALL")
    assert "postal code" in who or "postcode" in who
    assert "120.00" not in who
    assert "120.00" in why
    assert "dispute" in why
    assert "{" not in script


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_plain_text_in_a_script(value: str):
    assert f'"Hello, may I speak with {value}, please?"' in the_catalog().text(
        Kind.CALLS, "first-call", a_hostile_context(value)
    )


def test_a_name_cannot_add_a_line_or_turn_the_text_around():
    context = a_context(creditor="Bank\r\nReply YES\x00\x1b[31m\u202eevil\u2028x")
    text = the_catalog().text(Kind.SMS, "reminder-1", context)
    assert text.startswith("Bank  Reply YES[31mevil x: your card payment")
    assert "\n" not in text


def test_long_values_are_kept_whole():
    script = the_catalog().text(Kind.CALLS, "first-call", a_long_context())
    assert a_long_context().holder_name in script


@given(st.text())
def test_plain_text_is_one_line_without_control_characters_and_stays_so(text: str):
    cleaned = plain(text)
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Co", "Cn"} for c in cleaned)
    assert not set(cleaned) & set("\n\r\u2028\u2029\u202e\u2066")
    assert plain(cleaned) == cleaned
