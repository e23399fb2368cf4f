"""A ledger that is lost and restored goes on, and what was sent after the backup is not sent again."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from arrears.clock import VirtualClock
from arrears.operations.brakes import Budget, start, stopped_why
from arrears.operations.enroll import enroll
from arrears.operations.restored import restored
from arrears.operations.services import Services, open_services
from arrears.operations.show import show
from arrears.operations.sweep import catch_up
from tests.conftest import START, a_row
from tests.support.ledgers import new_postgres_database

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
