"""DBOS: a durable workflow an account, of five steps; each makes its effect and writes its row. DBOS records each step.

Workflows are run in threads of the process rather than from a queue, which is the quicker way; logs are off, and the
pools as large as there are threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.sides import ledger
from benchmarks.sides.common import RUNGS, Measured, accounts_of, count_effects, together
from benchmarks.sides.rivals import SAID, lay, maker


def _share(
    start: Any, number: int, of: int, url: str, system: str, folder: Path, accounts: int, threads: int, work: str
) -> int:
    from dbos import DBOS, DBOSConfig

    made = maker(url, folder, threads, work)
    config: DBOSConfig = {
        "name": "ladder",
        "system_database_url": system,
        "executor_id": f"process-{number}",
        "application_version": "1",
        "log_level": "ERROR",
        "sys_db_pool_size": threads + 4,
        "max_executor_threads": threads,
    }
    DBOS(config=config)

    @DBOS.step()
    def make(account_id: str, rung: str) -> None:
        made(account_id, rung)

    @DBOS.workflow()
    def climb(account_id: str) -> None:
        for rung in RUNGS:
            make(account_id, rung)

    DBOS.launch()
    mine = accounts_of(number, of, accounts)
    start.wait()
    with ThreadPoolExecutor(threads) as at_once:
        list(at_once.map(climb, mine))
    start.end()
    DBOS.destroy()
    return len(mine)


def measured(
    url: str, system: str, folder: Path, *, accounts: int, processes: int, threads: int, work: str
) -> Measured:
    """Every account's workflow, shared by so many processes of so many threads."""
    lay(url, folder, accounts, work)
    together(1, _share, url, system, folder, 0, 1, work)  # makes DBOS's own tables
    ran = together(processes, _share, url, system, folder, accounts, threads, work)
    assert ledger.all_done(url, accounts)
    effects, distinct = count_effects(folder / "effects")
    return Measured(
        f"DBOS, a workflow an account, {threads} threads{SAID[work]}",
        processes,
        accounts * len(RUNGS),
        effects,
        distinct,
        ran.seconds,
        ran.cpu,
    )
