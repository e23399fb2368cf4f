"""One account placed, one account called back: what every layout of a file has to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from arrears.engine.money import Money
from arrears.rendering.context import Address
from arrears.rendering.stored import from_json, to_json


class PlacementFileError(ValueError):
    """A batch that cannot be written; the message says which."""


@dataclass(frozen=True, slots=True)
class PlacementRow:
    """One account as it is placed. `phone` is E.164 or empty; `placed_at` is ISO 8601 UTC."""

    placement_id: str
    account_id: str
    reference: str
    creditor: str
    holder_name: str
    phone: str
    address: Address
    balance: Money
    due_date: date
    days_past_due: int
    placed_at: str

    def to_json(self) -> dict[str, Any]:
        """The row as JSON values, for the ledger."""
        return to_json(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> PlacementRow:
        """The row that `to_json` stored."""
        return from_json(cls, stored)


@dataclass(frozen=True, slots=True)
class RecallRow:
    """One account called back. `recall` is `pending`, to which the agency may object, or `final`."""

    placement_id: str
    account_id: str
    recall: str
    reason: str
    recalled_at: str

    def to_json(self) -> dict[str, Any]:
        """The row as JSON values, for the ledger."""
        return to_json(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> RecallRow:
        """The row that `to_json` stored."""
        return from_json(cls, stored)
