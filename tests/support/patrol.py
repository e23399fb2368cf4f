"""Processes that live through a campaign: sweeps one after the other, and the service, on a time that the test sets.

They run as children of tests.support.mortals, which can kill them at any moment. Like whoever is looked after by a
supervisor they open the ledger again and again until it is there, and go on after it was not.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import time_machine
import uvicorn

from arrears.clock import Clock, VirtualClock, iso
from arrears.desk.app import create_app
from arrears.ledger.database import LedgerError
from arrears.operations.brakes import Budget
from arrears.operations.services import Services, open_services
from arrears.operations.sweep import sweep
from arrears.settings import Settings

_AGAIN = 0.05


@dataclass(frozen=True)
class Bulletin:
    """What all processes of a campaign are told: the ledger's time, and when to go home."""

    folder: Path

    @property
    def moment(self) -> datetime:
        """The ledger's time."""
        return datetime.fromisoformat((self.folder / "now").read_text())

    def stand_at(self, moment: datetime) -> None:
        """Let the ledger's time be `moment`."""
        self._write("now", iso(moment))

    def ahead(self, machine: str) -> timedelta:
        """How far that machine's own clock is ahead of the true time."""
        path = self.folder / f"clock of {machine}"
        return timedelta(seconds=float(path.read_text())) if path.exists() else timedelta(0)

    def set_clock(self, machine: str, ahead: timedelta) -> None:
        """Set that machine's own clock."""
        self._write(f"clock of {machine}", str(ahead.total_seconds()))

    @property
    def is_over(self) -> bool:
        """Whether the processes are to end."""
        return (self.folder / "over").exists()

    def end(self) -> None:
        """Let the processes end."""
        (self.folder / "over").touch()

    def _write(self, name: str, content: str) -> None:
        new = self.folder / f"{name}.new"
        new.write_text(content)
        new.rename(self.folder / name)


class BulletinClock(VirtualClock):
    """Stands where the bulletin says."""

    def __init__(self, bulletin: Bulletin, real: Clock) -> None:
        super().__init__(bulletin.moment, real)
        self._bulletin = bulletin

    def now(self) -> datetime:
        """The bulletin's moment."""
        self.moment = self._bulletin.moment
        return self.moment


def set_machine(bulletin: Bulletin, machine: str) -> None:
    """Let this process see its machine's clock as the bulletin sets it, from now on and whenever it is set anew."""
    if not machine:
        return
    ahead = bulletin.ahead(machine)
    traveller = time_machine.travel(datetime.now(UTC) + ahead, tick=True).start()  # noqa: TID251  the one to be moved

    def follow() -> None:
        nonlocal ahead
        while True:
            if (new := bulletin.ahead(machine)) != ahead:
                traveller.shift(new - ahead)
                ahead = new
            time.sleep(_AGAIN)

    threading.Thread(target=follow, daemon=True).start()


def opened(bulletin: Bulletin, settings: Mapping[str, Any]) -> Services:
    """The deployment on the bulletin's time, as soon as its ledger can be opened."""
    while True:
        with suppress(LedgerError):
            services = open_services(Settings(**settings))
            return services.at(BulletinClock(bulletin, services.clock))
        time.sleep(_AGAIN)


def patrol(bulletin: Bulletin, settings: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Sweep after sweep until it is over. A ledger that is away ends a sweep, as it would end a flow run."""
    services = opened(bulletin, settings)
    while not bulletin.is_over:
        try:
            swept = sweep(services, who=f"sweep {os.getpid()}", budget=Budget())
        except LedgerError as error:
            say(f"{type(error).__name__}: {error}")
            time.sleep(_AGAIN)
        else:
            if swept.looked_at:
                say(f"{swept.looked_at} looked at, {swept.effects} effects, {len(swept.failed)} failed")
            else:
                time.sleep(_AGAIN)


def serve(bulletin: Bulletin, settings: Mapping[str, Any], port: int) -> None:
    """The service on `port`, until it is killed."""
    services = opened(bulletin, settings)
    uvicorn.run(create_app(services), host="127.0.0.1", port=port, log_level="critical", access_log=False)
