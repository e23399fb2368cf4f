"""Writes the append-only log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session

import models
from arrears.ledger.writing import insert_log

_LOG = "log"


def log_event(
    session: Session,
    what: str,
    *,
    who: str,
    at: datetime,
    wall: datetime,
    case: models.Case | None = None,
    account_id: str | None = None,
    why: str = "",
    data: dict[str, Any] | None = None,
) -> None:
    """Record that `who` did `what` about a case, or an account that has none.

    `data` holds ids and codes, never a name, number or balance. It is written with the commit, all of a transaction
    at once.
    """
    row = {
        "account_id": case.account_id if case else account_id,
        "case_id": case.id if case else None,
        "at": at,
        "wall": wall,
        "who": who,
        "what": what,
        "why": why,
        "data": data or {},
    }
    session.info.setdefault(_LOG, []).append(row)


def write_log(session: Session) -> None:
    """What the transaction has recorded goes into the ledger with it."""
    if rows := session.info.pop(_LOG, None):
        insert_log(session, rows)
