"""An empty ledger on each database there is."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

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
    url = make_url(os.environ[_SERVER])
    name = f"arrears_bench_{uuid4().hex[:8]}"
    admin = create_engine(url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield url.set(drivername=driver, database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()
