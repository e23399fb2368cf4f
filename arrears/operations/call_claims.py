"""Claims of the call floor as rows: who has which person, and the end of it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

import models


def claim_on(session: Session, holder_id: str) -> models.CallClaim | None:
    """The claim that stands on this person, even if its time is over and nobody has noticed."""
    query = select(models.CallClaim).where(
        models.CallClaim.holder_id == holder_id, col(models.CallClaim.ended_at).is_(None)
    )
    return session.exec(query).first()


def claim_of(session: Session, collector: str) -> models.CallClaim | None:
    """What the collector has."""
    query = select(models.CallClaim).where(
        models.CallClaim.collector == collector, col(models.CallClaim.ended_at).is_(None)
    )
    return session.exec(query).first()


def end_claim(session: Session, held: models.CallClaim, how: str, *, at: datetime) -> None:
    """The person is free again; a claim never lasted longer than it could."""
    held.ended_at, held.how = min(at, held.until), how
    session.add(held)
