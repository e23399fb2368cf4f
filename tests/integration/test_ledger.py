"""The ledger opens once for everybody, says in one line why it cannot, and never tells a password."""

from __future__ import annotations

import re
import sqlite3
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Timer

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

import models
from arrears.ledger.database import Ledger, LedgerError
from arrears.settings import ROOT
from tests.support.forks import forks


def open_ledger(url: str, together: Barrier) -> None:
    together.wait(timeout=280)
    Ledger.open(url).close()


def test_four_processes_may_open_a_new_ledger_at_once(new_database_url: str) -> None:
    together = forks().Barrier(4)
    openers = [forks().Process(target=open_ledger, args=(new_database_url, together)) for _ in range(4)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(timeout=600)
    assert [opener.exitcode for opener in openers] == [0] * 4
    with Ledger.open(new_database_url).read() as session:
        assert session.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [
            models.SCHEMA_VERSION
        ]


def test_a_new_ledger_that_another_has_just_begun_is_waited_for(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "new.db", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = Timer(0.5, other.rollback)
    release.start()
    Ledger.open(f"sqlite:///{tmp_path / 'new.db'}").close()
    release.join()
    other.close()


def test_a_ledger_of_a_newer_program_is_left_alone(new_database_url: str) -> None:
    Ledger.open(new_database_url).close()
    engine = create_engine(new_database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(LedgerError, match=r"schema 9999, newer than this program's .*; upgrade arrears"):
        Ledger.open(new_database_url)


def test_an_older_ledger_is_migrated_and_keeps_its_rows(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    url = f"sqlite:///{tmp_path / 'old.db'}"
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.set_main_option("sqlalchemy.url", url)
    command.upgrade(config, "0001")
    with sqlite3.connect(tmp_path / "old.db") as old:
        old.execute("INSERT INTO ledger_state VALUES ('stopped', 'kept')")
    old.close()
    ledger = Ledger.open(url)
    with ledger.read() as session:
        kept = session.get(models.LedgerState, "stopped")
        assert kept is not None
        assert kept.value == "kept"
    ledger.close()


def refusal(url: str) -> str:
    with pytest.raises(LedgerError) as refused:
        Ledger.open(url)
    told = str(refused.value)
    assert "\n" not in told
    assert "sekret" not in told
    return told


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:sekret@127.0.0.1:1/x", r"u:\*\*\*@127.0.0.1:1/x cannot be opened: .*Connection refused"),
        ("mysql://u:sekret@127.0.0.1/x", "mysql cannot be used; take sqlite or postgresql"),
        ("postgresql://u:sekret@host:port/x", "is no database URL; expected"),
        ("arrears.db", "is no database URL; expected"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(url: str, says: str) -> None:
    assert re.search(says, refusal(url))


def test_an_unknown_database_is_named_without_its_password(new_database_url: str) -> None:
    url = make_url(new_database_url)
    if url.get_backend_name() == "sqlite":
        pytest.skip("SQLite makes the database it does not find")
    told = refusal(url.set(database="nobody", password="sekret").render_as_string(hide_password=False))
    assert 'database "nobody" does not exist' in told


def test_a_folder_or_any_other_file_is_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Ann Example, " * 100)
    assert refusal(f"sqlite:///{tmp_path}").endswith("unable to open database file")
    assert refusal(f"sqlite:///{tmp_path / 'letter.txt'}").endswith("file is not a database")
    assert "cannot be made" in refusal(f"sqlite:///{tmp_path / 'letter.txt' / 'arrears.db'}")
