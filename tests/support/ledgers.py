"""Empty ledgers for tests: migrated once in a process, and from then on copied (SQLite) or emptied (PostgreSQL)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Integer, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from arrears.ledger.database import Ledger
from models import SCHEMA_VERSION

POSTGRES_URL = "ARREARS_TEST_POSTGRES_URL"

# Migrated databases that no test is using, and all that this process has made.
_idle: list[URL] = []
_made: list[URL] = []

# The event log refuses to be emptied, but by whoever replicates it; who does need not mind the order of tables, either.
_EMPTY = """
DO $$
DECLARE t record;
BEGIN
  PERFORM set_config('session_replication_role', 'replica', true);
  FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('DELETE FROM %I', t.tablename);
  END LOOP;
  FOR t IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
    PERFORM setval(format('%I', t.sequencename)::regclass, 1, false);
  END LOOP;
END $$
"""


@contextmanager
def ledger_on(database: str, folder: Path) -> Iterator[str]:
    """The URL of an empty, migrated ledger on `sqlite`, in a file in `folder`, or on `postgresql`."""
    if database == "sqlite":
        yield sqlite_ledger(folder / "ledger.db")
    else:
        with postgres_ledger() as url:
            yield url


def sqlite_ledger(path: Path) -> str:
    """An empty, migrated ledger at `path`; its URL."""
    path.write_bytes(_migrated_file())
    return f"sqlite:///{path}"


@cache
def _migrated_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        Ledger.open(f"sqlite:///{path}").close()
        # Nobody has it open any more, so nothing of it is left in a file beside it.
        return path.read_bytes()


@contextmanager
def postgres_ledger() -> Iterator[str]:
    """The URL of an empty, migrated ledger on the test server, nobody else's for the time being."""
    url = _idle.pop() if _idle else _migrated_database()
    yield _shown(url)
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        end_others(connection)
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == SCHEMA_VERSION
        connection.execute(text(_EMPTY))
    _idle.append(url)


@contextmanager
def new_postgres_database() -> Iterator[str]:
    """The URL of a database with nothing in it, dropped afterwards."""
    url = _make()
    yield _shown(url)
    _drop(url)


Rows = dict[str, list[dict[str, Any]]]


def all_rows(connection: Connection) -> Rows:
    """What is in a ledger, by table."""
    tables = SQLModel.metadata.sorted_tables
    return {table.name: [dict(row) for row in connection.execute(table.select()).mappings()] for table in tables}


def put_back(connection: Connection, rows: Rows) -> None:
    """Put the rows of `all_rows` into an empty ledger."""
    for table in SQLModel.metadata.sorted_tables:
        if not rows[table.name]:
            continue
        connection.execute(table.insert(), rows[table.name])
        if connection.dialect.name == "postgresql" and "id" in table.c and isinstance(table.c.id.type, Integer):
            sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
            highest = f"(SELECT coalesce(max(id), 0) + 1 FROM {table.name})"
            connection.execute(text(f"SELECT setval({sequence}, {highest}, false)"))


def empty(connection: Connection) -> None:
    """Take every row out of a ledger, the event log's too."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(_EMPTY))
        return
    connection.execute(text("DROP TRIGGER IF EXISTS events_refuse_delete"))
    for table in reversed(SQLModel.metadata.sorted_tables):
        connection.execute(table.delete())


def end_others(connection: Connection) -> None:
    """End every other session of this database: whoever was killed may have left a transaction behind."""
    connection.execute(
        text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )


def drop_all() -> None:
    """Drop every database that this process has made."""
    _idle.clear()
    while _made:
        _drop(_made[-1])


def _migrated_database() -> URL:
    url = _make()
    Ledger.open(_shown(url)).close()
    return url


def _make() -> URL:
    server = os.environ.get(POSTGRES_URL)
    if not server:
        pytest.skip(f"needs PostgreSQL: set {POSTGRES_URL}, e.g. postgresql://postgres@127.0.0.1/postgres")
    url = make_url(server).set(drivername="postgresql+psycopg")
    made = url.set(database=f"arrears_test_{uuid4().hex[:12]}")
    _made.append(made)
    # What a killed client leaves is tested here, and not what the server's own power cut would.
    _as_admin(f"CREATE DATABASE {made.database}", f"ALTER DATABASE {made.database} SET synchronous_commit = off")
    return made


def _drop(url: URL) -> None:
    _as_admin(f"DROP DATABASE IF EXISTS {url.database} WITH (FORCE)")
    _made.remove(url)


def _as_admin(*statements: str) -> None:
    url = make_url(os.environ[POSTGRES_URL]).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=False)
