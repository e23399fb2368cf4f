"""The payment file: one row per payment received."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from arrears.engine.money import Money
from arrears.intake.fields import Cells
from arrears.intake.rows import Record, RejectedRow, read_records, unknown_columns

REQUIRED = ("account_id", "amount", "currency", "reference", "paid_at")
OPTIONAL = ("method",)

_LONGEST_REFERENCE = 128


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """One good row; `paid_at` is aware UTC."""

    line: int
    account_id: str
    amount: Money
    reference: str
    paid_at: datetime
    raw: tuple[str, ...]


def read_payments(path: Path) -> Iterator[PaymentRow | RejectedRow]:
    """Good rows and rejected ones, in the file's order. A `paid_at` that is a date alone means its midnight UTC.

    A reference may come twice: what posts the payments counts it once. Raises PortfolioError before the first
    row when the file as a whole cannot be read.
    """
    for record in read_records(path, required=REQUIRED, optional=OPTIONAL):
        yield _row(record) if isinstance(record, Record) else record


def payment_warnings(path: Path) -> tuple[str, ...]:
    """What is odd about the file and no reason to refuse it: a line for each column that nothing reads."""
    unknown = unknown_columns(path, required=REQUIRED, optional=OPTIONAL)
    return tuple(f"{path.name}: column {name[:40]!r} is not known and not read" for name in unknown)


def _row(record: Record) -> PaymentRow | RejectedRow:
    cells = Cells(record.cells)
    account_id = cells.account_id()
    amount = cells.money("amount", cells.currency(), required=True)
    if amount is not None and amount.amount == 0:
        cells.problems.append("amount is zero")
    reference = cells.reference("reference", longest=_LONGEST_REFERENCE)
    paid_at = cells.instant("paid_at")
    if cells.problems or amount is None or paid_at is None:
        return RejectedRow(record.line, account_id, "; ".join(cells.problems), record.raw)
    return PaymentRow(record.line, account_id, amount, reference, paid_at, record.raw)
