"""Files for agencies that a transaction makes owed: their rows are one a day for everybody, so they are locked last.

A transaction that kept one while it went on to lock what others have, or that locked two in another order than others
do, could wait for somebody who waits for it.
"""

from __future__ import annotations

from datetime import date

from sqlmodel import Session

import models
from arrears.ledger.absent import insert_into

AgencyBatch = models.PlacementBatch | models.RecallBatch
_OWED = "owed"


def owe_file(session: Session, kind: type[AgencyBatch], agency: str, day: date) -> None:
    """The agency's batch of the day owes its file from this transaction on."""
    session.info.setdefault(_OWED, {})[kind.__name__, agency, day] = kind


def write_owed(session: Session) -> None:
    """With the commit. Whoever writes the file meanwhile is waited for, and so wrote without our rows."""
    owed: dict[tuple[str, str, date], type[AgencyBatch]] = session.info.pop(_OWED, {})
    for (_, agency, day), kind in sorted(owed.items(), key=lambda each: each[0]):
        values = {"agency": agency, "day": day, "path": "", "count": 0, "sha256": "", "unwritten": True}
        marked = insert_into(session, kind).values(**values)
        session.connection().execute(
            marked.on_conflict_do_update(index_elements=["agency", "day"], set_={"unwritten": True})
        )
