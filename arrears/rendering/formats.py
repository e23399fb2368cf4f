"""How money, dates and names are written for a reader: by locale, and never with a control character."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import Final

import segno
from babel import Locale
from babel.core import UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency

from arrears.engine.money import Money
from arrears.rendering import terms

DEFAULT_LOCALE: Final = "en-US"

# Bidirectional overrides and isolates make a name read as something else than it is.
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SPACES: Final = frozenset("\t\n\v\f\r\x85\u2028\u2029")
_DROPPED: Final = frozenset({"Cc", "Cs", "Co", "Cn"})


def plain(text: str) -> str:
    """`text` as one line of NFC characters: breaks become spaces; control, private and bidi characters go."""
    if text.isascii() and text.isprintable():
        return text.strip()
    kept = (" " if c in _SPACES else c for c in text if c not in _BIDI)
    return unicodedata.normalize("NFC", "".join(c for c in kept if unicodedata.category(c) not in _DROPPED)).strip()


def language_of(locale: str) -> str:
    """`en` of `en-GB`."""
    return locale.replace("_", "-").split("-")[0].lower()


def money(value: Money, locale: str) -> str:
    """`$1,200.50` for 120,050 cents of USD in en-US, with the currency's own decimals."""
    text = value.decimal_text()
    digits = text.lstrip("-").replace(".", "")
    around = _around(len(digits), text.startswith("-"), value.currency, locale)
    if len(around) != len(digits) + 1:
        # Babel knows the currency with other decimals than it has, and rounds.
        return format_currency(Decimal(text), value.currency, locale=_babel(locale))
    return "".join(chain.from_iterable(zip(around, (*digits, ""), strict=True)))


@lru_cache(maxsize=4096)
def _around(digits: int, negative: bool, currency: str, locale: str) -> list[str]:
    """What stands before, between and after the digits: the same for all amounts that have as many of them."""
    ones = Money(int("1" * digits) * (-1 if negative else 1), currency).decimal_text()
    return format_currency(Decimal(ones), currency, locale=_babel(locale)).split("1")


@lru_cache(maxsize=1024)
def day(value: date, locale: str) -> str:
    """`December 23, 2026` in en-US, `23 December 2026` in en-GB."""
    return format_date(value, "long", locale=_babel(locale))


@lru_cache(maxsize=1024)
def short_day(value: date, locale: str) -> str:
    """`Dec 23, 2026` in en-US, `23 Dec 2026` in en-GB."""
    return format_date(value, "medium", locale=_babel(locale))


def instant(value: str) -> str:
    """`2026-12-23 14:05 UTC` for an ISO 8601 instant; ValueError when it has no zone or is none."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"instant {value!r} has no zone; expected ISO 8601 UTC such as 2026-12-23T14:05:00Z")
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def term(value: str, locale: str) -> str:
    """One of the ledger's own words, such as `payment`, in the locale's language."""
    return terms.term(value, language_of(locale))


def qr(value: str) -> str:
    """A QR code of `value` as SVG, one unit a module, with the quiet zone that readers need (ISO/IEC 18004)."""
    return segno.make(value, error="m", micro=False).svg_inline(border=4, omitsize=True)


@lru_cache(maxsize=64)
def _babel(locale: str) -> Locale:
    """Babel's locale, or its language, or en-US: a portfolio's odd locale must not stop a letter."""
    for name in (locale.replace("_", "-"), language_of(locale), DEFAULT_LOCALE):
        try:
            return Locale.parse(name, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    raise UnknownLocaleError(DEFAULT_LOCALE)
