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

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


class Timeout(AssertionError):
    """Something that was waited for did not come."""


def wait_for(what: str, ask: Callable[[], Any], *, seconds: float = 90) -> Any:
    """Ask until the answer is true; Timeout says what never came."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.2)
    raise Timeout(f"{what} did not happen within {seconds:.0f} s")


@dataclass
class PrefectServer:
    """A server of its own on SQLite in `home`, with arrears' deployments on a pool. `more`: settings of its world."""

    home: Path
    port: int = field(default_factory=lambda: free_port())
    process: subprocess.Popen[bytes] | None = None
    more: dict[str, str] = field(default_factory=dict[str, str])

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
        self.run("prefect", "--no-prompt", "work-pool", "create", "arrears", "--type", "arrears")
        self.run("prefect", "--no-prompt", "deploy", "--all")

    def start_process(self) -> None:
        """Start, and wait until it answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        database = self.home / "prefect.db"
        if not database.exists():
            database.write_bytes(_new_database())
        log = (self.home / "server.log").open("ab")
        command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, stdout=log, stderr=log, env=self.environment, start_new_session=True, cwd=ROOT
        )
        wait_for("the start of Prefect's server", self._answers, seconds=120)

    def stop(self) -> None:
        """End the server and whatever it started."""
        if self.process is not None:
            end(self.process)

    def run(self, *command: str, **other: str) -> str:
        """Run a command in this world; its output, or a failure that shows it."""
        done = subprocess.run(
            command, capture_output=True, text=True, env=self.environment | other, cwd=ROOT, timeout=120
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/api/health", timeout=2, trust_env=False).is_success
        except httpx.HTTPError:
            return False


@cache
def _new_database() -> bytes:
    """What a server's first start makes, which takes it a dozen seconds of migrations: made once for all of them."""
    with tempfile.TemporaryDirectory() as home:
        environment = PrefectServer(Path(home)).environment | {"PREFECT_API_URL": ""}
        command = ["prefect", "server", "database", "upgrade", "-y"]
        subprocess.run(command, check=True, capture_output=True, env=environment, cwd=ROOT, timeout=120)
        # Nobody has it open any more, so nothing of it is left in a file beside it.
        return (Path(home) / "prefect.db").read_bytes()


def worker(
    server: PrefectServer,
    log: Path,
    *options: str,
    pool: str = "arrears",
    type: str = "arrears",
    limit: int = 4,
    **environment: str,
) -> subprocess.Popen[bytes]:
    """A worker in a process group of its own."""
    command = ["prefect", "worker", "start", "--pool", pool, "--type", type, "--limit", str(limit), *options]
    with log.open("ab") as stream:
        return subprocess.Popen(
            command,
            stdout=stream,
            stderr=stream,
            env=server.environment | environment,
            start_new_session=True,
            cwd=ROOT,
        )


def end(process: subprocess.Popen[bytes], sign: signal.Signals = signal.SIGKILL) -> None:
    """End a process group at once."""
    try:
        os.killpg(process.pid, sign)
    except ProcessLookupError:
        return
    process.wait(timeout=30)


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
