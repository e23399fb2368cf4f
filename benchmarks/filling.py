"""A ledger of many cases that wait amid their ladder, written by bare SQL from one that climbed it.

One account is enrolled and swept through its first three texts; everything that it has (account, number, case, steps
with their verdicts, log) is then written again under other names, as often as wanted. Enrolment and sweeps would need
hours for what this does in minutes.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import psycopg
from psycopg import sql
from sqlmodel import select

import models
from arrears.clock import VirtualClock
from arrears.operations.brakes import Budget
from arrears.operations.services import Services
from arrears.operations.sweep import sweep
from benchmarks.sides import ours

IDLE_AT = ours.MOMENTS[2] + timedelta(days=1)
DUE_AT = ours.MOMENTS[3]
PATTERN = "B-0"
_PIECE = 50_000
_DUE = f"TIMESTAMPTZ '{DUE_AT:%Y-%m-%d %H:%M}+00' - interval '1 hour'"
_LATER = "TIMESTAMPTZ '2026-08-20 14:00+00' + (mod(n * 7919, 43200)) * interval '1 minute'"
# By table: what differs from the pattern's row; all else is the same. `n` is the account's number.
_CHANGED: dict[str, dict[str, str]] = {
    "accounts": {
        "id": "'B-' || n",
        "holder_id": "'B-' || n",
        "phones": "json_build_array('+1' || (2120000000 + n))",
    },
    "account_numbers": {"number": "'+1' || (2120000000 + n)", "account_id": "'B-' || n"},
    "cases": {
        "id": "md5('case' || n)",
        "account_id": "'B-' || n",
        "next_due_at": f"CASE WHEN mod(n, 100) = 0 THEN {_DUE} ELSE {_LATER} END",
    },
    "steps": {
        "id": "nextval(pg_get_serial_sequence('steps', 'id'))",
        "case_id": "md5('case' || n)",
        "account_id": "'B-' || n",
        "reference": "upper(lpad(to_hex(n * 8 + t.nth), 8, '0'))",
    },
    "events": {
        "id": "nextval(pg_get_serial_sequence('events', 'id'))",
        "case_id": "md5('case' || n)",
        "account_id": "'B-' || n",
    },
}


def begun(url: str, folder: Path, *, climbed: bool = True) -> Services:
    """A deployment whose ledger has the pattern alone, past its third text (or, not `climbed`, just enrolled)."""
    ours.enrolled(url, folder, 1)
    services = ours.opened(url, folder)
    for moment in ours.MOMENTS[:3] if climbed else ():
        sweep(services.at(VirtualClock(moment)), who="benchmark", budget=Budget())
    with services.ledger.write() as session:
        # The pattern itself stays as it is.
        session.exec(select(models.Case)).one().next_due_at = DUE_AT + timedelta(days=365)
    return services


def fill(url: str, first: int, last: int) -> None:
    """Write accounts `first` to `last` (not itself): every hundredth is due at DUE_AT, the others from a week later."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for begin in range(first, last, _PIECE):
            for table, changed in _CHANGED.items():
                connection.execute(_copied(connection, table, changed), (begin, min(begin + _PIECE, last) - 1))
        connection.execute("VACUUM ANALYZE")


def _copied(connection: psycopg.Connection[tuple[str, ...]], table: str, changed: dict[str, str]) -> sql.Composed:
    columns = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = CAST(%s AS regclass) AND attnum > 0 AND NOT attisdropped",
        (table,),
    )
    names = [name for [name] in columns.fetchall()]
    values = [sql.SQL(changed[name]) if name in changed else sql.Identifier("t", name) for name in names]  # pyright: ignore
    owner = "id" if table == "accounts" else "account_id"
    return sql.SQL(
        "INSERT INTO {table} ({names}) SELECT {values} FROM generate_series(%s::bigint, %s::bigint) AS n,"
        " (SELECT *, row_number() OVER () AS nth FROM {table} WHERE {owner} = {pattern}) AS t"
    ).format(
        table=sql.Identifier(table),
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        values=sql.SQL(", ").join(values),
        owner=sql.Identifier(owner),
        pattern=sql.Literal(PATTERN),
    )


def bytes_of(url: str) -> dict[str, int]:
    """Bytes of each table with its indexes."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return {
            table: connection.execute("SELECT pg_total_relation_size(CAST(%s AS regclass))", (table,)).fetchone()[0]  # pyright: ignore
            for table in _CHANGED
        }
