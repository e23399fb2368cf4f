"""What is wrong with a policy file: file, line and a plain sentence, all of it at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong at one place; `line` counts from 1, and 0 means the file as a whole."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


class PolicyError(Exception):
    """A policy file or folder that cannot be used. `problems` holds everything found, by file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def listed(words: Iterable[str], last: str = "or") -> str:
    """`a, b or c`."""
    *others, end = words
    return f"{', '.join(others)} {last} {end}" if others else end


def unknown_key(key: str, known: Iterable[str], where: str = "") -> str:
    """`unknown key 'lat'; did you mean 'late'?`, or the list of keys when none is near."""
    names = sorted(known)
    near = get_close_matches(key, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected {listed(names)}"
    return f"unknown key {key!r}{where}; {hint}"
