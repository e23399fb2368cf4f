"""An empty ledger on each database there is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url


def databases(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, URL) of SQLite in `folder` and, when ARREARS_TEST_POSTGRES_URL is set, of PostgreSQL."""
    yield "SQLite", f"sqlite:///{folder / 'ledger.db'}"
    server = os.environ.get("ARREARS_TEST_POSTGRES_URL")
    if not server:
        print("PostgreSQL: not measured, ARREARS_TEST_POSTGRES_URL is not set")
        return
    url = make_url(server).set(drivername="postgresql+psycopg")
    name = f"arrears_bench_{uuid4().hex[:8]}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield "PostgreSQL", url.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()
