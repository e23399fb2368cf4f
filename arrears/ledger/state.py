"""Named values of the ledger itself: the kill switch, the clocks' epochs, the sweep's turn, the day's effects."""

from __future__ import annotations

from sqlmodel import Session

import models

STOPPED = "stopped"
VIRTUAL_NOW = "virtual_now"
LAPSE_EPOCH = "lapse_epoch"
SWEEPING = "sweeping"
EFFECTS_TODAY = "effects_today"
CANCELLED_SEEN = "cancelled_seen"


def get(session: Session, name: str, *, lock: bool = False) -> str | None:
    """The value, or None. With `lock`, nobody else changes it before the transaction ends."""
    row = session.get(models.LedgerState, name, populate_existing=True, with_for_update=lock or None)
    return row.value if row else None


def put(session: Session, name: str, value: str | None) -> None:
    """Set the value; None removes it."""
    row = session.get(models.LedgerState, name)
    if value is None:
        if row is not None:
            session.delete(row)
    elif row is None:
        session.add(models.LedgerState(name=name, value=value))
    else:
        row.value = value
        session.add(row)
