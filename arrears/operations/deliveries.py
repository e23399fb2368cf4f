"""What the provider reports about texts, in any order, maybe before we know that it took them."""

from __future__ import annotations

from typing import Any, Final

from sqlmodel import Session, col, select

import models
from arrears.ledger.events import log_event
from arrears.operations.services import Services

# How far a text or a call has come. A report that says less than is known comes late and changes nothing.
_RANK: Final = {
    **dict.fromkeys(("accepted", "scheduled", "queued", "initiated"), 0),
    **dict.fromkeys(("sending", "ringing"), 1),
    **dict.fromkeys(("sent", "in-progress"), 2),
    **dict.fromkeys(("undelivered", "failed", "canceled", "busy", "no-answer"), 3),
    **dict.fromkeys(("delivered", "completed"), 4),
    "read": 5,
}


def report(services: Services, reference: str, *, sid: str, status: str, error_code: str) -> bool:
    """Keep the furthest status of the text with this reference; whether anything is new.

    It proves that the provider took the text: an intent cut short is settled by it without a look-up.
    """
    if status not in _RANK:
        return False
    wall, now = services.clock.wall(), services.clock.now()
    with services.ledger.write() as session:
        step = session.exec(select(models.Step).where(models.Step.reference == reference).with_for_update()).first()
        if step is None:
            return False
        known = session.get(models.Delivery, reference)
        data: dict[str, object] = {"reference": reference, "rung": step.rung}
        told: dict[str, Any] = {"who": "provider", "at": now, "wall": wall, "account_id": step.account_id}
        if known is not None and known.sid != sid:
            why = "the provider names two texts with one reference"
            log_event(session, "for a person", why=why, data=data, **told)
            return True
        if known is not None and _RANK[known.status] >= _RANK[status]:
            return False
        row = known or models.Delivery(reference=reference, sid=sid, status=status, at=wall)
        row.status, row.error_code, row.at = status, error_code, wall
        session.add(row)
        data |= {"status": status} | ({"error_code": error_code} if error_code else {})
        log_event(session, "delivery", data=data, **told)
        return True


def proof_of(session: Session, reference: str) -> str | None:
    """The provider's name for the text, if it has reported on it."""
    return session.exec(select(models.Delivery.sid).where(models.Delivery.reference == reference)).first()


def deliveries_of(session: Session, references: list[str]) -> dict[str, models.Delivery]:
    """What is known of these texts, by reference."""
    rows = session.exec(select(models.Delivery).where(col(models.Delivery.reference).in_(references)))
    return {row.reference: row for row in rows}
