"""A ledger that is asked for too much: time, locks and connections on a real PostgreSQL, writers on SQLite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from arrears.ledger.database import Ledger, LedgerBusy
from arrears.ledger.limits import Limits
from arrears.ledger.migrating import SCRIPTS, LedgerOccupied, migrate
from tests.support.ledgers import new_postgres_database, postgres_ledger

COMMAND = Path(sys.executable).with_name("arrears")
INSERT = text("INSERT INTO ledger_state VALUES (:name, 'x')")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres_ledger() as given:
        yield given


@contextmanager
def opened(url: str, limits: Limits) -> Iterator[Ledger]:
    ledger = Ledger.open(url, limits)
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def admin(url: str) -> Iterator[Engine]:
    engine = create_engine(url, poolclass=NullPool)
    yield engine
    engine.dispose()


def test_the_server_knows_who_we_are_and_how_long_we_may_take(url: str) -> None:
    given = f"{url}?options=-c%20statement_timeout%3D77s"
    with (
        opened(given, Limits(statement=60, lock=20, idle=30, name="arrears sweep")) as ledger,
        ledger.read() as session,
    ):
        shown = [
            session.scalar(text(f"SHOW {name}"))
            for name in ("application_name", "lock_timeout", "idle_in_transaction_session_timeout", "statement_timeout")
        ]
    assert shown == ["arrears sweep", "20s", "30s", "77s"], "what the URL asks for wins"


def test_what_takes_too_long_is_told_in_one_line_and_the_ledger_goes_on(url: str) -> None:
    patient = Limits(pool=2, overflow=0, wait=0.1, statement=120, idle=120)
    for limits, slow, says in (
        (replace(patient, statement=1), ("SELECT pg_sleep(120)",), "a statement took more than 1 s and was ended"),
        (replace(patient, idle=1), ("SELECT 1", None, "SELECT 1"), "a transaction stood still for 1 s and was ended"),
    ):
        with (
            opened(url, limits) as ledger,
            pytest.raises(LedgerBusy, match=f"^the ledger is busy: {says} .*nothing was changed, try again$"),
        ):
            _run(ledger, slow)
    with opened(url, patient) as ledger:
        with (
            ledger.read(),
            ledger.read(),
            pytest.raises(LedgerBusy, match="all 2 connections of this process"),
            ledger.read(),
        ):
            pass
        with ledger.write() as session:
            session.execute(INSERT, {"name": "goes-on"})


def _run(ledger: Ledger, statements: tuple[str | None, ...]) -> None:
    with ledger.write() as session:
        for statement in statements:
            if statement is None:
                # The server ends a session that stands still; nothing can be asked of it meanwhile.
                threading.Event().wait(2)
            else:
                session.execute(text(statement))


def test_a_lock_that_is_not_to_be_had_is_told_in_one_line(url: str) -> None:
    with opened(url, Limits(lock=0.2)) as ledger, ledger.write() as holder:
        holder.execute(INSERT, {"name": "held"})
        with (
            pytest.raises(LedgerBusy, match=r"another session kept a lock for more than 0\.2 s"),
            ledger.write() as session,
        ):
            session.execute(INSERT, {"name": "held"})


def test_a_full_server_is_asked_again_and_then_told_of_in_one_line(url: str, tmp_path: Path) -> None:
    role = f"arrears_{uuid4().hex[:8]}"
    with admin(url) as engine:
        with engine.begin() as connection:
            connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'trusted' CONNECTION LIMIT 1"))
            connection.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"))
        narrow = make_url(url).set(username=role, password="trusted").render_as_string(hide_password=False)
        try:
            with opened(narrow, Limits(connect=20)) as first:
                with first.read():
                    _told_full(narrow, tmp_path)
                    waiting = threading.Thread(target=lambda: Ledger.open(narrow, Limits(connect=120)).close())
                    waiting.start()
                    waiting.join(0.7)
                    assert waiting.is_alive()
                first.close()
                waiting.join(120)
                assert not waiting.is_alive(), "a connection that came free was not taken"
        finally:
            with engine.begin() as connection:
                connection.execute(text(f"DROP OWNED BY {role}"))
                connection.execute(text(f"DROP ROLE {role}"))


def _told_full(url: str, folder: Path) -> None:
    env = os.environ | {"ARREARS_DATABASE_URL": url, "ARREARS_DATABASE_CONNECT_SECONDS": "0.6"}
    done = subprocess.run([COMMAND, "status"], env=env, cwd=folder, capture_output=True, text=True, timeout=180)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be opened: PostgreSQL has no connection left; raise its max_connections" in done.stderr
    assert done.stderr.count("\n") == 1


MIGRATION = """
import sqlalchemy as sa
from alembic import op

from arrears.ledger.online import create_index

revision, down_revision = "{}", "{}"


def upgrade():
    {}
"""


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """Two migrations more than there are: a column, then an index on a table in use."""
    copy = tmp_path / "migrations"
    shutil.copytree(SCRIPTS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    last = max(path.name for path in (copy / "versions").glob("[0-9]*.py"))[:4]
    column = 'op.add_column("work_items", sa.Column("later", sa.Integer(), nullable=True))'
    index = 'create_index("ix_work_items_kind", "work_items", ["kind"], where="done_at IS NULL")'
    (copy / "versions" / "9997_column.py").write_text(MIGRATION.format("9997", last, column))
    (copy / "versions" / "9998_index.py").write_text(MIGRATION.format("9998", "9997", index))
    return copy


def test_a_migration_that_cannot_have_its_table_gives_way_and_goes_on_later(scripts: Path) -> None:
    with new_postgres_database() as fresh, admin(fresh) as engine:
        Ledger.open(fresh).close()
        with engine.connect() as reader:
            reader.execute(text("SELECT count(*) FROM work_items"))
            with pytest.raises(LedgerOccupied, match=r"in use each of 2 times that a migration waited 0\.1 s"):
                migrate(engine, scripts=scripts, to="9998", lock_seconds=0.1, tries=2)
            reader.rollback()
            migrate(engine, scripts=scripts, to="9997", lock_seconds=0.1)
            # A writer does not keep the index out for good, and is not kept off by it: it is built around him.
            reader.execute(text("UPDATE ledger_state SET value = value"))
            # What an index that was interrupted leaves behind.
            with engine.begin() as connection:
                connection.execute(text("CREATE INDEX ix_work_items_kind ON work_items (kind)"))
                connection.execute(
                    text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_work_items_kind'::regclass")
                )
            reader.rollback()
            migrate(engine, scripts=scripts, to="9998", lock_seconds=5)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9998"
            valid, shape = connection.execute(
                text(
                    "SELECT indisvalid, pg_get_indexdef(indexrelid) FROM pg_index "
                    "WHERE indexrelid = 'ix_work_items_kind'::regclass"
                )
            ).one()
    assert valid
    assert shape.endswith("(kind) WHERE (done_at IS NULL)")


def test_indexes_are_replaced_while_others_write_in_their_table() -> None:
    """From 0015 to 0017: who writes is waited for, and nobody queues behind the one who waits."""
    write = text("UPDATE cases SET status = status")
    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    shapes = text(
        "SELECT indexdef FROM pg_indexes JOIN pg_index ON indexrelid = indexname::regclass WHERE indisvalid "
        "AND (indexname LIKE 'ix_cases_due%' OR indexname ~ '^ix_(cases_recall|steps_at)') ORDER BY 1"
    )
    with new_postgres_database() as fresh, admin(fresh) as engine, ThreadPoolExecutor(1) as pool:
        migrate(engine, to="0015")
        with engine.begin() as connection:
            # What an attempt that was interrupted leaves: the new index, half built beside the old one.
            connection.execute(text("CREATE INDEX ix_cases_due_new ON cases (next_due_at)"))
            connection.execute(
                text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_cases_due_new'::regclass")
            )
        with engine.connect() as writer, engine.connect() as another:
            writer.execute(write)
            migrated = pool.submit(migrate, engine, to="0017", lock_seconds=60)
            while not another.scalar(waits):
                another.rollback()
                assert not migrated.done(), migrated.result()
            another.rollback()
            another.execute(text("SET lock_timeout = '2s'"))
            another.execute(write)
            another.commit()
            assert not migrated.done()
            writer.commit()
            migrated.result(60)
            found = another.scalars(shapes).all()
    assert found == [
        "CREATE INDEX ix_cases_due ON public.cases USING btree (next_due_at, account_id) "
        "WHERE (next_due_at IS NOT NULL)",
        "CREATE INDEX ix_cases_recall_at ON public.cases USING btree (recall_at) WHERE (recall_at IS NOT NULL)",
        "CREATE INDEX ix_steps_at ON public.steps USING brin (at)",
    ]


def test_who_migrates_waits_for_another_who_migrates_only_so_long(url: str, scripts: Path) -> None:
    with admin(url) as engine, engine.connect() as other:
        other.execute(text("SELECT pg_advisory_lock(7310472015)"))
        with pytest.raises(LedgerOccupied, match=r"another process has been migrating it for 0\.1 s"):
            migrate(engine, scripts=scripts, to="9998", others_seconds=0.1)


def test_the_index_is_built_on_sqlite_too(scripts: Path, tmp_path: Path) -> None:
    path = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger.open(path)
    migrate(ledger._engine, scripts=scripts, to="9998")
    with ledger.read() as session:
        assert session.scalar(text("SELECT sql FROM sqlite_master WHERE name = 'ix_work_items_kind'")).endswith(
            "WHERE done_at IS NULL"
        )
    ledger.close()
