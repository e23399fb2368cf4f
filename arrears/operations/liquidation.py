"""The liquidation report and the account with each agency, from the ledger's rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from sqlmodel import Session, col, func, select

import models
from arrears.engine.liquidation import Cash, Liquidation, Placing, liquidation
from arrears.engine.money import Money
from arrears.ledger.events import log_event
from arrears.operations.agencies import REMITTANCES
from arrears.operations.inbox import EventRefused
from arrears.operations.partner_books import cash_on, signed
from arrears.operations.pay import PAYMENTS
from arrears.operations.services import Services, instant


@dataclass(frozen=True, slots=True)
class Statement:
    """How the bank stands with one agency in one currency, in minor units.

    `owed` is what the agency still owes: `collected` less `commission` less what was `received` from it. Below zero the
    bank owes it.
    """

    agency: str
    currency: str
    collected: int
    commission: int
    received: int

    @property
    def owed(self) -> int:
        """Collected minus commission minus received."""
        return self.collected - self.commission - self.received


class ReceiptRefused(EventRefused):
    """The receipt was not recorded; the message says why."""


def liquidation_report(
    services: Services,
    *,
    by_agency: bool = True,
    by_vintage: bool = True,
    begins: date | None = None,
    ends: date | None = None,
    now: datetime | None = None,
) -> list[Liquidation]:
    """Placements made from the day `begins` until before the day `ends` (UTC), as they stand at `now`."""
    placement = models.Placement
    chosen = (col(placement.at) >= _midnight(begins or date.min)) & (col(placement.at) < _midnight(ends or date.max))
    with services.ledger.read() as session:
        rows = session.exec(select(placement).where(chosen))
        placings = [Placing(row.reference, row.agency, row.at, row.balance, row.currency) for row in rows]
        cash = [_cash(event) for event, _ in cash_on(session, chosen)]
        cash += _returned_to_us(session)
    return liquidation(placings, cash, by_agency=by_agency, by_vintage=by_vintage, now=now or instant(services, None))


def statements(services: Services, *, now: datetime | None = None) -> list[Statement]:
    """The account with every agency that collected or sent anything, up to `now`."""
    moment = now or instant(services, None)
    lines = {
        (line.agency, line.currency): line
        for line in liquidation_report(services, by_vintage=False, now=moment)
        if line.collected or line.commission
    }
    receipt = models.AgencyReceipt
    with services.ledger.read() as session:
        sums = select(receipt.partner, receipt.currency, func.sum(receipt.amount)).where(col(receipt.at) <= moment)
        received = {
            (partner, currency): int(amount)
            for partner, currency, amount in session.exec(sums.group_by(receipt.partner, receipt.currency))
        }
    return [
        Statement(
            *key,
            lines[key].collected if key in lines else 0,
            lines[key].commission if key in lines else 0,
            received.get(key, 0),
        )
        for key in sorted(lines.keys() | received.keys())
    ]


def receive_from(
    services: Services, partner: str, amount: str, currency: str, *, reference: str, at: datetime, who: str
) -> bool:
    """Record that `amount` arrived from a partner, below zero: went back to it; False when the reference is known.

    Raises MoneyError and ReceiptRefused.
    """
    money = Money.parse(amount, currency)
    if not money.amount or not reference.strip():
        raise ReceiptRefused("a receipt needs an amount that is not zero, and a reference")
    with services.ledger.write() as session:
        if partner not in services.partners.by_name and not _placed_with(session, partner):
            raise ReceiptRefused(f"there is no agency {partner!r}")
        known = session.get(models.AgencyReceipt, (partner, reference), with_for_update=True)
        if known is not None:
            if (known.amount, known.currency) != (money.amount, currency):
                raise ReceiptRefused(f"reference {reference!r} was already used for another receipt of {partner}")
            return False
        session.add(
            models.AgencyReceipt(
                partner=partner, reference=reference, amount=money.amount, currency=currency, at=at, who=who
            )
        )
        data: dict[str, object] = {"partner": partner, "reference": reference}
        log_event(session, "received from partner", who=who, at=at, wall=services.clock.wall(), data=data)
    return True


def _placed_with(session: Session, agency: str) -> bool:
    row = select(models.Placement.reference).where(models.Placement.agency == agency).limit(1)
    return session.exec(row).first() is not None


def _cash(event: models.LifeEvent) -> Cash:
    gross, commission = signed(event)
    return Cash(event.data["placement"], event.happened_at, gross, commission)


def _returned_to_us(session: Session) -> list[Cash]:
    """Payments through agencies that the bank itself saw taken back, of which the agencies have not told.

    The commission on them stays what it is until the agency gives it back.
    """
    event = models.LifeEvent
    prefix = f"{PAYMENTS}:remittance/"
    reversals = session.exec(
        select(event).where(
            event.kind == "reversal",
            col(event.data)["of"].as_string().startswith(prefix),
            ~col(event.external_id).startswith("remittance/"),
        )
    ).all()
    found: list[Cash] = []
    for row in reversals:
        name = str(row.data["of"]).removeprefix(prefix)
        paid = session.exec(select(event).where(event.source == REMITTANCES, event.external_id == name)).first()
        if paid is not None and paid.kind == "remittance":
            amount = row.data["amount"] if row.data["amount"] is not None else paid.data["gross"]
            found.append(Cash(paid.data["placement"], row.happened_at, -int(amount), 0))
    return found


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(0), tzinfo=UTC)
