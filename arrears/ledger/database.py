"""Opens the ledger: SQLite or PostgreSQL, its schema created or migrated on first use."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError, ProgrammingError
from sqlmodel import Session

from arrears.ledger.events import write_log
from models import SCHEMA_VERSION

_MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
# Any constant does, as long as every process that migrates takes the same one.
_MIGRATION_LOCK = 7_310_472_015
_SQLITE_BUSY_MS = 30_000


class LedgerError(Exception):
    """The ledger cannot be opened or used; the message says where it is and what to do."""


class Ledger:
    """One ledger. `read` and `write` are the only ways in; a write is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Ledger:
        """Connect to `url`, creating or migrating the schema. Raises LedgerError."""
        ledger = cls(_engine(url))
        try:
            ledger._migrate_if_needed()
        except DatabaseError as error:
            ledger.close()
            reason = str(error.orig).strip().splitlines()[0]
            raise LedgerError(f"ledger {_shown(url)} cannot be opened: {reason}") from None
        except LedgerError:
            ledger.close()
            raise
        return ledger

    @property
    def on_sqlite(self) -> bool:
        """Whether this is the embedded default."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Generator[Session]:
        """A transaction that may change things; committed at the end, rolled back on any exception.

        On SQLite it takes the write lock at once: what it reads cannot change under it.
        """
        with self._session(writing=True) as session:
            yield session
            write_log(session)
            session.commit()

    @contextmanager
    def read(self) -> Generator[Session]:
        """A consistent look at the ledger; changes are refused by never being committed.

        What was read may be used afterwards.
        """
        with self._session(writing=False) as session:
            yield session
            # A rollback would expire what the caller keeps.
            session.expunge_all()
            session.rollback()

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    @contextmanager
    def _session(self, *, writing: bool) -> Generator[Session]:
        with Session(self._engine, expire_on_commit=False) as session:
            session.connection(execution_options={"arrears_write": writing})
            yield session

    def _migrate_if_needed(self) -> None:
        with self._engine.connect() as connection:
            if _version(connection) == SCHEMA_VERSION:
                return
        with self._engine.connect() as connection:
            connection = connection.execution_options(arrears_write=True)
            with connection.begin():
                if not self.on_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
                found = _version(connection)
                if found is not None and found > SCHEMA_VERSION:
                    raise LedgerError(
                        f"ledger is at schema {found}, newer than this program's {SCHEMA_VERSION}; upgrade arrears"
                    )
                if found != SCHEMA_VERSION:
                    _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    # Alembic is slow to import and needed once in a ledger's life.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    try:
        with connection.begin_nested() if connection.in_transaction() else connection.begin():
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except (OperationalError, ProgrammingError) as error:
        if "alembic_version" in str(error.orig):
            return None
        raise


def _engine(url: str) -> Engine:
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
    return create_engine(parsed, pool_pre_ping=True, pool_size=8, max_overflow=16, hide_parameters=True)


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
        for pragma in (
            f"busy_timeout = {_SQLITE_BUSY_MS}",
            "journal_mode = WAL",
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


def _shown(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)
