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

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from arrears.ledger.cases import read_case_file
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.services import Services, instant, open_services
from arrears.operations.steer import approve
from arrears.operations.sweep import catch_up
from arrears.settings import Settings

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
    """`url` is a database of the test's own, whose name the copies' names begin with."""

    def __init__(self, folder: Path, portfolio: Path, url: str) -> None:
        self._database = make_url(url)
        self._admin = create_engine(self._database.set(database="postgres"), isolation_level="AUTOCOMMIT")
        super().__init__(folder, portfolio)

    def close(self) -> None:
        for suffix in ("ledger", *RUNGS):
            self._run(f"DROP DATABASE IF EXISTS {self._named(suffix)} WITH (FORCE)")
        self._admin.dispose()

    def _url(self) -> str:
        return self._database.render_as_string(hide_password=False)

    def _save(self, channel: str) -> None:
        self._run(f"CREATE DATABASE {self._named(channel)} TEMPLATE {self._database.database}")

    def _restore(self, channel: str) -> str:
        name = self._named("ledger")
        self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._run(f"CREATE DATABASE {name} TEMPLATE {self._named(channel)}")
        return self._database.set(database=name).render_as_string(hide_password=False)

    def _named(self, suffix: str) -> str:
        return f"{self._database.database}_{suffix}"

    def _run(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))
