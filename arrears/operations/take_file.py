"""A file of facts in: every good row taken once, bad ones refused by line and reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from arrears.engine.money import MoneyError
from arrears.intake.events import EventRow, read_events
from arrears.intake.payments import PaymentRow, read_payments
from arrears.intake.returned import ReturnedRow, read_returned
from arrears.intake.rows import RejectedRow, write_rejected
from arrears.ledger.cases import UnknownAccount
from arrears.operations.inbox import EventRefused
from arrears.operations.mail import returned
from arrears.operations.pay import Posted, pay
from arrears.operations.services import Services
from arrears.operations.tell import tell


class _GoodRow(Protocol):
    """What every good row has."""

    @property
    def line(self) -> int: ...
    @property
    def account_id(self) -> str: ...
    @property
    def raw(self) -> tuple[str, ...]: ...


_Row = TypeVar("_Row", bound=_GoodRow)


@dataclass(slots=True)
class TakenFile:
    """What came of a file. `touched` lists the accounts to which something new happened."""

    path: Path
    rows: int = 0
    touched: list[str] = field(default_factory=list[str])
    already: int = 0
    closed: int = 0
    rejected: list[RejectedRow] = field(default_factory=list[RejectedRow])


# A reader of one kind of file: takes each good row in unless it is a dry run.
FileTaker = Callable[..., TakenFile]


def take_payment_file(services: Services, path: Path, *, who: str, dry_run: bool = False) -> TakenFile:
    """Post the file's payments, each in its own transaction. Raises PortfolioError for the file as a whole."""

    def post(row: PaymentRow) -> Posted:
        told = {"reference": row.reference, "source": path.name, "who": who}
        return pay(services, row.account_id, row.amount, at=row.paid_at, **told)

    return _take(path, read_payments(path), post, dry_run=dry_run)


def take_event_file(services: Services, path: Path, *, who: str, dry_run: bool = False) -> TakenFile:
    """Take the file's events in, each in its own transaction. Raises PortfolioError for the file as a whole."""

    def told(row: EventRow) -> Posted:
        return tell(services, row.document, source=path.name, who=who)

    return _take(path, read_events(path), told, dry_run=dry_run)


def take_returned_file(services: Services, path: Path, *, who: str, dry_run: bool = False) -> TakenFile:
    """Take mail that came back in, letter by letter. Raises PortfolioError for the file as a whole."""

    def back(row: ReturnedRow) -> Posted:
        return returned(services, row.reference, row.reason, at=row.returned_at, source=path.name, who=who)

    return _take(path, read_returned(path), back, dry_run=dry_run)


def _take(
    path: Path, rows: Iterable[_Row | RejectedRow], take: Callable[[_Row], Posted], *, dry_run: bool
) -> TakenFile:
    result = TakenFile(path)
    for row in rows:
        result.rows += 1
        if isinstance(row, RejectedRow):
            result.rejected.append(row)
            continue
        if dry_run:
            continue
        try:
            taken = take(row)
        except (UnknownAccount, EventRefused, MoneyError) as error:
            result.rejected.append(RejectedRow(row.line, row.account_id, str(error.args[0]), row.raw))
            continue
        if taken.new:
            result.touched.append(taken.account_id)
        else:
            result.already += 1
        result.closed += taken.new and taken.closed
    if not dry_run:
        write_rejected(path, result.rejected)
    return result
