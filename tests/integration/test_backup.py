"""A ledger that is lost and restored goes on, and what was sent after the backup is not sent again."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.engine import make_url

from arrears.clock import VirtualClock
from arrears.ledger.database import Ledger
from arrears.operations.brakes import Budget, start, stopped_why
from arrears.operations.enroll import enroll
from arrears.operations.restored import restored
from arrears.operations.services import Services, open_services
from arrears.operations.show import show
from arrears.operations.sweep import catch_up
from arrears.settings import ROOT
from tests.conftest import START, a_row
from tests.support.cluster import Cluster, NoServer
from tests.support.ledgers import new_postgres_database
from tests.support.prefect_house import wait_for

ACCOUNTS = ("A-1", "A-2", "A-3")


def back_up(url: str, folder: Path) -> Path:
    """As docs/operations.md says: SQLite's own online backup, or pg_dump."""
    copy = folder / "ledger.backup"
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as live, closing(sqlite3.connect(copy)) as saved:
            live.backup(saved)
    else:
        _run("pg_dump", "--format=custom", f"--file={copy}", _plain(url))
    return copy


@contextmanager
def restore(url: str, copy: Path) -> Iterator[str]:
    """The backup as a ledger of its own."""
    if url.startswith("sqlite"):
        yield f"sqlite:///{copy}"
        return
    with new_postgres_database() as fresh:
        _run("pg_restore", "--exit-on-error", "--single-transaction", f"--dbname={_plain(fresh)}", str(copy))
        yield fresh


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PGCONNECT_TIMEOUT": "10"})
    assert done.returncode == 0, done.stderr


def sent(outbox: Path) -> Counter[str]:
    """Every text and letter that left, by its reference."""
    texts = (json.loads(line) for path in (outbox / "sms").glob("*.jsonl") for line in path.read_text().splitlines())
    letters = (path.stem for path in (outbox / "letters").rglob("*.pdf"))
    return Counter([*(each["reference"] for each in texts), *letters])


def made(steps: list[dict[str, Any]]) -> set[tuple[str, int]]:
    """What left. A call leaves nothing behind but what the ledger knew of it."""
    left = ("sms", "letter", "agency", "legal")
    return {(step["rung"], step["attempt"]) for step in steps if step["status"] == "done" and step["channel"] in left}


def drive(services: Services, days: int) -> None:
    catch_up(services, START + timedelta(days=days), who="test", budget=Budget(None))


def test_what_was_sent_after_the_backup_is_recalled_and_not_sent_again(
    services: Services, database_url: str, tmp_path: Path, portfolio: Callable[..., Path]
) -> None:
    outbox = services.settings.outbox
    enroll(services, portfolio(*map(a_row, ACCOUNTS)), at=START, who="test", driver="sweep", virtual=True)
    drive(services, 4)
    taken_at = services.clock.wall()
    before = sent(outbox)
    copy = back_up(database_url, tmp_path)
    drive(services, 45)
    after = sent(outbox)
    assert len(after) > len(before) + len(ACCOUNTS), "nothing went out after the backup"
    steps = {each: show(services, each)["steps"] for each in ACCOUNTS}
    services.close()

    with restore(database_url, copy) as url:
        again = open_services(services.settings.model_copy(update={"database_url": url}))
        house = again.at(VirtualClock(START + timedelta(days=45)))
        rehearsed = restored(house, taken_at, who="test", dry_run=True)
        with house.ledger.read() as session:
            assert stopped_why(session) is None
        done = restored(house, taken_at, who="test")
        assert done == rehearsed
        assert {each.reference for each in done.recalled} == after.keys() - before.keys()
        with house.ledger.read() as session:
            assert str(stopped_why(session)).startswith("restored from a backup of ")
        assert restored(house, taken_at, who="test").recalled == (), "recalled twice"
        start(house.ledger, who="test", at=house.clock.now(), wall=house.clock.wall())
        drive(house, 45)
        assert sent(outbox) == after, "something went out twice"
        for account in ACCOUNTS:
            assert made(steps[account]) <= made(show(house, account)["steps"])
        drive(house, 60)
        assert len(sent(outbox)) > len(after), "it does not go on"
        assert set(sent(outbox).values()) == {1}
        again.close()


@pytest.fixture
def archiving() -> Iterator[Cluster]:
    """A server that archives its log as the one in deploy/compose does, with the scripts at hand."""
    try:
        cluster = Cluster()
        compose = yaml.safe_load((ROOT / "deploy" / "compose" / "compose.yaml").read_text())
        given = dict(part.split("=", 1) for part in compose["services"]["ledger-db"]["command"] if "=" in part)
        archive = given["archive_command"].replace("/wal/", f"{cluster.folder}/wal/")
        cluster.settings = {name: given[name] for name in ("wal_level", "archive_mode")} | {"archive_command": archive}
        with cluster:
            for name in ("base", "wal"):
                (cluster.folder / name).mkdir()
                if os.geteuid() == 0:
                    shutil.chown(cluster.folder / name, "postgres")
            for script in (ROOT / "deploy" / "postgres").glob("*.sh"):
                shutil.copy(script, cluster.folder)
            cluster.new_database()
            yield cluster
    except NoServer as error:
        pytest.skip(str(error))


def test_a_base_copy_and_the_archived_log_bring_the_ledger_back_to_a_moment(archiving: Cluster) -> None:
    folder = archiving.folder
    places = {"BASES": str(folder / "base"), "WAL": str(folder / "wal"), "KEEP": "2"}
    ledger = Ledger.open(archiving.url)

    def tell(name: str) -> datetime:
        with ledger.write() as session:
            session.execute(text("INSERT INTO ledger_state VALUES (:name, 'told')"), {"name": name})
        with archiving.connect() as connection:
            [[now]] = connection.execute("SELECT clock_timestamp()")
        return now

    (folder / "base" / "20260101T000000.000Z.part").mkdir()
    said = ""
    for number in range(3):
        tell(f"before copy {number}")
        said = archiving.run(["/bin/sh", str(folder / "backup.sh")], **places).stdout
    copies = sorted(path.name for path in (folder / "base").glob("*Z"))
    assert len(copies) == 2
    first = said.split(" is kept from ")[1].split()[0]
    moment = tell("after the copies")
    tell("the mistake")
    ledger.close()
    with archiving.connect() as connection:
        [[last]] = connection.execute("SELECT pg_walfile_name(pg_switch_wal())")
        wait_for("the archive", lambda: (folder / "wal" / last).exists())
    assert min(path.name for path in (folder / "wal").iterdir() if not path.suffix) == first, (
        "what no copy needs was kept"
    )

    archiving.kill()
    again = ["/bin/sh", str(folder / "restore.sh"), str(folder / "base" / copies[0]), str(archiving.data), str(moment)]
    with pytest.raises(AssertionError, match="is not empty: restore into a new folder"):
        archiving.run(again, **places)
    archiving.data.rename(folder / "lost")
    archiving.run(again, **places)
    kept = {*(f"before copy {number}" for number in range(3)), "after the copies"}
    assert told_after_recovery(archiving) == kept

    # And once more, as far as the log goes: a copy of what was restored still has that moment in it.
    ledger = Ledger.open(archiving.url)
    said = archiving.run(["/bin/sh", str(folder / "backup.sh")], **places).stdout
    tell("after the restore")
    ledger.close()
    with archiving.connect() as connection:
        [[last]] = connection.execute("SELECT pg_walfile_name(pg_switch_wal())")
        wait_for("the archive", lambda: (folder / "wal" / last).exists())
    archiving.kill()
    archiving.data.rename(folder / "lost too")
    archiving.run(["/bin/sh", str(folder / "restore.sh"), said.split(" is taken")[0], str(archiving.data)], **places)
    assert told_after_recovery(archiving) == kept | {"after the restore"}
    Ledger.open(archiving.url).close()


def told_after_recovery(cluster: Cluster) -> set[str]:
    cluster.start()
    with cluster.connect() as connection:
        wait_for("the end of recovery", lambda: not connection.execute("SELECT pg_is_in_recovery()").fetchall()[0][0])
        return {name for (name,) in connection.execute("SELECT name FROM ledger_state WHERE value = 'told'")}


def test_copies_are_taken_one_at_a_time_and_one_is_always_kept(archiving: Cluster) -> None:
    folder = archiving.folder
    places = {"BASES": str(folder / "base"), "WAL": str(folder / "wal")}
    take = ["/bin/sh", str(folder / "backup.sh")]
    with pytest.raises(AssertionError, match="KEEP is 0: one copy is the least"):
        archiving.run(take, **places, KEEP="0")
    with (folder / "base" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "base" / ".lock").chmod(0o666)
        with pytest.raises(AssertionError, match="another copy is being taken"):
            archiving.run(take, **places)
    # A clock that went back: what is new is new, whatever its name.
    archiving.run(take, **places)
    [first] = (folder / "base").glob("*Z")
    first.rename(folder / "base" / "20990101T000000.000Z")
    said = archiving.run(take, **places, KEEP="1").stdout
    assert [str(copy) for copy in (folder / "base").glob("*Z")] == [said.split(" is taken")[0]]
