"""One cell to one value, or a reason that names the column and repeats nothing personal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import cast
from zoneinfo import available_timezones

import phonenumbers
from babel.core import Locale, UnknownLocaleError
from phonenumbers import NumberParseException, region_code_for_country_code

from arrears.clock import ClockError, parse_instant
from arrears.engine.money import Money, MoneyError, minor_digits

# Decimal alone takes 1e999999 and overflows, 1_000, and the digits of every script.
_AMOUNT = re.compile(r"[+-]?[0-9]{1,16}(?:\.[0-9]{1,4})?")
_ACCOUNT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOCALES = {"GB": "en-GB", "IE": "en-GB", "DE": "de-DE", "AT": "de-DE", "CN": "zh-CN", "IN": "en-IN"}
_FIRST_YEAR, _LAST_YEAR = 1990, 2100
_LONGEST_SHOWN = 40
# What a reason may repeat. Where a cell was left out, the next one stands in its column, and that may be a
# name, a telephone number or an amount: only what has the shape of the column's own mistakes is shown.
_LIKE_A_DAY = re.compile(
    r"[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}|[0-9]{4}[./-][0-9]{1,2}[./-][0-9]{1,2}|(?:19|20)[0-9]{6}"
)
# A day, or an instant with its offset: a local time without one could be anybody's.
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:?\d{2}))?", re.ASCII)
_LIKE_AN_INSTANT = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}(?:[T ]\d{1,2}:\d{2}[0-9:.+Z-]*)?", re.ASCII)
_LIKE_A_CURRENCY = re.compile(r"[A-Z]{3}")
_LIKE_A_COUNTRY = re.compile(r"[A-Z]{2,3}")
_LIKE_A_ZONE = re.compile(
    r"(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Etc|Europe|Indian|Pacific|US)/[A-Za-z0-9_+/-]+"
)
_LIKE_A_LOCALE = re.compile(r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-[A-Z]{2})?")


def shown(value: str, like: re.Pattern[str]) -> str:
    """The cell as a reason may repeat it, with a space before it; nothing unless it is short and looks `like` that."""
    return f" {value!r}" if len(value) <= _LONGEST_SHOWN and like.fullmatch(value) else ""


def account_id_in(cell: str) -> str:
    """The account id a cell holds; nothing when it holds something else, which may be a holder's name."""
    return cell.strip() if _ACCOUNT_ID.fullmatch(cell.strip()) else ""


class Cells:
    """The cells of one row and everything that is wrong with them."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self._cells = cells
        self.problems: list[str] = []

    def text(self, column: str, *, required: bool = False) -> str:
        """The cell, stripped."""
        value = self._cells.get(column, "")
        if required and not value:
            self.problems.append(f"{column} is missing")
        return value

    def account_id(self) -> str:
        """Letters, digits, dot, dash and underscore, at most 64: it becomes a run name and a file name."""
        value = self.text("account_id", required=True)
        if value and not account_id_in(value):
            self.problems.append(
                "account_id may hold letters, digits, '.', '_' and '-' only, at most 64, a letter or digit first"
            )
        return account_id_in(value)

    def day(self, column: str, *, required: bool = False) -> date | None:
        """A date as YYYY-MM-DD."""
        value = self.text(column, required=required)
        if not value:
            return None
        try:
            # fromisoformat alone would take 20261131 and 2026-W05-1 as well.
            day = date.fromisoformat(value) if len(value) == 10 and value[4] == "-" else None
        except ValueError:
            day = None
        if day is None:
            self.problems.append(f"{column}{shown(value, _LIKE_A_DAY)} is no date; expected YYYY-MM-DD")
        elif not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            self.problems.append(f"{column} {value!r} lies outside {_FIRST_YEAR} to {_LAST_YEAR}")
            return None
        return day

    def instant(self, column: str) -> datetime | None:
        """An instant with its zone, in UTC; a day alone is its midnight UTC."""
        text = self.text(column, required=True)
        if not text:
            return None
        try:
            moment = parse_instant(text) if _INSTANT.fullmatch(text) else None
        except (ClockError, OverflowError):
            moment = None
        if moment is None:
            expected = "a day or an instant with its zone, such as 2026-11-23T14:00:00Z"
            self.problems.append(f"{column}{shown(text, _LIKE_AN_INSTANT)} is no instant; expected {expected}")
        elif not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
            self.problems.append(f"{column} {text!r} lies outside {_FIRST_YEAR} to {_LAST_YEAR}")
            return None
        return moment

    def reference(self, column: str, *, longest: int) -> str:
        """A name that something is known again by."""
        value = self.text(column, required=True)
        if len(value) > longest:
            self.problems.append(f"{column} is longer than {longest} characters")
        return value

    def currency(self) -> str | None:
        """An ISO 4217 code."""
        value = self.text("currency", required=True).upper()
        if not value:
            return None
        try:
            minor_digits(value)
        except MoneyError:
            self.problems.append(
                f"currency{shown(value, _LIKE_A_CURRENCY)} is not known; expected an ISO 4217 code such as USD"
            )
            return None
        return value

    def money(self, column: str, currency: str | None, *, required: bool = False) -> Money | None:
        """An amount of zero or more. Without a currency it cannot be judged, and that was reported already."""
        value = self.text(column, required=required)
        if not value or currency is None:
            return None
        try:
            money = Money.parse(value, currency) if _AMOUNT.fullmatch(value) else None
        except MoneyError:
            money = None
        if money is None:
            decimals = minor_digits(currency)
            example = "1200" if decimals == 0 else f"1200.{'5'.ljust(decimals, '0')}"
            self.problems.append(f"{column} is no amount in {currency}; expected a plain decimal such as {example}")
            return None
        if money.amount < 0:
            self.problems.append(f"{column} is below zero")
            return None
        if money.amount > 10**15:
            self.problems.append(f"{column} is too large to be an amount")
            return None
        return money

    def country(self) -> str | None:
        """ISO 3166-1 alpha-2."""
        value = self.text("country", required=True).upper()
        if not value:
            return None
        if value not in _countries():
            self.problems.append(
                f"country{shown(value, _LIKE_A_COUNTRY)} is not known; expected an ISO 3166 code such as US"
            )
            return None
        return value

    def phone(self, country: str | None) -> str:
        """A possible number, as E.164."""
        value = self.text("phone", required=True)
        if not value or (country is None and not value.startswith("+")):
            return ""
        try:
            number = phonenumbers.parse(value, country)
        except NumberParseException:
            self.problems.append(f"phone is no telephone number{f' in {country}' if country else ''}")
            return ""
        # is_possible_number takes a number without its area code too, and would dial somebody else.
        if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
            home = country if country else region_code_for_country_code(number.country_code or 0)
            self.problems.append(f"phone is no possible number in {home}")
            return ""
        if number.extension:
            self.problems.append("phone has an extension; expected a number that rings at the holder")
            return ""
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

    def zone(self) -> str:
        """An IANA time zone."""
        value = self.text("time_zone")
        if value and value not in available_timezones():
            self.problems.append(
                f"time_zone{shown(value, _LIKE_A_ZONE)} is not known; expected a name such as America/New_York"
            )
            return ""
        return value

    def locale(self, country: str | None) -> str:
        """A BCP 47 tag such as en-US; by country when the file does not say."""
        value = self.text("locale").replace("_", "-")
        if not value:
            return _LOCALES.get(country or "", "en-US")
        if not _is_locale(value):
            self.problems.append(f"locale{shown(value, _LIKE_A_LOCALE)} is not known; expected a tag such as en-US")
        return value


@lru_cache(maxsize=256)
def _is_locale(tag: str) -> bool:
    try:
        Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        return False
    return True


def is_country(code: str) -> bool:
    """Whether `code` is an ISO 3166-1 alpha-2 code in capitals."""
    return code in _countries()


@lru_cache(maxsize=1)
def _countries() -> frozenset[str]:
    territories = cast(Mapping[str, str], Locale("en").territories)
    return frozenset(code for code in territories if len(code) == 2 and code.isalpha() and code not in _NO_COUNTRY)


# CLDR lists these beside the countries: unions, pseudo-locales and unknowns.
_NO_COUNTRY = frozenset({"EU", "EZ", "UN", "XA", "XB", "XK", "ZZ", "QO"})
