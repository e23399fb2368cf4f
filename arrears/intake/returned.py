"""The file of mail that came back: one row per letter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

from arrears.engine.vocabulary import ReturnReason
from arrears.intake.fields import Cells
from arrears.intake.rows import Record, RejectedRow, read_records

REQUIRED = ("reference", "returned_on", "reason")
_LONGEST_REFERENCE = 16


@dataclass(frozen=True, slots=True)
class ReturnedRow:
    """One good row. `reference` is the letter's; `returned_at` midnight UTC of the day it came back."""

    line: int
    reference: str
    returned_at: datetime
    reason: ReturnReason
    raw: tuple[str, ...]

    @property
    def account_id(self) -> str:
        """Known once the letter is found."""
        return ""


def read_returned(path: Path) -> Iterator[ReturnedRow | RejectedRow]:
    """Good rows and rejected ones, in the file's order.

    Raises PortfolioError before the first row when the file as a whole cannot be read.
    """
    for record in read_records(path, required=REQUIRED):
        yield _row(record) if isinstance(record, Record) else record


def _row(record: Record) -> ReturnedRow | RejectedRow:
    cells = Cells(record.cells)
    reference = cells.text("reference", required=True).upper()
    if len(reference) > _LONGEST_REFERENCE:
        cells.problems.append("reference is longer than a letter's; expected what is printed on it, such as 7K3M9QXZ")
    day = cells.day("returned_on", required=True)
    word = cells.text("reason", required=True).lower().replace(" ", "_").replace("-", "_")
    reason = ReturnReason(word) if word in set(ReturnReason) else None
    if word and reason is None:
        cells.problems.append(f"reason is not known; expected one of {', '.join(ReturnReason)}")
    if cells.problems or day is None or reason is None:
        return RejectedRow(record.line, "", "; ".join(cells.problems), record.raw)
    return ReturnedRow(record.line, reference, datetime.combine(day, time(0), tzinfo=UTC), reason, record.raw)
