"""The ledger of the sides that are not ours: a row an account, a row a step. As little as their work can do with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Json

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


@cache
def inserting(table: str, columns: tuple[str, ...]) -> bytes:
    """The statement that adds a row of these columns."""
    names, places = map(sql.Identifier, columns), map(sql.Placeholder, columns)
    comma = sql.SQL(", ")
    return (
        sql.SQL("INSERT INTO {} ({}) VALUES ({})")
        .format(sql.Identifier(table), comma.join(names), comma.join(places))
        .as_bytes()
    )


def told(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as psycopg takes it."""
    return {name: Json(value) if isinstance(value, dict | list) else value for name, value in row.items()}


def lay(url: str, accounts: int) -> None:
    """The tables, and so many accounts with nothing due."""
    with psycopg.connect(plain(url)) as connection:
        connection.execute(_TABLES)
        connection.execute("INSERT INTO accounts SELECT 'B-' || n FROM generate_series(0, %s - 1) AS n", (accounts,))


def seconds(url: str) -> float:
    """From the first step's intent to the last's outcome."""
    return float(answer(url, "SELECT coalesce(extract(epoch FROM max(done_at) - min(intended_at)), 0) FROM steps"))


def all_done(url: str, accounts: int) -> bool:
    """Whether every account has all its steps."""
    return answer(url, "SELECT count(*) FROM steps WHERE status = 'done'") == accounts * len(RUNGS)


def answer(url: str, query: str) -> Any:
    """The one value that the query finds."""
    with psycopg.connect(plain(url)) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]
