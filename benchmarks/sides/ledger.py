"""The ledger of the sides that are not ours: a row an account, a row a step. As little as their work can do with."""

from __future__ import annotations

import psycopg

from benchmarks.sides.common import RUNGS

_TABLES = """
CREATE TABLE accounts (id text PRIMARY KEY, next_due timestamptz, queued boolean NOT NULL DEFAULT false);
CREATE TABLE steps (
    account_id text NOT NULL REFERENCES accounts, rung text NOT NULL, status text NOT NULL,
    intended_at timestamptz NOT NULL DEFAULT clock_timestamp(), done_at timestamptz,
    PRIMARY KEY (account_id, rung)
)
"""
INTEND = "INSERT INTO steps (account_id, rung, status) VALUES (%s, %s, 'intended') ON CONFLICT DO NOTHING"
DONE = "UPDATE steps SET status = 'done', done_at = clock_timestamp() WHERE account_id = %s AND rung = %s"
MADE = (
    "INSERT INTO steps (account_id, rung, status, done_at) VALUES (%s, %s, 'done', clock_timestamp())"
    " ON CONFLICT DO NOTHING"
)


def plain(url: str) -> str:
    """The address as psycopg takes it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


def lay(url: str, accounts: int) -> None:
    """The tables, and so many accounts with nothing due."""
    with psycopg.connect(plain(url)) as connection:
        connection.execute(_TABLES)
        connection.execute("INSERT INTO accounts SELECT 'B-' || n FROM generate_series(0, %s - 1) AS n", (accounts,))


def steps_done(url: str) -> tuple[int, float]:
    """How many steps are done, and the seconds from the first's intent to the last's outcome."""
    with psycopg.connect(plain(url)) as connection:
        row = connection.execute(
            "SELECT count(*), coalesce(extract(epoch FROM max(done_at) - min(intended_at)), 0)"
            " FROM steps WHERE status = 'done'"
        ).fetchone()
    assert row is not None
    return row[0], float(row[1])


def all_done(url: str, accounts: int) -> bool:
    """Whether every account has all its steps."""
    return steps_done(url)[0] == accounts * len(RUNGS)
