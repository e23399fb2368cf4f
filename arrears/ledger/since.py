"""Of whom anything has been written since a moment, as PostgreSQL's own row versions tell."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from arrears.ledger.among import array_of

# A transaction that was not over at the moment has a number from `horizon` on, and so have the rows that it writes.
# Our own transactions wrote of steps and cases what stands in memory; whatever else they wrote is to be read.
_CHANGED: Final = text("""
    WITH written AS MATERIALIZED (SELECT age(CAST(:horizon AS xid)) AS since),
    accounts AS MATERIALIZED (
        SELECT id, holder_id, age(xmin) AS age FROM accounts WHERE holder_id = ANY(CAST(:persons AS text[]))
    )
    SELECT holder_id FROM accounts, written WHERE age <= since
    UNION ALL SELECT holder_id FROM accounts JOIN cases ON account_id = accounts.id, written
        WHERE age(cases.xmin) <= since AND cases.xmin::text <> ALL(:own)
    UNION ALL SELECT holder_id FROM accounts JOIN steps ON account_id = accounts.id, written
        WHERE age(steps.xmin) <= since AND steps.xmin::text <> ALL(:own)
    UNION ALL SELECT holder_id FROM accounts JOIN cases ON account_id = accounts.id
        JOIN approvals ON case_id = cases.id, written WHERE age(approvals.xmin) <= since
    UNION ALL SELECT holder_id FROM accounts JOIN life_events ON account_id = accounts.id, written
        WHERE age(life_events.xmin) <= since
    UNION ALL SELECT holder_id FROM accounts JOIN consents ON account_id = accounts.id, written
        WHERE age(consents.xmin) <= since
    UNION ALL SELECT holder_id FROM accounts JOIN contacts ON account_id = accounts.id, written
        WHERE age(contacts.xmin) <= since
""")
_NOW: Final = text("SELECT CAST(pg_snapshot_xmin(pg_current_snapshot()) AS xid)::text, pg_current_xact_id()::xid::text")


@dataclass(frozen=True, slots=True)
class Since:
    """A moment: everything committed before it shows to whoever reads after it.

    `horizon`: the number of the oldest transaction that was not over. `own`: those of this session so far. Which of the
    later ones were over is not told of savepoints, so all count: a long transaction, wherever on the server, makes
    more be read anew than has changed, never less.
    """

    horizon: str
    own: tuple[str, ...]


def this_instant(session: Session, before: Since | None = None) -> Since | None:
    """The moment, before anything is read, in a transaction that comes after the one of `before`. None on SQLite."""
    if session.get_bind().dialect.name != "postgresql":
        return None
    horizon, own = session.connection().execute(_NOW).one()
    return Since(horizon, (*(before.own if before is not None else ()), own))


def changed_since(session: Session, moment: Since, persons: Collection[str]) -> set[str]:
    """The persons about whom anything but a hold has been written since, by somebody else or not in steps and cases."""
    told = {"horizon": moment.horizon, "own": list(moment.own), "persons": array_of(persons)}
    return set(session.connection().execute(_CHANGED, told).scalars())
