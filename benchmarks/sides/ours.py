"""Our sweep over five days with a text each: gate, intent, effect (a synced line), outcome, log, what is next."""

from __future__ import annotations

import cProfile
import logging
import pstats
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from arrears.clock import VirtualClock
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.services import Services, open_services
from arrears.operations.sweep import Share, sweep
from arrears.settings import ROOT, Settings
from benchmarks.bench_enroll import write
from benchmarks.sides.common import RUNGS, Measured, count_effects, together

# A Sunday. The texts go on Mondays and Thursdays, no more than three in seven days, when it is past ten on both coasts.
DUE = datetime(2026, 8, 2, 12, tzinfo=UTC)
_DAYS = (1, 4, 8, 11, 15)
MOMENTS = tuple(DUE + timedelta(days=day, hours=7) for day in _DAYS)
_TEMPLATES = ("reminder-1", "reminder-2", "reminder-3", "reminder-2", "reminder-3")


def policies(folder: Path) -> Path:
    """The rules as shipped, and a ladder of five texts on five days."""
    shutil.copytree(ROOT / "policies", folder, dirs_exist_ok=True)
    rungs = "".join(
        f'  - {{rung: {rung}, stage: sms, template: {template}, due: {{dpd: {day}, at: "10:00"}}, late: go}}\n'
        for day, rung, template in zip(_DAYS, RUNGS, _TEMPLATES, strict=True)
    )
    ladder = f"ladder: five-texts\nversion: 1\ndescription: Five texts.\nhours_between_contacts: 20\nrungs:\n{rungs}"
    (folder / "ladders" / "five-texts.yaml").write_text(ladder, encoding="utf-8")
    return folder


def opened(url: str, folder: Path) -> Services:
    """The deployment that this side sweeps in."""
    settings = Settings(database_url=url, outbox=folder / "outbox", policies=folder / "policies", ladder="five-texts")
    return open_services(settings, live=False)


def enrolled(url: str, folder: Path, accounts: int) -> None:
    """A ledger of so many accounts, all due the first text on Monday."""
    policies(folder / "policies")
    portfolio = folder / "portfolio.csv"
    write(portfolio, accounts, due=f"{DUE:%Y-%m-%d}")
    services = opened(url, folder)
    enroll(services.at(VirtualClock(DUE)), portfolio, at=DUE, who="benchmark", driver="sweep")
    services.close()


def _share(start: Any, number: int, of: int, url: str, folder: Path) -> int:
    logging.disable(logging.WARNING)
    services = opened(url, folder)
    effects = 0
    for moment in MOMENTS:
        start.wait()
        at = services.at(VirtualClock(moment))
        swept = sweep(at, who="benchmark", budget=Budget(), limit=10**7, share=Share(number, of))
        assert not swept.failed, swept.failed[:3]
        effects += swept.effects
    start.end()
    services.close()
    return effects


def measured(url: str, folder: Path, *, accounts: int, processes: int) -> Measured:
    """Enrolled, then swept day after day by so many processes."""
    enrolled(url, folder, accounts)
    ran = together(processes, _share, url, folder)
    effects, distinct = count_effects(folder / "outbox" / "sms")
    assert sum(ran.answers) == effects
    return Measured("arrears, sweep", processes, accounts * len(RUNGS), effects, distinct, ran.seconds, ran.cpu)


def profiled(url: str, folder: Path, *, accounts: int) -> None:
    """Where the time of the same goes, in this process."""
    enrolled(url, folder, accounts)

    class At:
        def wait(self) -> None: ...

        def end(self) -> None: ...

    profile = cProfile.Profile()
    profile.runcall(_share, At(), 0, 1, url, folder)
    pstats.Stats(profile).sort_stats("cumulative").print_stats(70)
    pstats.Stats(profile).sort_stats("tottime").print_stats(45)
