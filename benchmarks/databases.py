"""An empty ledger on each database there is."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

_SERVER = "ARREARS_TEST_POSTGRES_URL"


def databases(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, URL) of SQLite in `folder` and, when ARREARS_TEST_POSTGRES_URL is set, of PostgreSQL."""
    yield "SQLite", f"sqlite:///{folder / 'ledger.db'}"
    if not os.environ.get(_SERVER):
        print(f"PostgreSQL: not measured, {_SERVER} is not set")
        return
    with postgres() as url:
        yield "PostgreSQL", url


@contextmanager
def postgres(driver: str = "postgresql+psycopg") -> Generator[str]:
    """An empty database on the server that ARREARS_TEST_POSTGRES_URL names."""
    if not os.environ.get(_SERVER):
        raise SystemExit(f"{_SERVER} must name a PostgreSQL server, such as postgresql://postgres@127.0.0.1/postgres")
    with _made(make_url(os.environ[_SERVER])) as url:
        yield url.set(drivername=driver).render_as_string(hide_password=False)


@contextmanager
def copied(source: str) -> Generator[str]:
    """A copy of the database at `source`, to which nobody may be connected meanwhile."""
    url = make_url(source)
    with _made(url, f"TEMPLATE {url.database}") as copy:
        yield copy.set(drivername=url.drivername).render_as_string(hide_password=False)


@contextmanager
def _made(url: URL, like: str = "") -> Generator[URL]:
    name = f"arrears_bench_{uuid4().hex[:8]}"
    server = url.set(drivername="postgresql+psycopg", database="postgres")
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} {like}"))
    try:
        yield url.set(database=name)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()
