"""A policy file as plain values that remember the line they were written on."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import cast

import yaml

from arrears.policies.problems import PolicyError, Problem

Place = tuple[str | int, ...]
"""Where a value sits: keys and list positions from the top, such as `("rungs", 3, "due", "at")`."""

_PLAIN_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_PLAIN_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass
class Document:
    """The values of one file. `subject` names what a place belongs to, for messages: `rung 'call-1': `."""

    file: str
    text: str = ""
    value: object = None
    subject: Callable[[Place], str] = lambda place: ""
    misread: set[Place] = field(default_factory=set[Place])
    _lines: dict[Place, int] = field(default_factory=dict[Place, int])
    _key_lines: dict[Place, int] = field(default_factory=dict[Place, int])
    _found: list[tuple[int, Place, str]] = field(default_factory=list[tuple[int, Place, str]])

    def at(self, place: Place) -> object:
        """The value at `place`; None where there is nothing."""
        value = self.value
        for part in place:
            if isinstance(part, int):
                children = self._as_list(value)
                value = children[part] if part < len(children) else None
            else:
                value = cast(dict[str, object], value).get(part) if isinstance(value, dict) else None
        return value

    def blocks(self, key: str) -> list[Place]:
        """The places of the list under a top-level `key`, in order; none where there is no list."""
        return [(key, number) for number in range(len(self._as_list(self.at((key,)))))]

    @staticmethod
    def _as_list(value: object) -> list[object]:
        return cast(list[object], value) if isinstance(value, list) else []

    def line(self, place: Place, *, of_key: bool = False) -> int:
        """The line `place` is written on, or that of the nearest place around it."""
        if of_key and place in self._key_lines:
            return self._key_lines[place]
        while place not in self._lines and place:
            place = place[:-1]
        return self._lines.get(place, 0)

    def report(self, place: Place, message: str, *, of_key: bool = False) -> None:
        """Note that something is wrong at `place`."""
        self._found.append((self.line(place, of_key=of_key), place, message))

    @property
    def problems(self) -> list[Problem]:
        """Everything reported so far, each with what it belongs to."""
        return [Problem(self.file, line, self.subject(place) + message) for line, place, message in self._found]

    def settle(self) -> None:
        """Raise PolicyError if anything was reported."""
        if self._found:
            raise PolicyError(self.problems)

    def fill(self, node: yaml.Node) -> None:
        """Take over what a YAML node says."""
        self.value = self._take(node, ())

    def _take(self, node: yaml.Node, place: Place) -> object:
        self._lines[place] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._take(child, (*place, number)) for number, child in enumerate(_children(node))]
        return self._scalar(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, child in _pairs(node):
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._found.append((line, place, "a key must be a single word"))
                continue
            name = str(key.value)
            here = (*place, name)
            if name in values:
                first = self._key_lines[here]
                self._found.append((line, place, f"key {name!r} stands twice; first on line {first}"))
                continue
            self._key_lines[here] = line
            values[name] = self._take(child, here)
        return values

    def _scalar(self, node: yaml.Node, place: Place) -> object:
        raw = str(node.value)
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "str" | "float":  # no policy counts in fractions; amounts of money are read from their text
                return raw
            case "null":
                return None
            case "int" if _PLAIN_INT.fullmatch(raw):
                return int(raw)
            case "bool" if raw.lower() in ("true", "false"):
                return raw.lower() == "true"
            case "timestamp" if _PLAIN_DATE.fullmatch(raw):
                try:
                    return date.fromisoformat(raw)
                except ValueError:
                    return self._trap(place, f"{raw} is no date; expected YYYY-MM-DD", raw)
            case "int":
                return self._trap(place, f'{raw} is read by YAML as the number {_meaning(raw)}; write "{raw}"', raw)
            case "bool":
                meaning = str(_meaning(raw)).lower()
                return self._trap(place, f'{raw} is read by YAML as {meaning}; write {meaning}, or "{raw}"', raw)
            case "timestamp":
                return self._trap(place, f'{raw} is read by YAML as a time stamp; write "{raw}"', raw)
            case tag:
                return self._trap(place, f"the tag {tag!r} is not used in policy files", raw)

    def _trap(self, place: Place, message: str, raw: str) -> str:
        label = f"{place[-1]} " if place and isinstance(place[-1], str) else ""
        self.misread.add(place)
        self.report(place, label + message)
        return raw


def _children(node: yaml.SequenceNode) -> list[yaml.Node]:
    return node.value


def _pairs(node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    return node.value


def _meaning(raw: str) -> object:
    try:
        return yaml.safe_load(raw)
    except ValueError:
        return "out of range"
