"""A real Prefect server and real workers around one ledger, for tests and for looking at."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from arrears.settings import ROOT
from tests.support.warm import Ran, Warm, WarmProcess

BIN = Path(sys.executable).parent
AnyProcess = subprocess.Popen[bytes] | WarmProcess


class Timeout(AssertionError):
    """Something that was waited for did not come."""


def wait_for(what: str, ask: Callable[[], Any], *, seconds: float = 180) -> Any:
    """Ask until the answer is true; Timeout says what never came."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.2)
    raise Timeout(f"{what} did not happen within {seconds:.0f} s")


@dataclass
class PrefectServer:
    """A server of its own on SQLite in `home`, with arrears' deployments on a pool. `more`: settings of its world.

    It and all that runs in its world is forked from `warm` if that is given, and is else a fresh interpreter each.
    """

    home: Path
    port: int = field(default_factory=lambda: free_port())
    process: AnyProcess | None = None
    more: dict[str, str] = field(default_factory=dict[str, str])
    warm: Warm | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What every process of this server's world needs."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ARREARS_"))},
            "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            # A scheduled sweep in the middle of a test would be one that nobody asked for.
            "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_WORKER_PREFETCH_SECONDS": "1",
            "DO_NOT_TRACK": "1",
            "NO_PROXY": "127.0.0.1",
            # Who has no ledger of their own gets none in the folder that the tests run in.
            "ARREARS_DATABASE_URL": f"sqlite:///{self.home / 'ledger.db'}",
            **self.more,
        }

    def start(self) -> None:
        """Start, and register the deployments."""
        self.start_process()
        self.register()

    def register(self) -> None:
        """Make the pool, and the deployments on it."""
        self.run("prefect", "--no-prompt", "work-pool", "create", "arrears", "--type", "arrears")
        self.run("prefect", "--no-prompt", "deploy", "--all")

    def start_process(self, *options: str) -> None:
        """Start, and wait until it answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        database = self.home / "prefect.db"
        if not database.exists():
            database.write_bytes(_new_database(self.warm))
        command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port), *options]
        self.process = self.begin(command, self.home / "server.log")
        wait_for("the start of Prefect's server", self._answers)

    def stop(self) -> None:
        """End the server and whatever it started."""
        if self.process is not None:
            end(self.process)

    def begin(self, command: list[str], log: Path, *, cold: bool = False, **other: str) -> AnyProcess:
        """A process of this world, in a process group of its own; `cold`: a fresh interpreter all the same."""
        environment = self.environment | other
        if self.warm is not None and not cold:
            return self.warm.start(command, ROOT, environment, log)
        with log.open("ab") as stream:
            return subprocess.Popen(
                command, stdout=stream, stderr=stream, env=environment, start_new_session=True, cwd=ROOT
            )

    def run(self, *command: str, **other: str) -> str:
        """Run a command in this world; its output, or a failure that shows it."""
        environment = self.environment | other
        if self.warm is not None:
            ran = self.warm.run(command, ROOT, environment)
        else:
            done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=300)
            ran = Ran(done.returncode, done.stdout, done.stderr)
        assert ran.code == 0, f"{' '.join(command)}\n{ran.out}\n{ran.err}"
        return ran.out

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/api/health", timeout=2, trust_env=False).is_success
        except httpx.HTTPError:
            return False


@cache
def _new_database(warm: Warm | None) -> bytes:
    """What a server's first start makes, which takes it a dozen seconds of migrations: made once for all of them."""
    with tempfile.TemporaryDirectory() as home:
        PrefectServer(Path(home), warm=warm).run("prefect", "server", "database", "upgrade", "-y", PREFECT_API_URL="")
        # Nobody has it open any more, so nothing of it is left in a file beside it.
        return (Path(home) / "prefect.db").read_bytes()


def worker(
    server: PrefectServer,
    log: Path,
    *options: str,
    pool: str = "arrears",
    type: str = "arrears",
    limit: int = 4,
    cold: bool = False,
    **environment: str,
) -> AnyProcess:
    """A worker in a process group of its own."""
    command = ["prefect", "worker", "start", "--pool", pool, "--type", type, "--limit", str(limit), *options]
    return server.begin(command, log, cold=cold, **environment)


def end(process: AnyProcess, sign: signal.Signals = signal.SIGKILL) -> None:
    """End a process group at once."""
    try:
        os.killpg(process.pid, sign)
    except ProcessLookupError:
        return
    process.wait(timeout=180)


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
