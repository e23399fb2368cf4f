"""Post a payment: once per reference, with its consequences, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

import models
from arrears.clock import iso
from arrears.engine.money import Money
from arrears.engine.vocabulary import CaseStatus
from arrears.ledger.cases import CaseFile, read_case_file
from arrears.ledger.events import log_event
from arrears.operations.call_queue import cancel_open_tasks
from arrears.operations.close import close_case
from arrears.operations.services import Services
from arrears.operations.wake import make_due


class PaymentRefused(Exception):
    """The payment was not posted; the message says why."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a payment. `new` is False when this reference was posted before."""

    account_id: str
    reference: str
    new: bool
    closed: bool


def pay(
    services: Services, account_id: str, amount: Money | str, *, reference: str, at: datetime, source: str, who: str
) -> Posted:
    """Post `amount` (text is read in the account's currency), received at `at`.

    The past-due amount and the balance shrink by it, each at most to zero for the former; when nothing is
    past due any more the case closes at once. Raises UnknownAccount, MoneyError and PaymentRefused.
    """
    wall = services.clock.wall()
    with services.ledger.write() as session:
        file = read_case_file(session, account_id, lock=True)
        account = file.account
        money = Money.parse(amount, account.currency) if isinstance(amount, str) else amount
        if money.currency != account.currency:
            raise PaymentRefused(f"account {account_id} is kept in {account.currency}, not {money.currency}")
        if money.amount <= 0:
            raise PaymentRefused("the amount of a payment must be above zero")
        if not reference.strip():
            raise PaymentRefused("a payment needs a reference")
        before = session.get(models.Payment, reference)
        if before is not None:
            if (before.account_id, before.amount) != (account_id, money.amount):
                raise PaymentRefused(f"reference {reference!r} was already used for another payment")
            return Posted(account_id, reference, new=False, closed=file.case.status == CaseStatus.CLOSED)
        payment = models.Payment(
            reference=reference,
            account_id=account_id,
            amount=money.amount,
            currency=money.currency,
            paid_at=at,
            received_at=at,
            source=source,
        )
        session.add(payment)
        file.payments.append(payment)
        account.amount_due = max(account.amount_due - money.amount, 0)
        account.balance -= money.amount
        session.add(account)
        data = {"reference": reference, "paid_at": iso(at)}
        log_event(session, "payment", who=who, at=at, wall=wall, case=file.case, why=source, data=data)
        _consequences(session, file, at=at, wall=wall, who=who)
        return Posted(account_id, reference, new=True, closed=file.case.status == CaseStatus.CLOSED)


def _consequences(session: Session, file: CaseFile, *, at: datetime, wall: datetime, who: str) -> None:
    if file.account.amount_due <= 0:
        outcome = "paid" if file.account.balance <= 0 else "cured"
        close_case(session, file, outcome, who=who, at=at, wall=wall)
        # The case may have been closed before, by a referral, with a call still in the queue.
        cancel_open_tasks(session, file.account.id, at=at)
    make_due(session, file.case, at=at)
