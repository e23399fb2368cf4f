"""Kinds of value that several policy files use: words of a list, times of day, names, texts."""

from __future__ import annotations

import re
from datetime import time
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from arrears.policies.problems import listed

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def wrong_value(message: str) -> PydanticCustomError:
    """A fault of one value; the message follows the key's name."""
    return PydanticCustomError("value", "{message}", {"message": message})


def wrong_block(message: str) -> PydanticCustomError:
    """A fault between several keys; the message is a sentence of its own."""
    return PydanticCustomError("block", "{message}", {"message": message})


def one_of(words: type[StrEnum], what: str, *, without: frozenset[str] = frozenset()) -> BeforeValidator:
    """Turns a word into its member; anything else `is no <what>`, with the nearest word or the whole list."""
    known = [word.value for word in words if word.value not in without]

    def convert(value: object) -> object:
        if value is None:
            return value
        if isinstance(value, str) and value in known:
            return words(value)
        near = get_close_matches(value, known, n=1) if isinstance(value, str) and len(known) > 6 else []
        hint = f"did you mean {near[0]}?" if near else f"expected {listed(known)}"
        shown = repr(value) if isinstance(value, str) else str(value)
        raise wrong_value(f"{shown} is no {what}; {hint}")

    return BeforeValidator(convert)


def _time_of_day(value: object) -> object:
    if value is None:
        return value
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise wrong_value(f'{value!r} is no time of day; expected "HH:MM", 00:00 to 23:59, in quotes')
    return time(int(match[1]), int(match[2]))


def matching(pattern: re.Pattern[str], what: str, expected: str) -> AfterValidator:
    """Accepts text that fits `pattern` as a whole; other text `is no <what>; expected <expected>`."""

    def accept(value: str) -> str:
        if pattern.fullmatch(value) is None:
            raise wrong_value(f"{value!r} is no {what}; expected {expected}")
        return value

    return AfterValidator(accept)


ClockTime = Annotated[time, BeforeValidator(_time_of_day)]
"""Local wall-clock time."""

Word = Annotated[str, matching(re.compile(r"[a-z0-9]+(_[a-z0-9]+)*"), "word", "one such as default_notice")]
Name = Annotated[str, matching(_NAME, "name", "small letters, digits and hyphens, such as letter-1")]

Text = Annotated[str, Field(min_length=1)]

Days = Annotated[int, Field(ge=0, le=3650)]
"""Calendar days."""
