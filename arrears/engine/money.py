"""Money as integer minor units and an ISO 4217 currency."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

# ISO 4217 minor-unit digits. Only currencies listed here are accepted: an unknown code is a typing
# mistake in a portfolio far more often than a currency a lender issues cards in.
_TWO_DIGITS: Final = (
    "AED AUD BDT BGN BRL CAD CHF CNY COP CZK DKK EGP EUR GBP GHS HKD HUF IDR ILS INR KES LKR MAD MXN "
    "MYR NGN NOK NPR NZD PEN PHP PKR PLN QAR RON RSD RUB SAR SEK SGD THB TRY TWD TZS UAH USD UYU ZAR"
)
MINOR_DIGITS: Final[dict[str, int]] = {
    **dict.fromkeys(_TWO_DIGITS.split(), 2),
    **dict.fromkeys(["CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"], 0),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "OMR", "TND"], 3),
}

# What a 64-bit column can hold, with room for sums.
_LARGEST: Final = Decimal(10**17)
# Decimal would also read 1e3, 1_000 and digits of other scripts: typing mistakes, where money is concerned.
_PLAIN: Final = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?")


class MoneyError(ValueError):
    """An amount or currency that cannot be money; the message says which and what was expected."""


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in integer minor units (cents for USD, yen for JPY) of one ISO 4217 currency."""

    amount: int
    currency: str

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """`Money.parse("1200.50", "USD")` is 120,050 cents.

        Raises MoneyError for an unknown currency, for text that is no plain decimal number, and for
        more decimals than the currency has.
        """
        digits = minor_digits(currency)
        plain = text.strip()
        scaled = Decimal(plain).scaleb(digits) if _PLAIN.fullmatch(plain) else _LARGEST
        if abs(scaled) >= _LARGEST:
            raise MoneyError(f"{text!r} is no amount; expected a decimal number such as 1200.50")
        if scaled != scaled.to_integral_value():
            raise MoneyError(f"{text!r} has more than the {digits} decimals of {currency}")
        return cls(int(scaled), currency)

    def decimal_text(self) -> str:
        """The amount as a plain decimal string with the currency's decimals, `1200.50`."""
        digits = minor_digits(self.currency)
        return f"{Decimal(self.amount).scaleb(-digits):.{digits}f}"

    def __add__(self, other: Money) -> Money:
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount - self._same(other), self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise MoneyError(f"cannot combine {self.currency} with {other.currency}")
        return other.amount


def minor_digits(currency: str) -> int:
    """Decimals of an ISO 4217 currency; MoneyError when the code is not known."""
    try:
        return MINOR_DIGITS[currency]
    except KeyError:
        raise MoneyError(f"currency {currency!r} is not known; expected an ISO 4217 code such as USD") from None
