"""Answers that partners owe us: placements not acknowledged, final recalls not closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

import models
from arrears.engine.life.placements import PlacementReport
from arrears.operations.services import Services


@dataclass(frozen=True, slots=True)
class Overdue:
    """An answer that has not come."""

    account_id: str
    placement: str
    agency: str
    what: str


def overdue(services: Services, session: Session, *, now: datetime, limit: int) -> list[Overdue]:
    """What partners that have a file should have answered by `now`, the oldest first.

    Anything said of a placement, and money that came for it, acknowledges it; a final recall is answered by its return.
    """
    found: list[Overdue] = []
    for partner in services.partners.by_name.values():
        if partner.answers_within is None:
            continue
        before = now - timedelta(days=partner.answers_within)
        for placement in _unacknowledged(session, partner.name, before, limit):
            since = f"{placement.at:%Y-%m-%d}"
            what = f"{partner.name} has not acknowledged placement {placement.reference} of {since}"
            found.append(Overdue(placement.account_id, placement.reference, partner.name, what))
        for recall in _unanswered(session, partner.name, before, limit):
            what = f"{partner.name} has not closed placement {recall.placement}, called back on {recall.at:%Y-%m-%d}"
            found.append(Overdue(recall.account_id, recall.placement, partner.name, what))
    return found[:limit]


def _unacknowledged(session: Session, agency: str, before: datetime, limit: int) -> Sequence[models.Placement]:
    placement, recall = models.Placement, models.Recall
    heard = _told(placement.account_id, placement.reference, ("placement_report", "remittance"))
    back = select(recall.placement).where(recall.placement == placement.reference, col(recall.final)).exists()
    return session.exec(
        select(placement)
        .where(placement.agency == agency, placement.at <= before, ~heard, ~back)
        .order_by(col(placement.at))
        .limit(limit)
    ).all()


def _unanswered(session: Session, agency: str, before: datetime, limit: int) -> Sequence[models.Recall]:
    recall, ends = models.Recall, (PlacementReport.RETURNED, PlacementReport.REFUSED)
    closed = _told(
        recall.account_id,
        recall.placement,
        ("placement_report",),
        col(models.LifeEvent.data)["report"].as_string().in_([str(each) for each in ends]),
    )
    return session.exec(
        select(recall)
        .where(recall.agency == agency, col(recall.final), recall.at <= before, ~closed)
        .order_by(col(recall.at))
        .limit(limit)
    ).all()


def _told(account_id: Any, placement: Any, kinds: Sequence[str], *more: Any) -> Any:
    event = models.LifeEvent
    of_it = col(event.data)["placement"].as_string() == placement
    return select(event.id).where(event.account_id == account_id, col(event.kind).in_(kinds), of_it, *more).exists()
