"""Placement and recall files: one CSV of each an agency and day, and a manifest with control totals written last.

The caller holds the lock of the batch; these functions only make the files say what the rows say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from arrears.channels import files
from arrears.engine.money import Money
from arrears.rendering.context import Address
from arrears.rendering.stored import from_json, to_json
from arrears.rendering.table import csv_bytes, text_cell

FORMAT: Final = "arrears-placement/1"
RECALL_FORMAT: Final = "arrears-recall/1"
RECALL_COLUMNS: Final = ("placement_id", "account_id", "recall", "reason", "recalled_at")
_TEXTS: Final = ("placement_id", "account_id", "reference", "creditor", "holder_name")
_ADDRESS: Final = ("street", "city", "region", "postal_code", "country")
COLUMNS: Final = (
    *_TEXTS,
    "phone",
    *_ADDRESS,
    *("currency", "balance", "due_date", "days_past_due", "placed_at"),
)


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


@dataclass(frozen=True, slots=True)
class CurrencySum:
    """The sum of a file's balances in one currency, as a decimal string."""

    currency: str
    sum: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Control totals of one file; `path` is relative to the outbox. A recall file has no sums."""

    format: str
    agency: str
    day: date
    path: str
    count: int
    sums: tuple[CurrencySum, ...]
    sha256: str
    size: int


class AgencyFolder:
    """The files for agencies under `outbox/agency/`."""

    def __init__(self, outbox: Path) -> None:
        self._outbox = outbox

    def write(self, agency: str, day: date, rows: Iterable[PlacementRow]) -> Manifest:
        """Makes the file of `agency` and `day` hold exactly `rows`, in order of placement id.

        The same rows give the same bytes, and a file that already has them is left alone.
        PlacementFileError for an agency that cannot name a folder, an id that comes twice, or an instant
        without a zone; OSError from the disk, after which the old file and manifest, or a file without a
        valid manifest, stand.
        """
        ordered = sorted(rows, key=lambda row: row.placement_id)
        for first, second in pairwise(ordered):
            if first.placement_id == second.placement_id:
                raise PlacementFileError(f"placement {first.placement_id} comes twice in {agency} {day}")
        content = csv_bytes(COLUMNS, (_cells(row) for row in ordered))
        return self._written(FORMAT, agency, day, self.path(agency, day), content, len(ordered), _sums(ordered))

    def write_recalls(self, agency: str, day: date, rows: Iterable[RecallRow]) -> Manifest:
        """Makes the recall file of `agency` and `day` hold exactly `rows`, in order of placement id; as `write`."""
        ordered = sorted(rows, key=lambda row: (row.placement_id, row.recall))
        cells = ([text_cell(getattr(row, name)) for name in RECALL_COLUMNS] for row in ordered)
        path = self.path(agency, day).removesuffix(".csv") + ".recalls.csv"
        return self._written(RECALL_FORMAT, agency, day, path, csv_bytes(RECALL_COLUMNS, cells), len(ordered), ())

    def _written(
        self, form: str, agency: str, day: date, path: str, content: bytes, count: int, sums: tuple[CurrencySum, ...]
    ) -> Manifest:
        manifest = Manifest(form, agency, day, path, count, sums, files.digest(content), len(content))
        _write_once(self._outbox / path, content)
        _write_once((self._outbox / path).with_suffix(".manifest.json"), _manifest_bytes(manifest))
        return manifest

    def path(self, agency: str, day: date) -> str:
        """Where the file lies, relative to the outbox. PlacementFileError for an agency that cannot name a folder."""
        try:
            return f"agency/{files.file_name(agency)}/{day.isoformat()}.csv"
        except ValueError as error:
            raise PlacementFileError(f"agency {error}") from None


def _cells(row: PlacementRow) -> list[str]:
    return [
        *(text_cell(getattr(row, name)) for name in _TEXTS),
        _phone_cell(row.phone),
        *(text_cell(getattr(row.address, name)) for name in _ADDRESS),
        row.balance.currency,
        row.balance.decimal_text(),
        row.due_date.isoformat(),
        str(row.days_past_due),
        _instant_cell(row),
    ]


def _instant_cell(row: PlacementRow) -> str:
    placed_at = datetime.fromisoformat(row.placed_at)
    if placed_at.tzinfo is None:
        raise PlacementFileError(f"placement {row.placement_id}: placed_at has no zone")
    return f"{placed_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _phone_cell(phone: str) -> str:
    """E.164 keeps its plus: a spreadsheet can make nothing but a number of it."""
    return phone if phone[:1] == "+" and phone[1:].isascii() and phone[1:].isdigit() else text_cell(phone)


def _sums(rows: Iterable[PlacementRow]) -> tuple[CurrencySum, ...]:
    totals: dict[str, Money] = {}
    for row in rows:
        currency = row.balance.currency
        totals[currency] = totals[currency] + row.balance if currency in totals else row.balance
    return tuple(CurrencySum(currency, total.decimal_text()) for currency, total in sorted(totals.items()))


def _manifest_bytes(manifest: Manifest) -> bytes:
    return (json.dumps(to_json(manifest), indent=2, ensure_ascii=False) + "\n").encode()


def _write_once(path: Path, content: bytes) -> None:
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        pass
    files.write_atomically(path, content)
