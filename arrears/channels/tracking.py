"""What a provider can be asked about messages it took: the fate of one, and the list of all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Fate:
    """One message as the provider has it. `marks`: what in its words may be a reference of ours; never the words."""

    sid: str
    status: str
    error_code: str
    created: datetime | None
    outbound: bool
    marks: tuple[str, ...] = ()


class ProviderSilent(Exception):
    """The provider could not be asked just now; the message says why, without personal data."""


@runtime_checkable
class Tracked(Protocol):
    """A channel whose provider remembers what it took."""

    def fate(self, sid: str) -> Fate | None:
        """What became of one message; None where the provider knows none of this name. Raises ProviderSilent."""
        ...

    def listed(self, since: datetime, until: datetime) -> Iterator[Fate]:
        """The messages created from `since` to `until` that have been sent, page by page. Raises ProviderSilent."""
        ...
