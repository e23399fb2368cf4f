"""What is before courts: every referral, how it stands, and whom it was handed to."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, col, select

import models
from arrears.clock import iso
from arrears.engine.life.placements import Referral, referrals
from arrears.engine.money import Money
from arrears.ledger.life import to_event
from arrears.operations.services import Services


def all_referrals(services: Services, *, limit: int) -> list[dict[str, Any]]:
    """Referrals and how they stand, the newest first, as `arrears legal list --json` has them."""
    newest = (
        select(models.Referral).order_by(col(models.Referral.at).desc(), col(models.Referral.reference)).limit(limit)
    )
    with services.ledger.read() as session:
        return [_shown(session, row) for row in session.exec(newest).all()]


def _shown(session: Session, row: models.Referral) -> dict[str, Any]:
    state = _standing(session, row)
    currency = session.get_one(models.Account, row.account_id).currency
    return {
        "referral": row.reference,
        "account_id": row.account_id,
        "firm": row.firm or None,
        "at": iso(row.at),
        "approved_by": row.approved_by,
        "status": state.status,
        "reported_at": iso(state.reported_at) if state.reported_at else None,
        "detail": state.wanted or state.detail,
        "judgment": Money(state.judgment, currency).decimal_text() if state.judgment is not None else None,
        "file": row.path,
        "sha256": row.sha256,
    }


def _standing(session: Session, row: models.Referral) -> Referral:
    told = select(models.LifeEvent).where(
        models.LifeEvent.account_id == row.account_id, models.LifeEvent.kind == "referral_report"
    )
    [state] = referrals([(row.reference, row.at)], [to_event(each) for each in session.exec(told).all()])
    return state
