"""The two Jinja environments: plain text, and Typst where every value is a string literal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from jinja2 import DictLoader, Environment, StrictUndefined, Undefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from arrears.engine.money import Money
from arrears.rendering import formats

# What each filter takes and gives; the load-time check and the environments share this list.
FILTER_TYPES: Final[Mapping[str, tuple[Any, Any]]] = {
    "money": (Money, str),
    "day": (date, str),
    "short_day": (date, str),
    "instant": (str, str),
    "upper": (str, str),
    "term": (str, str),
    "qr": (str, str),
}
# The locale that filters write in: the holder's, unless the template speaks another language.
WRITTEN_IN: Final = "_written_in"


class SharedParts(Environment):
    """An environment whose templates name their parts shortly; `find_part` says which file is meant."""

    find_part: Callable[[str, str], str]

    def join_path(self, template: str, parent: str) -> str:
        return self.find_part(template, parent)


def text_environment(sources: Mapping[str, str], find_part: Callable[[str, str], str]) -> SharedParts:
    """Values enter as one line of plain text."""
    return _environment(sources, find_part, lambda text: Markup(formats.plain(text)))


def typst_environment(sources: Mapping[str, str], find_part: Callable[[str, str], str]) -> SharedParts:
    """Values enter as Typst string literals: `#{{ name }}` in markup, `{{ name }}` in code."""
    return _environment(sources, find_part, lambda text: Markup(typst_literal(formats.plain(text))))


def typst_literal(text: str) -> str:
    r"""`text` as a Typst string: whatever is no letter, digit, space or comma becomes `\u{…}`.

    `\u{…}` means the same in Typst's markup, so that a template that forgets the `#` prints the value
    in quotation marks; it still cannot be made to run it.
    """
    return '"' + "".join(c if c.isalnum() or c in " ," else f"\\u{{{ord(c):x}}}" for c in text) + '"'


def _environment(
    sources: Mapping[str, str], find_part: Callable[[str, str], str], enter: Callable[[str], Markup]
) -> SharedParts:
    def finalize(value: object) -> Markup:
        match value:
            case Markup():  # only super() gives one: no filter here does
                return value
            case Undefined():
                return Markup(str(value))  # raises: StrictUndefined
            case bool() | None:
                raise TypeError(f"{value!r} cannot be printed; test for it")
            case str() | int():
                return enter(str(value))
            case _:
                raise TypeError(f"a {type(value).__name__} cannot be printed; use a filter")

    # With autoescape Jinja marks super() as Markup, so it is told from a value; escaping Markup is a no-op.
    environment = SharedParts(
        loader=DictLoader(sources),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        cache_size=-1,
    )
    environment.find_part = find_part
    environment.globals = {}
    environment.filters = {
        "money": _localised(formats.money),
        "day": _localised(formats.day),
        "short_day": _localised(formats.short_day),
        "instant": formats.instant,
        "upper": str.upper,
        "term": _localised(formats.term),
        "qr": formats.qr,
    }
    return environment


def _localised(write: Callable[[Any, str], str]) -> Callable[[Context, Any], str]:
    @pass_context
    def filter_(context: Context, value: Any) -> str:
        return write(value, context[WRITTEN_IN])

    return filter_
