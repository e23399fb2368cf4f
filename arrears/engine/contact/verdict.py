"""The gate's four answers. Each names the rules it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """How far a denial reaches: this contact only, or everything about the case while it lasts."""

    CONTACT = "contact"
    CASE = "case"


@dataclass(frozen=True, slots=True)
class Allow:
    """Go ahead; `rules` were asked and did not object. `cautions`: what a careful person should know."""

    rules: tuple[str, ...]
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Defer:
    """Not now; legal again at `until` (UTC) as far as is known today."""

    until: datetime
    rules: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Deny:
    """No, and waiting alone will not change it."""

    rules: tuple[str, ...]
    reason: str
    scope: Scope = Scope.CONTACT


@dataclass(frozen=True, slots=True)
class Review:
    """A person decides: the rules do not cover this."""

    rules: tuple[str, ...]
    reason: str


Verdict = Allow | Defer | Deny | Review
