"""How the tests of this folder tell a story: take accounts in, let days pass, read what became of them."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

import models
from arrears.operations.brakes import Budget
from arrears.operations.day_list import day_list
from arrears.operations.enroll import Enrolment, enroll
from arrears.operations.services import Services
from arrears.operations.show import show
from arrears.operations.sweep import Swept, catch_up
from tests.conftest import START
from tests.support.ledgers import Rows, all_rows, put_back

Portfolio = Callable[..., Path]


def take_in(services: Services, path: Path, *, at: datetime = START, **other: Any) -> Enrolment:
    return enroll(services, path, at=at, who="test", driver="sweep", virtual=True, **other)


def until(services: Services, day: float, budget: Budget | None = None) -> Swept:
    """Drive to noon UTC, `day` days after the due date."""
    return catch_up(services, START + timedelta(days=day), who="test", budget=budget or Budget())


@dataclass(frozen=True)
class _Kept:
    """A ledger's rows, and a folder with what its outbox held."""

    rows: Rows
    outbox: Path


_told: dict[tuple[str, bool], _Kept] = {}


def once_told(name: str, services: Services, tell: Callable[[], object]) -> None:
    """What `tell` does to an empty ledger, told once on each database and from then on put back as it was left.

    `name` stands for the story: the same name must always be the same story.
    """
    key = name, services.ledger.on_sqlite
    engine = create_engine(services.settings.database_url, poolclass=NullPool)
    outbox = services.settings.outbox
    if key in _told:
        with engine.begin() as connection:
            put_back(connection, _told[key].rows)
        shutil.copytree(_told[key].outbox, outbox, dirs_exist_ok=True)
        return
    tell()
    kept = Path(tempfile.mkdtemp(prefix="arrears-story-"))
    atexit.register(shutil.rmtree, kept, ignore_errors=True)
    shutil.copytree(outbox, kept, dirs_exist_ok=True)
    with engine.connect() as connection:
        _told[key] = _Kept(all_rows(connection), kept)


def steps(services: Services, account_id: str = "A-1") -> list[tuple[str, str]]:
    return [(step["rung"], step["status"]) for step in show(services, account_id)["steps"]]


def last(services: Services, rung: str) -> dict[str, Any]:
    return [step for step in show(services, "A-1")["steps"] if step["rung"] == rung][-1]


def open_tasks(services: Services) -> list[models.CallTask]:
    """What collectors have to call, the most pressing first."""
    return [one.task for one in day_list(services, now=at(services))]


def at(services: Services) -> datetime:
    return datetime.fromisoformat(show(services, "A-1")["as_of"])


def dump(services: Services) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with services.ledger.read() as session:
        return {
            name: sorted((tuple(row) for row in session.connection().execute(table.select())), key=str)
            for name, table in SQLModel.metadata.tables.items()
        }
