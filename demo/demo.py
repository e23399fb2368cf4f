"""`make demo`: the sample portfolio climbs all five stages on a real Prefect server, a day a second."""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import IO

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
START = "2026-08-01T12:00:00Z"
SECONDS_PER_DAY = 1.2
DAYS = 142
BIN = Path(sys.executable).parent
# Prefect's command, without Python's collector. On SQLite the collector, running in the server's loop, may come to a
# forgotten cursor of a connection that waits for a lock: then all stands still for the minute that such waits last.
SERVER = "import gc, sys; gc.disable(); sys.argv[0] = 'prefect'; from prefect.cli import app; app()"


def main() -> int:
    """Set the stage, let the days pass, show what came of them, leave nothing running."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave Prefect's server up at the end")
    keep = parser.parse_args().keep
    port = _free_port()
    _clean()
    os.environ.update(_environment(port))
    os.chdir(ROOT)
    # Only now: settings and Prefect read the environment when they are imported.
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 118)
    console.print("[bold]arrears[/bold]: 20 card accounts, a day every 1.2 seconds", highlight=False)
    command = [sys.executable, "-c", SERVER, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with _process("server", command, keep=keep) as server:
        with console.status("starting Prefect's server (its first start prepares its database)"):
            _wait_for_server(port, server)
        console.print(f"Prefect's UI: [link]http://127.0.0.1:{port}/runs[/link]", highlight=False)
        with console.status("registering the deployments"):
            _run("prefect", "--no-prompt", "work-pool", "create", "arrears", "--type", "arrears")
            _run("prefect", "--no-prompt", "deploy", "--all")
        command = ["prefect", "worker", "start", "--pool", "arrears", "--type", "arrears", "--limit", "4"]
        with _process("worker", command):
            _run("prefect", "deployment", "run", "enroll/default", "-p", f"path={HERE / 'portfolio.csv'}")
            Story(console).run()
        if keep:
            console.print(f"Prefect's server stays up (pid {server.pid}); `kill {server.pid}` ends it", highlight=False)
    return 0


def _environment(port: int) -> dict[str, str]:
    return {
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
        "PREFECT_HOME": str(HERE / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_PREFETCH_SECONDS": "1",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1",
        "ARREARS_DATABASE_URL": f"sqlite:///{HERE / 'arrears.db'}",
        "ARREARS_OUTBOX": str(HERE / "outbox"),
        "ARREARS_CLOCK": f"lapse:{START}:{SECONDS_PER_DAY}",
        "ARREARS_NAP_SECONDS": "0.8",
        "ARREARS_SWEEP_GRACE_SECONDS": "10",
        "TWILIO_ACCOUNT_SID": "",
    }


def _agreed(text: str, now: datetime) -> tuple[str, date]:
    """`58.00 in 33 days`: the amount, and the day it is meant for."""
    amount, _, days, _ = text.split()
    return amount, (now + timedelta(days=int(days))).date()


@dataclass(frozen=True)
class Happening:
    """One line of life.csv: what somebody does on some day."""

    day: float
    account_id: str
    event: str
    detail: str


class Story:
    """The days of the demo: life happens to accounts while their timelines run."""

    def __init__(self, console) -> None:
        from arrears.operations.services import open_services
        from arrears.settings import read_settings

        self.console = console
        self.services = open_services(read_settings(), live=False)
        self.start = datetime.fromisoformat(START)
        self.pending = [
            Happening(float(row["day"]), row["account_id"], row["event"], row["detail"])
            for row in csv.DictReader((HERE / "life.csv").open(encoding="utf-8"))
        ]
        self.said: list[str] = []

    def run(self) -> None:
        """Until every case is closed or the days are over."""
        from rich.live import Live

        next_sweep = time.monotonic() + 15
        spoken = -10
        with Live(console=self.console, refresh_per_second=4, transient=True) as live:
            while (day := self._day()) < DAYS and not self._all_done():
                self._let_life_happen(day)
                if time.monotonic() > next_sweep:
                    next_sweep = time.monotonic() + 15
                    _run("prefect", "deployment", "run", "sweep/default", "--flow-run-name", "sweep", background=True)
                live.update(self._table(day))
                if not self.console.is_terminal and day - spoken >= 10:
                    spoken = day
                    self.console.print(f"day {day:3.0f}: {self._counts()}", highlight=False)
                time.sleep(0.3)
        self.console.print(self._table(min(self._day(), DAYS)))
        self._summary()
        self.services.close()

    def _day(self) -> float:
        return (self.services.clock.now() - self.start) / timedelta(days=1)

    def _let_life_happen(self, day: float) -> None:
        from arrears.ledger.cases import UnknownAccount
        from arrears.operations.calls import CallRefused
        from arrears.operations.steer import SteeringRefused

        for happening in [h for h in self.pending if h.day <= day]:
            try:
                self._happen(happening)
            except (CallRefused, UnknownAccount):
                # Nobody can report a call that is not on the list yet; it is tried again until it is stale.
                if day - happening.day < 12:
                    continue
            except SteeringRefused:
                pass
            self.pending.remove(happening)

    def _happen(self, it: Happening) -> None:
        from arrears.cli.session import nudge
        from arrears.engine.money import Money
        from arrears.engine.vocabulary import Disposition
        from arrears.operations import arrange, calls, hold, pay, replies, show, steer

        at = self.services.clock.now()
        detail, _, more = it.detail.partition(" ")
        match it.event:
            case "payment":
                owed = show.show(self.services, it.account_id)["balance"]
                amount = owed["amount"] if it.detail == "all" else it.detail
                if Money.parse(owed["amount"], owed["currency"]).amount > 0:
                    reference = f"DEMO-{it.account_id}-{it.day:g}"
                    pay.pay(
                        self.services, it.account_id, amount, reference=reference, at=at, source="demo", who="holder"
                    )
            case "reply":
                replies.receive_text(self.services, it.account_id, it.detail, at=at, who="holder")
            case "hold":
                hold.hold(self.services, it.account_id, detail, at=at, until=None, channel=more or None, who="desk")
            case "release":
                hold.release(self.services, it.account_id, it.detail, at=at, who="desk")
            case "call":
                promised = calls.Promised(*_agreed(more, at)) if more else None
                calls.record_call(
                    self.services, it.account_id, Disposition(detail), by="C. Ollector", promised=promised, at=at
                )
            case "plan":
                amount, due_on = _agreed(it.detail, at)
                arrange.plan(
                    self.services,
                    it.account_id,
                    [(due_on, amount)],
                    misses_allowed=0,
                    reference=f"DEMO-{it.account_id}",
                    at=at,
                    source="demo",
                    who="desk",
                )
            case "approve":
                steer.approve(self.services, it.account_id, detail, by=more.removeprefix("by ") or "A. Counsel", at=at)
            case other:
                raise ValueError(f"demo/life.csv: event {other!r} is not known")
        nudge(self.services, it.account_id)
        self.said.append(f"day {it.day:g}: {it.account_id} {it.event} {it.detail}")

    def _all_done(self) -> bool:
        counts = self._portfolio()
        open_cases = counts.by_status["delinquent"] + counts.by_status["current"]
        return self._day() > 3 and open_cases == 0 and sum(counts.by_status.values()) == 20

    def _portfolio(self):
        from arrears.operations.show import status

        return status(self.services)

    def _counts(self) -> str:
        by_stage = self._portfolio().by_stage
        return ", ".join(f"{stage} {count}" for stage, count in by_stage.items())

    def _table(self, day: float):
        from rich.table import Table
        from sqlmodel import select

        import models

        table = Table(
            title=f"day {day:.0f}  {self.services.clock.now():%Y-%m-%d}  {self._counts()}", title_justify="left"
        )
        for column in ("account", "place", "status", "stage", "steps", "next"):
            table.add_column(column, no_wrap=True)
        with self.services.ledger.read() as session:
            steps: dict[str, int] = {}
            for account_id in session.exec(select(models.Step.account_id).where(models.Step.status == "done")):
                steps[account_id] = steps.get(account_id, 0) + 1
            rows = session.exec(
                select(models.Account, models.Case).where(models.Account.id == models.Case.account_id)
            ).all()
            for account, case in sorted(rows, key=lambda row: row[0].id):
                place = f"{account.city}, {account.region or account.country}"
                table.add_row(
                    account.id, place, case.status, case.stage, str(steps.get(account.id, 0)), case.next_reason[:42]
                )
        return table

    def _summary(self) -> None:
        from sqlmodel import func, select

        import models

        with self.services.ledger.read() as session:
            rows = session.exec(
                select(models.Step.channel, models.Step.status, func.count())
                .group_by(models.Step.channel, models.Step.status)
                .order_by(models.Step.channel, models.Step.status)
            ).all()
        made = ", ".join(f"{count} {channel} {status}" for channel, status, count in rows if status != "planned")
        self.console.print(f"steps: {made}", highlight=False)
        outbox = HERE / "outbox"
        for kind in ("sms", "letters", "agency", "legal"):
            files = sorted(path for path in (outbox / kind).rglob("*") if path.is_file())
            shown = f"{len(files)} files, such as {files[-1].relative_to(ROOT)}" if files else "none"
            self.console.print(f"  {kind:8} {shown}", highlight=False)
        self.console.print(f"  ledger   {(HERE / 'arrears.db').relative_to(ROOT)}", highlight=False)
        account = "EB-1001"
        self.console.print(
            "look closer: ARREARS_DATABASE_URL=sqlite:///demo/arrears.db "
            f"ARREARS_CLOCK={os.environ['ARREARS_CLOCK']} .venv/bin/arrears show {account}",
            highlight=False,
            soft_wrap=True,
        )


@contextmanager
def _process(name: str, command: list[str], *, keep: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A child in a process group of its own, ended with everything it started unless `keep`."""
    log: IO[bytes] = (HERE / "prefect" / f"{name}.log").open("wb")
    child = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    ended_well = False
    try:
        yield child
        ended_well = True
    finally:
        if not (keep and ended_well):
            for sign in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(child.pid, sign)
                    child.wait(timeout=10)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
        log.close()


def _run(*command: str, background: bool = False) -> None:
    if background:
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"demo: `{' '.join(command)}` failed:\n{done.stdout}\n{done.stderr}")


def _wait_for_server(port: int, server: subprocess.Popen[bytes]) -> None:
    import httpx

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"demo: Prefect's server ended; see {HERE / 'prefect' / 'server.log'}")
        try:
            if httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=2, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise SystemExit("demo: Prefect's server did not come up within two minutes")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _clean() -> None:
    for path in (HERE / "outbox", HERE / "prefect"):
        shutil.rmtree(path, ignore_errors=True)
    for suffix in ("", "-wal", "-shm"):
        (HERE / f"arrears.db{suffix}").unlink(missing_ok=True)
    (HERE / "prefect").mkdir(parents=True)


if __name__ == "__main__":
    sys.exit(main())
