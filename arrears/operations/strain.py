"""How much SQLite bears: one writer at a time, some 140 commits a second on an ordinary disk however many there are.

An account that is contacted up to three times a day takes six commits of a day: 200,000 of them fill a quarter of a
twelve-hour window, a million all of it (docs/deployment.md has the figures).
"""

from __future__ import annotations

from typing import Final

from sqlmodel import Session, func, select

import models
from arrears.operations.services import Services

_MANY_ACCOUNTS: Final = 200_000
_MANY_WRITERS: Final = 4
_WAY_OUT: Final = "take PostgreSQL (ARREARS_DATABASE_URL, docs/deployment.md)"


class TooMuchForSqlite(Exception):
    """More accounts than a ledger on SQLite takes; what went in before stays in."""


def strain(services: Services, *, at_once: int = 1) -> str | None:
    """One line when a ledger on SQLite is asked for more than it does well, with `at_once` writers; else None."""
    if not services.ledger.on_sqlite:
        return None
    if at_once > _MANY_WRITERS:
        return (
            f"{at_once} at once on SQLite, which takes one writer at a time: more than {_MANY_WRITERS} wait seconds "
            f"for each other and get no more done; {_WAY_OUT}"
        )
    with services.ledger.read() as session:
        accounts = count_accounts(session)
    if accounts > _MANY_ACCOUNTS:
        return f"{accounts:,} accounts on SQLite, which does well up to about {_MANY_ACCOUNTS:,}; {_WAY_OUT}"
    return None


def require_room(services: Services, accounts: int) -> None:
    """Raise TooMuchForSqlite when a ledger on SQLite would come to hold more `accounts` than it may."""
    most = services.settings.sqlite_most_accounts
    if services.ledger.on_sqlite and accounts > most:
        raise TooMuchForSqlite(
            f"a ledger on SQLite takes at most {most:,} accounts (ARREARS_SQLITE_MOST_ACCOUNTS); the rows before are "
            f"in, the rest is not: {_WAY_OUT}"
        )


def count_accounts(session: Session) -> int:
    """How many accounts there are."""
    return session.exec(select(func.count()).select_from(models.Account)).one()
