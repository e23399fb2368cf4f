"""Facts as JSON values and back, so that a letter can be made again from what the ledger holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from arrears.rendering.check import field_types

Facts = TypeVar("Facts")
# Resolving annotations takes longer than all else here.
_types = cache(field_types)


def to_json(value: Any) -> Any:
    """A dataclass of strings, numbers, dates, tuples and dataclasses as JSON values; dates as ISO 8601."""
    if is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    match value:
        case date():
            return value.isoformat()
        case tuple():
            return [to_json(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def from_json(cls: type[Facts], stored: Mapping[str, Any]) -> Facts:
    """The dataclass that `to_json` stored; KeyError names a field that is missing and has no default.

    What was stored before a field with a default existed is read as having that.
    """
    present = {name: kind for name, kind in _types(cls).items() if name in stored or name not in _with_default(cls)}
    return cls(**{name: _value(kind, stored[name]) for name, kind in present.items()})


@cache
def _with_default(cls: Any) -> frozenset[str]:
    return frozenset(each.name for each in fields(cls) if each.default is not MISSING)


def _value(kind: Any, stored: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):
        return None if stored is None else _value(get_args(kind)[0], stored)
    if get_origin(kind) is tuple:
        return tuple(_value(get_args(kind)[0], item) for item in stored)
    if is_dataclass(kind) and isinstance(kind, type):
        return from_json(kind, stored)
    return kind.fromisoformat(stored) if kind in (date, datetime) else stored
