"""What a telephone number tells of where its holder may be."""

from __future__ import annotations

import phonenumbers
from phonenumbers import PhoneNumberType

# Numbers of these kinds, unlike toll-free and network ones, are held by a person in some place.
_PERSONS = frozenset({PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})


def stand_in(phone_e164: str) -> str:
    """A number that tells the same as `phone_e164`, shared by many, so that look-ups can be cached by it.

    In the North American plan area code and exchange decide.
    """
    if phone_e164.startswith("+1") and len(phone_e164) == 12:
        return f"{phone_e164[:8]}2368"
    return phone_e164


def has_a_place(number: phonenumbers.PhoneNumber) -> bool:
    """Whether the number is a person's in some place, unlike toll-free and network numbers."""
    return phonenumbers.number_type(number) in _PERSONS
