"""Raw PostgreSQL: the rows and commits of our own sweep, written again by bare SQL with nothing decided or made.

Of a finished ledger each day's steps are written anew into a copy of it that has none: with the intents, their log and
the cases' leases in one commit, the outcomes, their log and what each case waits for in the next. So many accounts to a
commit as a sweep's batch has, or one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import psycopg
from psycopg.rows import dict_row

from benchmarks.sides import ledger
from benchmarks.sides.common import RUNGS, Measured, together

Row = dict[str, Any]
_INTENDED: Row = {"status": "intended", "proof": ""}
_LEASED = "UPDATE cases SET retry_at = now(), next_reason = 'intended' WHERE id = %(case_id)s"
_SETTLED = "UPDATE steps SET status = 'done', proof = %(proof)s WHERE id = %(id)s"
_WAITS = (
    "UPDATE cases SET retry_at = NULL, stage = %(stage)s, next_due_at = %(due_at)s, next_rung = %(rung)s,"
    " next_reason = 'done' WHERE id = %(case_id)s"
)


def emptied(url: str) -> None:
    """The ledger as it was before its first step."""
    with psycopg.connect(ledger.plain(url), autocommit=True) as connection:
        connection.execute("ALTER TABLE events DISABLE TRIGGER USER")
        connection.execute("TRUNCATE steps, events")
        connection.execute("UPDATE cases SET stage = 'none'")
        connection.execute("VACUUM ANALYZE")


def _kept(url: str, query: str) -> list[Row]:
    with psycopg.connect(ledger.plain(url), row_factory=dict_row) as connection:
        rows = connection.execute(query).fetchall()  # pyright: ignore[reportArgumentType]
    return [ledger.told(row) for row in rows]


def _write(connection: psycopg.Connection[Any], steps: Sequence[Row], log: Row, insert: dict[str, bytes]) -> None:
    """One batch: two commits."""
    run = connection.cursor()
    for before, what in ((True, "intended"), (False, "done")):
        if before:
            run.executemany(insert["steps"], [step | _INTENDED for step in steps])
            run.executemany(_LEASED, steps)
        else:
            run.executemany(_SETTLED, steps)
            run.executemany(_WAITS, steps)
        rows = [log | {"account_id": s["account_id"], "case_id": s["case_id"], "what": what} for s in steps]
        run.executemany(insert["events"], rows)
        connection.commit()


def _share(start: Any, number: int, of: int, source: str, url: str, size: int, most: int) -> int:
    steps = [row for row in _kept(source, "SELECT * FROM steps ORDER BY due_at, id") if row["id"] % of == number]
    [log] = _kept(source, "SELECT * FROM events WHERE what = 'done' LIMIT 1")
    log.pop("id")
    insert = {table: ledger.inserting(table, tuple(row)) for table, row in (("steps", steps[0]), ("events", log))}
    written = 0
    with psycopg.connect(ledger.plain(url)) as connection:
        start.wait()
        for _, day in groupby(steps, key=lambda step: step["rung"]):
            those = list(day)[: most // len(RUNGS) // of]
            for begin in range(0, len(those), size):
                _write(connection, those[begin : begin + size], log, insert)
            written += len(those)
        start.end()
    return written


def measured(source: str, url: str, *, size: int, processes: int, most: int) -> Measured:
    """The steps of `source` (up to `most`), written into its emptied copy at `url`, `size` to a commit."""
    emptied(url)
    ran = together(processes, _share, source, url, size, most)
    with psycopg.connect(ledger.plain(url)) as connection:
        [row] = connection.execute("SELECT count(*), count(DISTINCT (case_id, rung)) FROM steps WHERE status = 'done'")
    side = f"raw PostgreSQL, the same rows, {size} to a commit"
    return Measured(side, processes, sum(ran.answers), row[0], row[1], ran.seconds, ran.cpu)


def _bare_share(start: Any, number: int, of: int, url: str, size: int, steps: int) -> int:
    run_of = range(number, steps, of)
    with psycopg.connect(ledger.plain(url)) as connection:
        run = connection.cursor()
        start.wait()
        for begin in range(0, len(run_of), size):
            some = [(n,) for n in run_of[begin : begin + size]]
            run.executemany("INSERT INTO bare VALUES (%s, 'intended')", some)
            connection.commit()
            run.executemany("UPDATE bare SET status = 'done' WHERE id = %s", some)
            connection.commit()
        start.end()
    return len(run_of)


def bare(url: str, *, size: int, processes: int, steps: int) -> Measured:
    """A step as a small row, inserted in one commit and updated in another: the least there is."""
    with psycopg.connect(ledger.plain(url)) as connection:
        connection.execute("DROP TABLE IF EXISTS bare")
        connection.execute("CREATE TABLE bare (id integer PRIMARY KEY, status text)")
    ran = together(processes, _bare_share, url, size, steps)
    side = f"raw PostgreSQL, a bare row, {size} to a commit"
    return Measured(side, processes, steps, steps, sum(ran.answers), ran.seconds, ran.cpu)
