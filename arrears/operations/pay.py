"""Money in and back, charges and corrections: each once per reference, with its consequences, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlmodel import select

import models
from arrears.clock import iso
from arrears.engine.life.events import Adjustment, Charge, LifeEvent, Payment, Residue, Reversal
from arrears.engine.money import Money
from arrears.ledger.cases import UnknownAccount, read_case_file
from arrears.ledger.life import key_of
from arrears.operations.inbox import EventRefused, receive
from arrears.operations.services import Services, instant

# The registers in which these are kept; within one, a reference comes once.
PAYMENTS, REVERSALS, CHARGES, ADJUSTMENTS, LEFTOVERS = "payments", "reversals", "charges", "adjustments", "leftovers"


class ChargeKind(StrEnum):
    """What may be charged."""

    FEE = "fee"
    INTEREST = "interest"


class PaymentRefused(EventRefused):
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
    """Post `amount` (text is read in the account's currency), received by the lender at `at`.

    It lowers the balance and covers the oldest amount due first; when nothing that was missed is unpaid any
    more the case closes at once. Raises UnknownAccount, MoneyError and EventRefused.
    """
    money = in_currency(services, account_id, amount, what="payment")
    if not reference.strip():
        raise PaymentRefused("a payment needs a reference")
    event = Payment(key=key_of(PAYMENTS, reference), at=at, amount=money.amount)
    return post(services, account_id, event, source=source, who=who)


def reverse(
    services: Services,
    account_id: str,
    of: str,
    *,
    amount: Money | str | None,
    reference: str,
    at: datetime,
    source: str,
    who: str,
) -> Posted:
    """Take the payment with reference `of` back, or `amount` of it: returned unpaid, charged back.

    What it paid is owed again, since when it was; a case it closed goes on where it was. One whose payment
    is not known yet waits for it. Raises UnknownAccount, MoneyError and EventRefused.
    """
    money = None if amount is None else in_currency(services, account_id, amount, what="reversal")
    key, of_key = key_of(REVERSALS, reference), key_of(PAYMENTS, of)
    with services.ledger.read() as session:
        paid = session.exec(
            select(models.LifeEvent).where(models.LifeEvent.source == PAYMENTS, models.LifeEvent.external_id == of)
        ).first()
    if paid is not None and paid.account_id != account_id:
        raise PaymentRefused(f"payment {of!r} was made to another account")
    event = Reversal(key=key, at=at, of=of_key, amount=money.amount if money else None)
    return post(services, account_id, event, source=source, who=who)


def charge(
    services: Services,
    account_id: str,
    kind: ChargeKind,
    amount: Money | str,
    *,
    reference: str,
    at: datetime,
    source: str,
    who: str,
) -> Posted:
    """Add a fee or interest, owed at once while the account is behind. Raises as `pay` does."""
    money = in_currency(services, account_id, amount, what="charge")
    event = Charge(key=key_of(CHARGES, reference), at=at, kind=str(kind), amount=money.amount)
    return post(services, account_id, event, source=source, who=who)


def adjust(
    services: Services, account_id: str, amount: Money | str, *, reference: str, at: datetime, source: str, who: str
) -> Posted:
    """Correct what is owed by `amount`: below zero it is less, as if paid. Raises as `pay` does."""
    money = in_currency(services, account_id, amount, what="correction", signed=True)
    event = Adjustment(key=key_of(ADJUSTMENTS, reference), at=at, amount=money.amount)
    return post(services, account_id, event, source=source, who=who)


def leftover(
    services: Services,
    account_id: str,
    *,
    waive: bool,
    reference: str = "",
    at: datetime,
    source: str = "decision",
    who: str,
) -> Posted:
    """Decide about fees and interest left when everything else is paid: waive them, or go on for them.

    One told under a `reference` of its own may come before what it decides. Raises UnknownAccount, and
    PaymentRefused when nothing of the kind waits.
    """
    with services.ledger.read() as session:
        if session.get(models.Account, account_id) is None:
            raise UnknownAccount(account_id)
        file = read_case_file(session, account_id)
    if not file.books().residue and not reference:
        raise PaymentRefused(f"account {account_id} has no charges left over to decide about")
    # Another decision may be made while a virtual clock stands still.
    reference = reference or f"{account_id}/{iso(at)}/{len(file.life)}"
    event = Residue(key=key_of(LEFTOVERS, reference), at=at, waive=waive)
    return post(services, account_id, event, source=source, who=who)


def post(services: Services, account_id: str, event: LifeEvent, *, source: str, who: str) -> Posted:
    """Take the event in as of where the ledger's time stands, or of when it happens if that is later."""
    taken = receive(
        services,
        account_id,
        event,
        received_at=max(event.at, instant(services, None)),
        via=source,
        who=who,
    )
    return Posted(account_id, event.key.partition(":")[2], taken.new, taken.closed)


def in_currency(
    services: Services,
    account_id: str,
    amount: Money | str,
    *,
    what: str,
    signed: bool = False,
    may_be_zero: bool = False,
) -> Money:
    """The amount in the account's currency, above zero unless `signed` or zero is allowed.

    Raises UnknownAccount, MoneyError and PaymentRefused.
    """
    with services.ledger.read() as session:
        account = session.get(models.Account, account_id)
    if account is None:
        raise UnknownAccount(account_id)
    money = Money.parse(amount, account.currency) if isinstance(amount, str) else amount
    if money.currency != account.currency:
        raise PaymentRefused(f"account {account_id} is kept in {account.currency}, not {money.currency}")
    if (money.amount == 0 and not may_be_zero) or (money.amount < 0 and not signed):
        raise PaymentRefused(f"the amount of a {what} must {'not be' if signed else 'be above'} zero")
    return money
