"""What a channel promises: one effect per intent, an honest outcome, and a look-up after a crash.

A channel gets an `Intent` that is already committed to the ledger. `perform` carries it out once and
says what is known afterwards. `look_up` is asked after a crash, and answers from evidence only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Intent:
    """A committed decision to make one contact or hand-over.

    `payload` is what was stored with the intent and is all a channel may use: JSON values only, so
    that a restart sees exactly what the crashed process saw. `wall` is the machine's UTC time at the
    commit; `at` is the ledger's (which may be virtual). `claim` names this taking of the step, which stands until
    `lease_until` (wall) and beyond for as long as the step bears it. `just_taken`, for a look-up: until a moment ago
    somebody may have been carrying it out, so an effect that is not there yet may still be on its way.
    """

    key: str
    account_id: str
    rung: str
    attempt: int
    reference: str
    payload: Mapping[str, Any]
    at: datetime
    wall: datetime
    claim: str = ""
    lease_until: datetime | None = None
    just_taken: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """It happened; `reference` proves it (message SID, file digest, task key)."""

    reference: str
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Refused:
    """It did not happen and will not by repeating: the step has failed."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Declined:
    """It did not happen because the recipient or the law does not want it: the step is skipped."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class TryAgain:
    """It is known not to have happened and may be tried again, after `after` if the other side said so."""

    reason: str
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """It may or may not have happened: look it up, never repeat it."""

    reason: str


# What was intended has become somebody else's, and nothing was done.
TAKEN: Final = TryAgain("somebody else has taken it")
Outcome = Done | Refused | Declined | TryAgain | InDoubt


@dataclass(frozen=True, slots=True)
class Found:
    """Evidence that it happened."""

    reference: str
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Absent:
    """Proof that it did not happen."""


@dataclass(frozen=True, slots=True)
class Unprovable:
    """The evidence was read and settles nothing: a person must."""

    reason: str


@dataclass(frozen=True, slots=True)
class LookUpFailed:
    """The evidence could not be read just now: ask again later."""

    reason: str


Finding = Found | Absent | Unprovable | LookUpFailed


class Channel(Protocol):
    """One way of reaching a holder or handing an account over."""

    def perform(self, intent: Intent) -> Outcome:
        """Carry the intent out once. Anticipated failures are outcomes, never exceptions."""
        ...

    def look_up(self, intent: Intent) -> Finding:
        """Whether an earlier `perform` of this intent, cut short, had its effect."""
        ...


@runtime_checkable
class Bulk(Protocol):
    """A channel that makes many effects at little more than the price of one, such as rows or lines of one file."""

    def perform_all(self, intents: Sequence[Intent]) -> list[Outcome]:
        """As `perform` for each, outcomes in the order of the intents."""
        ...
