"""Placement and recall files: one of each an agency and day, and a manifest with control totals written last.

The caller holds the lock of the batch; these functions only make the files say what the rows say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from arrears.channels import files, latitude, ygc
from arrears.channels.agency_rows import PlacementFileError, PlacementRow, RecallRow
from arrears.engine.money import Money
from arrears.engine.partners import Layout, Partner
from arrears.rendering.stored import to_json
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

    def write(
        self,
        agency: str,
        day: date,
        rows: Iterable[PlacementRow],
        *,
        partner: Partner | None = None,
        numbers: Mapping[str, int] | None = None,
    ) -> Manifest:
        """Makes the file of `agency` and `day` hold exactly `rows`, in order of placement id, in `partner`'s layout.

        The same rows give the same bytes, and a file that already has them is left alone. `numbers`: of each
        placement, where the layout knows it by one.
        PlacementFileError for an agency that cannot name a folder, an id that comes twice, or an instant
        without a zone; OSError from the disk, after which the old file and manifest, or a file without a
        valid manifest, stand.
        """
        partner = partner or Partner(agency)
        ordered = sorted(rows, key=lambda row: row.placement_id)
        for first, second in pairwise(ordered):
            if first.placement_id == second.placement_id:
                raise PlacementFileError(f"placement {first.placement_id} comes twice in {agency} {day}")
        sums = _sums(ordered)
        _require_currency(partner, sums, day)
        path = self.path(agency, day, partner.layout)
        match partner.layout:
            case Layout.ARREARS_CSV:
                content = csv_bytes(COLUMNS, (_cells(row) for row in ordered))
                _write_once(self._outbox / path, content)
                written = files.Written(files.digest(content), len(content))
                return self._vouched(FORMAT, agency, day, path, len(ordered), sums, written)
            case Layout.LATITUDE_AIM:
                lines = latitude.placement_lines(partner, day, ordered, numbers or {})
                written = files.write_lines(self._outbox / path, lines)
                return self._vouched(latitude.PLACEMENTS, agency, day, path, len(ordered), sums, written)
            case Layout.YGC:
                written = files.write_lines(self._outbox / path, ygc.placement_lines(partner, ordered, numbers or {}))
                return self._vouched(ygc.PLACEMENTS, agency, day, path, len(ordered), sums, written)

    def write_recalls(
        self,
        agency: str,
        day: date,
        rows: Iterable[RecallRow],
        *,
        partner: Partner | None = None,
        numbers: Mapping[str, int] | None = None,
    ) -> Manifest:
        """Makes the recall file of `agency` and `day` hold exactly `rows`, in order of placement id; as `write`."""
        partner = partner or Partner(agency)
        ordered = sorted(rows, key=lambda row: (row.placement_id, row.recall))
        path = self.recall_path(agency, day, partner.layout)
        match partner.layout:
            case Layout.ARREARS_CSV:
                content = csv_bytes(RECALL_COLUMNS, map(_recall_cells, ordered))
                _write_once(self._outbox / path, content)
                written = files.Written(files.digest(content), len(content))
                return self._vouched(RECALL_FORMAT, agency, day, path, len(ordered), (), written)
            case Layout.LATITUDE_AIM:
                lines = latitude.recall_lines(partner, day, ordered, numbers or {})
                written = files.write_lines(self._outbox / path, lines)
                return self._vouched(latitude.RECALLS, agency, day, path, len(ordered), (), written)
            case Layout.YGC:
                written = files.write_lines(self._outbox / path, ygc.recall_lines(partner, ordered, numbers or {}))
                return self._vouched(ygc.RECALLS, agency, day, path, len(ordered), (), written)

    def _vouched(
        self,
        form: str,
        agency: str,
        day: date,
        path: str,
        count: int,
        sums: tuple[CurrencySum, ...],
        written: files.Written,
    ) -> Manifest:
        manifest = Manifest(form, agency, day, path, count, sums, written.sha256, written.size)
        _write_once(manifest_path(self._outbox / path), _manifest_bytes(manifest))
        return manifest

    def path(self, agency: str, day: date, layout: Layout = Layout.ARREARS_CSV) -> str:
        """Where the file lies, relative to the outbox. PlacementFileError for an agency that cannot name a folder."""
        return f"{_folder(agency)}/{day.isoformat()}{_ENDINGS[layout][0]}"

    def recall_path(self, agency: str, day: date, layout: Layout = Layout.ARREARS_CSV) -> str:
        """As `path`, for the recalls of the day."""
        return f"{_folder(agency)}/{day.isoformat()}{_ENDINGS[layout][1]}"


# Of placements and of recalls.
_ENDINGS: Final[Mapping[Layout, tuple[str, str]]] = {
    Layout.ARREARS_CSV: (".csv", ".recalls.csv"),
    Layout.LATITUDE_AIM: (".CPLC.txt", ".CRCL.txt"),
    Layout.YGC: (".ygc.txt", ".recalls.ygc.txt"),
}


def manifest_path(file: Path) -> Path:
    """Where the manifest of a file lies."""
    return file.with_suffix(".manifest.json")


def _folder(agency: str) -> str:
    try:
        return f"agency/{files.file_name(agency)}"
    except ValueError as error:
        raise PlacementFileError(f"agency {error}") from None


def _require_currency(partner: Partner, sums: Sequence[CurrencySum], day: date) -> None:
    """PlacementFileError where the layout cannot say in which currency an amount is."""
    only = partner.layout.currency
    other = [total.currency for total in sums if only is not None and total.currency != only]
    if other:
        raise PlacementFileError(
            f"placements with {partner.name} of {day} are in {', '.join(other)}; {partner.layout} knows {only} alone"
        )


def _recall_cells(row: RecallRow) -> list[str]:
    return [text_cell(getattr(row, name)) for name in RECALL_COLUMNS]


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
