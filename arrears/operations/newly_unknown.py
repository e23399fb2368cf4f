"""Steps that became `unknown` since this was asked last: what only a person can settle, told once."""

from __future__ import annotations

import json
from typing import Final

from sqlmodel import col, func, select

import models
from arrears.engine.vocabulary import StepStatus
from arrears.ledger import state
from arrears.operations.services import Services

UNKNOWN_TOLD: Final = "unknown_told"
# Numbers of the log are given out before they are committed: the last ones are read once more.
_AGAIN: Final = 2_000
_FAR_BACK: Final = 100_000


def newly_unknown(services: Services, *, limit: int = 200) -> tuple[str, ...]:
    """The accounts of those steps, at most `limit`; the rest next time. Costs a look at the log's newest rows."""
    event = models.Event
    with services.ledger.write() as session:
        newest = session.exec(select(func.max(event.id))).one() or 0
        kept = json.loads(state.get(session, UNKNOWN_TOLD) or "{}")
        mark, told = kept.get("mark", newest - _FAR_BACK), kept.get("told", [])
        found = session.exec(
            select(event.id, event.account_id)
            .where(col(event.id) > mark - _AGAIN, event.what == str(StepStatus.UNKNOWN), col(event.id).not_in(told))
            .order_by(col(event.id))
            .limit(limit)
        ).all()
        if len(found) == limit:
            newest = found[-1][0] or newest
        told = [number for number in (*told, *(number for number, _ in found)) if number > newest - _AGAIN]
        state.put(session, UNKNOWN_TOLD, json.dumps({"mark": newest, "told": told}))
    return tuple(dict.fromkeys(account for _, account in found if account))
