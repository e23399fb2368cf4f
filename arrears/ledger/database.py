"""Opens the ledger: SQLite or PostgreSQL, its schema created or migrated on first use."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, DateTime, Engine, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from arrears.clock import CommonTime, machine_time
from arrears.ledger.ahead import begin_anew
from arrears.ledger.busy import comes_back, is_away, is_cut_off, is_down, said
from arrears.ledger.events import write_log
from arrears.ledger.limits import Limits
from arrears.ledger.migrating import LedgerNewer, LedgerOccupied, migrate
from arrears.ledger.owed import write_owed

_SQLITE_BUSY_MS, _SQLITE_AGAIN = 30_000, 0.02
_AGAIN = 0.5


class LedgerError(Exception):
    """The ledger cannot be opened or used; the message says where it is and what to do."""


class LedgerBusy(LedgerError):
    """The database had no time or no room for it; nothing of it was kept, and it may be tried again."""


class LedgerAway(LedgerBusy):
    """The database is there for nobody just now: down, cut off in the middle, full.

    What was being written is kept whole or not at all; whoever does it again is on the safe side, for nothing in the
    ledger counts twice.
    """


class Ledger:
    """One ledger. `read` and `write` are the only ways in; a write is one transaction."""

    def __init__(self, engine: Engine, limits: Limits, machine: Callable[[], datetime]) -> None:
        self._engine, self._limits = engine, limits
        self.machine = machine
        """Real time for all who share this ledger: by its server's clock, or on SQLite by this machine's."""

    @classmethod
    def open(cls, url: str, limits: Limits | None = None) -> Ledger:
        """Connect to `url`, creating or migrating the schema. Raises LedgerError, LedgerBusy."""
        limits = limits or Limits()
        engine = _engine(url, limits)
        try:
            migrate(engine)
            machine = machine_time if engine.dialect.name == "sqlite" else _server_time(engine)
        except (DBAPIError, LedgerNewer, LedgerOccupied) as error:
            engine.dispose()
            raise _unopened(url, error, limits) from None
        return cls(engine, limits, machine)

    @property
    def on_sqlite(self) -> bool:
        """Whether this is the embedded default."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Generator[Session]:
        """A transaction that may change things; committed at the end, rolled back on any exception.

        On SQLite it takes the write lock at once: what it reads cannot change under it.
        """
        with self.session() as session, self.writing(session):
            yield session

    @contextmanager
    def session(self) -> Generator[Session]:
        """For several transactions, one after the other, that need much of the same: each is begun with `writing`."""
        with self._told_when_busy(), Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self, session: Session) -> Generator[None]:
        """`write`, within a session of this ledger that has none under way."""
        with self._told_when_busy():
            begin_anew(session)
            try:
                self._begin(session, writing=True)
                yield
                write_log(session)
                write_owed(session)
                session.commit()
            except BaseException:
                # Neither the transaction nor anything that it knew is left.
                session.close()
                session.info.clear()
                raise

    @contextmanager
    def read(self) -> Generator[Session]:
        """A consistent look at the ledger; changes are refused by never being committed.

        What was read may be used afterwards.
        """
        with self.session() as session:
            self._begin(session, writing=False)
            yield session
            # A rollback would expire what the caller keeps.
            session.expunge_all()
            session.rollback()

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    def _begin(self, session: Session, *, writing: bool) -> None:
        connection = session.connection(execution_options={"arrears_write": writing})
        if isinstance(self.machine, CommonTime):
            self.machine.refresh(partial(_ask_time, connection))

    @contextmanager
    def _told_when_busy(self) -> Generator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeout) as error:
            if (why := said(error, self._limits)) is None:
                raise
            if is_cut_off(error):
                raise LedgerAway(f"the ledger is away: {why}; try again, for nothing counts twice") from error
            if is_away(error):
                raise LedgerAway(f"the ledger is away: {why}; nothing was changed, try again") from error
            raise LedgerBusy(f"the ledger is busy: {why}; nothing was changed, try again") from error


def _server_time(engine: Engine) -> CommonTime:
    with engine.connect() as connection:
        return CommonTime(partial(_ask_time, connection))


def _ask_time(connection: Connection) -> datetime:
    return connection.execute(select(func.clock_timestamp(type_=DateTime(timezone=True)))).scalar_one()


def _unopened(url: str, error: Exception, limits: Limits) -> LedgerError:
    if isinstance(error, LedgerNewer):
        return LedgerError(str(error))
    if isinstance(error, LedgerOccupied):
        return LedgerBusy(f"ledger {_shown(url)} cannot be migrated: {error}")
    if (why := said(error, limits)) is not None:
        return LedgerBusy(f"ledger {_shown(url)} cannot be opened: {why}")
    origin = error.orig if isinstance(error, DatabaseError) else error
    return LedgerError(f"ledger {_shown(url)} cannot be opened: {str(origin).strip().splitlines()[0]}")


def _engine(url: str, limits: Limits) -> Engine:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise LedgerError(
            "ARREARS_DATABASE_URL is no database URL; expected sqlite:///FILE or postgresql://…"
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    if parsed.get_backend_name() != "postgresql":
        raise LedgerError(
            f"ARREARS_DATABASE_URL: {parsed.get_backend_name()} cannot be used; take sqlite or postgresql"
        )
    return _postgresql(parsed, limits)


def _postgresql(url: URL, limits: Limits) -> Engine:
    given = url.query.get("options", "")
    args = limits.connect_args(given if isinstance(given, str) else " ".join(given))
    if "application_name" not in url.query:
        args["application_name"] = limits.name
    engine = create_engine(
        url.difference_update_query(["options"]),
        pool_pre_ping=True,
        pool_size=limits.pool,
        max_overflow=limits.overflow,
        pool_timeout=limits.wait,
        hide_parameters=True,
        json_deserializer=orjson.loads,
        connect_args=args,
    )

    known = False

    def connect(dialect: Any, _record: Any, args: Any, keywords: Any) -> Any:
        """A server that is full or starting is asked again for as long as a connection may take.

        So is one that was there before and is down, which it is for a moment whenever it is restarted.
        """
        nonlocal known
        deadline = time.monotonic() + limits.connect
        while True:
            try:
                made = dialect.connect(*args, **keywords)
            except dialect.loaded_dbapi.OperationalError as error:
                patient = comes_back(error) or (known and is_down(error))
                if not patient or time.monotonic() + _AGAIN > deadline:
                    raise
            else:
                known = True
                return made
            time.sleep(_AGAIN)

    event.listen(engine, "do_connect", connect)
    return engine


def _sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        folder = Path(url.database).resolve().parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(f"ledger {url}: its folder {folder} cannot be made: {error.strerror}") from None
    engine = create_engine(
        url, hide_parameters=True, connect_args={"timeout": _SQLITE_BUSY_MS / 1000, "check_same_thread": False}
    )

    def configure(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: `begin` below chooses the kind.
        connection.isolation_level = None
        _write_ahead(connection)
        for pragma in (
            f"busy_timeout = {_SQLITE_BUSY_MS}",
            # An intent must survive a power cut, or its effect could be repeated.
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("arrears_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    event.listen(engine, "connect", configure)
    event.listen(engine, "begin", begin)
    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let a new ledger keep its log apart. For this alone SQLite waits for nobody who has the file open meanwhile."""
    deadline = time.monotonic() + _SQLITE_BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(_SQLITE_AGAIN)


def _shown(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)
