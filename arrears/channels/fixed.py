"""Lines of fixed width, as the field's older layouts have them: ASCII, blank where nothing is known, CRLF."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final

from arrears.engine.money import Money
from arrears.rendering.formats import plain

Fields = Sequence[tuple[str, int]]
"""Names and widths, in order."""

_SPELLED: Final = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "ł": "l", "Ł": "L", "đ": "d"})


class DoesNotFit(ValueError):
    """A value for which a field has no room, and that must not be cut; the message says which."""


def line(fields: Fields, values: Mapping[str, str], *, width: int = 0) -> bytes:
    """One record: each value in its field, cut at its end where it is longer, blank up to `width`."""
    text = "".join(values.get(name, "")[:size].ljust(size) for name, size in fields)
    return text.ljust(width).encode("ascii") + b"\r\n"


def ascii_text(text: str) -> str:
    """`text` on one line in ASCII: accents dropped, what has no ASCII spelling as `?`."""
    cleaned = plain(text)
    if cleaned.isascii():
        return cleaned
    folded = unicodedata.normalize("NFKD", cleaned.translate(_SPELLED))
    bare = "".join(sign for sign in folded if not unicodedata.combining(sign))
    return bare.encode("ascii", "replace").decode()


def number(value: int, size: int) -> str:
    """A whole number with zeros in front. Raises DoesNotFit."""
    return _fitting(f"{value:0{size}d}", size)


def amount(money: Money, size: int, *, fill: str = "0") -> str:
    """`000001200.50`. Raises DoesNotFit."""
    text = money.decimal_text()
    padded = text.zfill(size) if fill == "0" else text.rjust(size, fill)
    return _fitting(padded, size)


def day(value: date | datetime | str) -> str:
    """`CCYYMMDD`; a string is an ISO 8601 instant, whose day in UTC counts."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return f"{value:%Y%m%d}"


def _fitting(text: str, size: int) -> str:
    if len(text) > size:
        raise DoesNotFit(f"{text} is longer than {size} characters")
    return text
