"""One account on real ledgers, put back again and again to the moment before a given rung."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from arrears.ledger.cases import read_case_file
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.services import Services, instant, open_services
from arrears.operations.steer import approve
from arrears.operations.sweep import catch_up
from arrears.settings import Settings
from tests.conftest import HEADER, a_row
from tests.support.ledgers import Rows, all_rows, empty, end_others, postgres_ledger, put_back

ACCOUNT = "A-1"
# The rungs, in the order in which the account comes to them.
RUNGS = {"sms": "sms-1", "call": "call-1", "letter": "letter-1", "agency": "agency-1", "legal": "legal-1"}
BEGINS = datetime(2026, 8, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Landing:
    """The ledger and outbox of an account whose next step is `rung`, which is due by `until`."""

    rung: str
    until: datetime
    url: str
    outbox: Path

    def settings(self, **more: Any) -> dict[str, Any]:
        """Settings for it, as JSON values."""
        return {"database_url": self.url, "outbox": str(self.outbox), "doubt_seconds": 0, **more}

    @contextmanager
    def services(self, **more: Any) -> Iterator[Services]:
        """Opened in this process."""
        opened = open_services(Settings(**self.settings(**more)))
        try:
            yield opened
        finally:
            opened.close()


class Stairs(ABC):
    """A climb made once, with a copy of the ledger kept at each landing."""

    def __init__(self, folder: Path, portfolio: Path) -> None:
        self._folder = folder
        self._until: dict[str, datetime] = {}
        self._climb(portfolio)

    def landing(self, channel: str) -> Landing:
        """A fresh copy of that landing; the one handed out before is gone."""
        outbox = self._folder / "outbox"
        shutil.rmtree(outbox, ignore_errors=True)
        shutil.copytree(self._folder / f"{channel}.outbox", outbox)
        return Landing(RUNGS[channel], self._until[channel], self._restore(channel), outbox)

    @abstractmethod
    def _url(self) -> str: ...

    @abstractmethod
    def _save(self, channel: str) -> None: ...

    @abstractmethod
    def _restore(self, channel: str) -> str: ...

    def _climb(self, portfolio: Path) -> None:
        outbox = self._folder / "climb"
        outbox.mkdir()
        for channel, rung in RUNGS.items():
            services = open_services(Settings(database_url=self._url(), outbox=outbox))
            if channel == "sms":
                enroll(services, portfolio, at=BEGINS, who="test", driver="sweep", virtual=True)
            if channel == "legal":
                approve(services, ACCOUNT, rung, by="Lee Lawyer", at=instant(services, None))
            self._until[channel] = _climb_to(services, rung)
            services.close()
            shutil.copytree(outbox, self._folder / f"{channel}.outbox")
            self._save(channel)


def _climb_to(services: Services, rung: str) -> datetime:
    """Advance until `rung` is next; when it will have been due for half an hour."""
    while True:
        with services.ledger.read() as session:
            case = read_case_file(session, ACCOUNT).case
        assert case.next_due_at is not None, case.next_reason
        if case.next_rung == rung:
            return case.next_due_at + timedelta(minutes=30)
        catch_up(services, case.next_due_at, who="test", budget=Budget())


class SqliteStairs(Stairs):
    def _url(self) -> str:
        return f"sqlite:///{self._folder / 'climb.db'}"

    def _save(self, channel: str) -> None:
        shutil.copy(self._folder / "climb.db", self._folder / f"{channel}.db")

    def _restore(self, channel: str) -> str:
        for stale in self._folder.glob("ledger.db*"):
            stale.unlink()
        shutil.copy(self._folder / f"{channel}.db", self._folder / "ledger.db")
        return f"sqlite:///{self._folder / 'ledger.db'}"


class PostgresStairs(Stairs):
    """`url` is a database of the test's own. Its rows are put back, which is much faster than a copy of it."""

    def __init__(self, folder: Path, portfolio: Path, url: str) -> None:
        self._address = url
        self._engine = create_engine(url, poolclass=NullPool)
        self._rows: dict[str, Rows] = {}
        super().__init__(folder, portfolio)

    def close(self) -> None:
        self._engine.dispose()

    def _url(self) -> str:
        return self._address

    def _save(self, channel: str) -> None:
        with self._engine.connect() as connection:
            self._rows[channel] = all_rows(connection)

    def _restore(self, channel: str) -> str:
        with self._engine.begin() as connection:
            end_others(connection)
            empty(connection)
            put_back(connection, self._rows[channel])
        return self._address


def stairs_on(database: str, folder: Path) -> Iterator[Stairs]:
    """The climb of one account, on SQLite or on a PostgreSQL database of its own."""
    portfolio = folder / "portfolio.csv"
    portfolio.write_text(HEADER + a_row(), encoding="utf-8")
    if database == "sqlite":
        yield SqliteStairs(folder, portfolio)
        return
    with postgres_ledger() as url:
        climbed = PostgresStairs(folder, portfolio, url)
        yield climbed
        climbed.close()
