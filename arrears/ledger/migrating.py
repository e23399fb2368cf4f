"""Brings a ledger's schema to this program's, while others go on working in it.

On PostgreSQL each migration is a transaction of its own and waits only seconds for a table's lock: who waits for
one makes everybody else queue behind. A migration that cannot have it gives way and is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from models import SCHEMA_VERSION

SCRIPTS: Final = Path(__file__).resolve().parents[2] / "migrations"
# Any constant does, as long as every process that migrates takes the same one.
_KEY: Final = 7_310_472_015
# Seconds between two looks whether another process has done with migrating.
_ASKED_AGAIN: Final = 0.1
# Waited too long for a lock; two waited for each other and this one was ended.
_LOCK_NOT_TO_BE_HAD: Final = frozenset({"55P03", "40P01"})


class LedgerNewer(Exception):
    """The ledger's schema is newer than this program's."""


class LedgerOccupied(Exception):
    """The tables to be changed were in use all the time, or another process is still migrating."""


def migrate(
    engine: Engine,
    *,
    scripts: Path = SCRIPTS,
    to: str = SCHEMA_VERSION,
    lock_seconds: float = 3.0,
    tries: int = 5,
    others_seconds: float = 600.0,
) -> None:
    """Bring the schema to revision `to` if it is older. Raises LedgerNewer, LedgerOccupied.

    `lock_seconds`: how long a migration waits for a table, `tries` times, with pauses in which others get on.
    `others_seconds`: how long to wait for another process that is migrating.
    """
    with engine.connect() as connection:
        if _older(connection, to) is False:
            return
    if engine.dialect.name == "sqlite":
        with engine.connect().execution_options(arrears_write=True) as connection, connection.begin():
            if _older(connection, to):
                _upgrade(connection, scripts, to)
        return
    with _alone(engine, others_seconds) as connection:
        if not _older(connection, to):
            return
        connection.rollback()
        for left in reversed(range(tries)):
            try:
                connection.execute(text(f"SET lock_timeout = {round(lock_seconds * 1000)}"))
                connection.commit()
                _upgrade(connection, scripts, to)
                return
            except OperationalError as error:
                connection.rollback()
                if not _is_lock(error):
                    raise
                if not left:
                    raise LedgerOccupied(
                        f"its tables were in use each of {tries} times that a migration waited {lock_seconds:g} s for "
                        "them; finished migrations are kept: end what pg_stat_activity shows as long, then start again"
                    ) from None
                time.sleep(lock_seconds)


@contextmanager
def _alone(engine: Engine, seconds: float) -> Generator[Connection]:
    """A connection of our own that no other migrating process has the like of; the server's limits do not end it."""
    with engine.connect() as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
        connection.commit()
        try:
            last = time.monotonic() + seconds
            # Asked again and again, in transactions that end: an index built CONCURRENTLY waits for every one that
            # is open, so whoever sat waiting in one and the process being waited for would wait for each other.
            while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _KEY}):
                connection.commit()
                if time.monotonic() > last:
                    raise LedgerOccupied(f"another process has been migrating it for {seconds:g} s; try again later")
                time.sleep(_ASKED_AGAIN)
            connection.commit()
            yield connection
        finally:
            # What was set here, and the lock, must not go back to the pool.
            connection.invalidate()


def _upgrade(connection: Connection, scripts: Path, to: str) -> None:
    # Alembic is slow to import and needed once in a ledger's life.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _older(connection: Connection, to: str) -> bool:
    found = _version(connection)
    if found is not None and found > to:
        raise LedgerNewer(f"ledger is at schema {found}, newer than this program's {to}; upgrade arrears")
    return found != to


def _version(connection: Connection) -> str | None:
    try:
        with connection.begin_nested() if connection.in_transaction() else connection.begin():
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except (OperationalError, ProgrammingError) as error:
        if "alembic_version" in str(error.orig):
            return None
        raise


def _is_lock(error: OperationalError) -> bool:
    return getattr(error.orig, "sqlstate", None) in _LOCK_NOT_TO_BE_HAD
