"""How a text is counted and paid for: its encoding and its segments, by 3GPP TS 23.038 and TS 23.040.

GSM-7 where every character is in its alphabet, UCS-2 for the whole text otherwise, is what Twilio does:
https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding
https://www.twilio.com/docs/glossary/what-sms-character-limit
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# TS 23.038, 6.2.1: the default alphabet without its escape; and the characters that take two septets after it.
_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
_GSM_7: Final = _BASIC | _EXTENDED


class Encoding(StrEnum):
    """How the characters of a text travel."""

    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


@dataclass(frozen=True, slots=True)
class Segments:
    """`count` is what is paid for. `units`: septets of GSM-7, or 16-bit units of UCS-2."""

    encoding: Encoding
    units: int
    count: int

    def __str__(self) -> str:
        return f"{self.count} segment{'s' if self.count > 1 else ''} of {self.encoding}"


# Units in a text of one segment, and in each segment of a longer one, where six octets say which it is.
_ROOM: Final = {Encoding.GSM_7: (160, 153), Encoding.UCS_2: (70, 67)}


def segments(text: str) -> Segments:
    """Count a text. A character of two units is not torn apart: what is left of its segment stays empty."""
    used = set(text)
    encoding = Encoding.GSM_7 if used <= _GSM_7 else Encoding.UCS_2
    units = len(text)
    if encoding is Encoding.UCS_2 or not _EXTENDED.isdisjoint(used):
        units = sum(_width(character, encoding) for character in text)
    alone, each = _ROOM[encoding]
    if units <= alone:
        return Segments(encoding, units, 1)
    count, left = 1, each
    for character in text:
        width = _width(character, encoding)
        if width > left:
            count, left = count + 1, each
        left -= width
    return Segments(encoding, units, count)


def beyond_gsm_7(text: str) -> str:
    """The characters, each once, for which the whole text travels in UCS-2."""
    return "".join(dict.fromkeys(c for c in text if c not in _GSM_7))


def _width(character: str, encoding: Encoding) -> int:
    if encoding is Encoding.GSM_7:
        return 2 if character in _EXTENDED else 1
    return 2 if ord(character) > 0xFFFF else 1
