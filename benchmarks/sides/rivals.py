"""What a rival's step does: the least that shows it was made (`least`), or what ours does as well (`same`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from psycopg_pool import ConnectionPool

from benchmarks.sides import ledger, same
from benchmarks.sides.common import Effects

SAID: Final = {"least": "", "same": ", the same work"}


def lay(url: str, folder: Path, accounts: int, work: str) -> None:
    """The tables of either kind of work, and so many accounts."""
    if work == "same":
        same.lay(url, folder, accounts)
    else:
        ledger.lay(url, accounts)


def maker(url: str, folder: Path, threads: int, work: str) -> Callable[[str, str], None]:
    """What makes the step of an account and rung, for so many threads at once; each step is one call."""
    pool = ConnectionPool(ledger.plain(url), min_size=threads, max_size=threads, kwargs={"autocommit": True}, open=True)
    if work == "same":
        steps = same.Steps(url, folder)

        def whole(account_id: str, rung: str) -> None:
            with pool.connection() as connection:
                steps.make(connection, account_id, rung)

        return whole
    effects = Effects(folder / "effects")

    def least(account_id: str, rung: str) -> None:
        effects.make(account_id, rung)
        with pool.connection() as connection:
            connection.execute(ledger.MADE, (account_id, rung))

    return least
