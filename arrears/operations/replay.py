"""Everything an account's life events amount to, reckoned again: after a repair, or to see that nothing differs."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, col, select

import models
from arrears.ledger.cases import UnknownAccount, lock_person
from arrears.ledger.life import to_event
from arrears.operations.inbox import apply, cases_of
from arrears.operations.restrict import restrict
from arrears.operations.services import Services, instant


def replay(services: Services, account_id: str, *, who: str) -> bool:
    """Reckon balances, cases, holds and consents of the account anew from its events; whether anything changed.

    No event is added, and nothing that was sent is sent again. Raises UnknownAccount.
    """
    at = instant(services, None)
    with services.ledger.write() as session:
        others = lock_person(session, account_id)
        account = session.get(models.Account, account_id, with_for_update=True, populate_existing=True)
        if account is None:
            raise UnknownAccount(account_id)
        before = _state(session, account)
        _restrict_again(session, account)
        apply(services, session, account, cases_of(session, account), others, at=at, who=who)
        session.flush()
        return _state(session, account) != before


def all_accounts(services: Services) -> list[str]:
    """Every account's id."""
    with services.ledger.read() as session:
        return list(session.exec(select(models.Account.id).order_by(col(models.Account.id))).all())


def _restrict_again(session: Session, account: models.Account) -> None:
    """The rows that follow from events, from the events; rows that came with the portfolio stay."""
    for kind in (models.Hold, models.Consent):
        for row in session.exec(select(kind).where(kind.account_id == account.id, col(kind.event_id).is_not(None))):
            session.delete(row)
    session.flush()
    told = select(models.LifeEvent).where(models.LifeEvent.account_id == account.id).order_by(col(models.LifeEvent.id))
    for row in session.exec(told).all():
        restrict(session, account, row, to_event(row))
        session.flush()


def _state(session: Session, account: models.Account) -> list[Any]:
    """What can differ, without the keys of rows that were made anew."""
    holds = session.exec(select(models.Hold).where(models.Hold.account_id == account.id)).all()
    consents = session.exec(select(models.Consent).where(models.Consent.account_id == account.id)).all()
    return [
        (account.amount_due, account.balance),
        [(c.began, c.due_date, c.status, c.outcome, c.closed_at) for c in cases_of(session, account)],
        sorted((h.event_id or 0, h.kind, str(h.channel), str(h.until), str(h.released_at)) for h in holds),
        sorted((c.event_id or 0, c.channel, str(c.withdrawn_at)) for c in consents),
    ]
