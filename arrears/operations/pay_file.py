"""A payment file in: every good row posted once, bad ones refused by line and reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from arrears.intake.payments import read_payments
from arrears.intake.rows import RejectedRow, write_rejected
from arrears.ledger.cases import UnknownAccount
from arrears.operations.inbox import EventRefused
from arrears.operations.pay import pay
from arrears.operations.services import Services


@dataclass(slots=True)
class PaymentFile:
    """What came of a payment file."""

    path: Path
    rows: int = 0
    posted: list[str] = field(default_factory=list[str])
    already: int = 0
    closed: int = 0
    rejected: list[RejectedRow] = field(default_factory=list[RejectedRow])


def post_payment_file(services: Services, path: Path, *, who: str, dry_run: bool = False) -> PaymentFile:
    """Post the file's payments, each in its own transaction. `posted` lists the accounts touched.

    Raises PortfolioError when the file as a whole cannot be read.
    """
    result = PaymentFile(path)
    for row in read_payments(path):
        result.rows += 1
        if isinstance(row, RejectedRow):
            result.rejected.append(row)
            continue
        if dry_run:
            continue
        try:
            posted = pay(
                services,
                row.account_id,
                row.amount,
                reference=row.reference,
                at=row.paid_at,
                source=path.name,
                who=who,
            )
        except (UnknownAccount, EventRefused) as error:
            result.rejected.append(RejectedRow(row.line, row.account_id, str(error.args[0]), row.raw))
            continue
        if posted.new:
            result.posted.append(row.account_id)
        else:
            result.already += 1
        result.closed += posted.new and posted.closed
    if not dry_run:
        write_rejected(path, result.rejected)
    return result
