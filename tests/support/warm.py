"""`arrears` and `prefect` without the seconds that Python needs to import them: forks of a process that has.

`python -m tests.support.warm` reads orders from its standard input, one JSON document a line, and forks a child for
each: with the order's folder, environment and nothing else of its own, and with files for its output. The child runs
the same function that the installed command runs.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from sqlalchemy import create_engine

from arrears.cli.app import command
from arrears.cli.app import main as arrears
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.services import open_services
from arrears.operations.show import show
from arrears.operations.sweep import catch_up
from arrears.settings import ROOT, Settings
from tests.support.portfolios import HEADER, a_row

BIN = Path(sys.executable).parent
TIMEOUT = 300
# What `prefect` imports when it comes to it, for its server, its workers and its deployments; and `arrears serve`.
PREFECT = (
    "arrears.desk.app", "arrears.orchestration.worker", "flows.agency", "flows.enroll", "flows.escalate",
    "flows.events", "flows.payments", "flows.sweep", "prefect.cli.deploy", "prefect.cli.deployment",
    "prefect.cli.server", "prefect.cli.work_pool", "prefect.cli.worker", "prefect.server.api.server",
)  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """What a command left behind in the terminal."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Warm:
    """The parent process, seen from a test. `folder` is where the output of each command lands.

    It has imported what `arrears` needs, and `modules`; its own environment has `env` on top.
    """

    def __init__(self, folder: Path, modules: Sequence[str] = (), *, env: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._words = [str(folder), *modules]
        self._env = env or {}

    def __enter__(self) -> Self:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm", *self._words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            # How wide a console is, is settled when it is imported.
            env={name: value for name, value in os.environ.items() if name != "COLUMNS"} | dict(self._env),
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._parent.stdin
        self._parent.stdin.close()
        self._parent.wait(timeout=TIMEOUT)

    def run(self, command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Ran:
        """`command` in that folder, with just that environment, to its end."""
        files = [self._folder / name for name in ("out", "err")]
        for file in files:
            file.unlink(missing_ok=True)
        code = self.start(command, cwd, env, *files).wait()
        return Ran(code, *(file.read_text(encoding="utf-8") for file in files))

    def start(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str], out: Path, err: Path | None = None
    ) -> WarmProcess:
        """The same, begun, in a process group of its own; its output is appended to `out` and `err`."""
        files = {"out": str(out), "err": str(err or out)}
        order = {"command": list(command), "cwd": str(cwd), "env": dict(env), **files}
        return WarmProcess(self._ask({"start": order}), lambda pid: self._ask({"poll": pid}))

    def _ask(self, question: Mapping[str, Any]) -> Any:
        assert self._parent.stdin
        assert self._parent.stdout
        self._parent.stdin.write(json.dumps(question) + "\n")
        self._parent.stdin.flush()
        return json.loads(self._parent.stdout.readline())


@dataclass(frozen=True)
class WarmProcess:
    """A child of the parent, as far as it is like a `subprocess.Popen`."""

    pid: int
    _poll: Callable[[int], int | None]

    def poll(self) -> int | None:
        """How it ended, as `Popen` tells it; None while it runs."""
        return self._poll(self.pid)

    def wait(self, timeout: float = TIMEOUT) -> int:
        """How it ended. TimeoutError."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} has not ended within {timeout:.0f} s")
            time.sleep(0.005)
        return code

    def send_signal(self, sign: signal.Signals) -> None:
        """Nothing if it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sign)


def _child(order: dict[str, Any]) -> int:
    os.setsid()
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    name, *words = order["command"]
    sys.argv = [name, *words]
    sys.orig_argv = [sys.executable, str(BIN / name), *words]
    # A script, not a module run by `-m`: usage is told in that name.
    sys.modules["__main__"].__package__ = ""
    try:
        if "prefect" in sys.modules:
            from prefect.context import refresh_global_settings_context

            refresh_global_settings_context()
        if name == "arrears":
            arrears()
        else:
            from prefect.cli import app as prefect

            if words[:2] == ["server", "start"]:
                # On SQLite the collector may stop the server for a minute: demo/demo.py.
                gc.disable()
            prefect()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


def _start(order: dict[str, Any]) -> int:
    pid = os.fork()
    if not pid:
        code = _child(order)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return pid


def _poll(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def warm_up(folder: Path) -> None:
    """Let this process do in `folder` what its forks will: what it keeps of that, they inherit.

    Templates are compiled and rules checked, zones and numbers read, an account taken in, texted, called and shown. No
    letter is written: Typst has threads of its own from the first on, and a fork would lack them.
    """
    begins = datetime(2026, 8, 1, 12, tzinfo=UTC)
    settings = Settings(database_url=f"sqlite:///{folder / 'warm.db'}", outbox=folder / "warm.outbox")
    portfolio = folder / "warm.csv"
    portfolio.write_text(HEADER + a_row(), encoding="utf-8")
    services = open_services(settings, live=False)
    enroll(services, portfolio, at=begins, who="test", driver="sweep", virtual=True)
    done = catch_up(services, begins + timedelta(days=40), who="test", budget=Budget())
    assert set(done.by_channel) == {"sms", "call"}
    show(services, "A-1")
    services.close()
    # The other database's driver; nothing connects.
    create_engine("postgresql+psycopg://").dispose()
    assert threading.active_count() == len(os.listdir("/proc/self/task")) == 1, "a fork would wait for other threads"
    gc.collect()
    gc.freeze()


def main(folder: Path, modules: Sequence[str]) -> None:
    """Carry out orders until standard input ends."""
    command()
    for module in modules:
        import_module(module)
    warm_up(folder)
    ended: dict[int, int | None] = {}
    for line in sys.stdin:
        match json.loads(line):
            case {"start": order}:
                answer = _start(order)
                ended[answer] = None
            case {"poll": pid}:
                if ended[pid] is None:
                    ended[pid] = _poll(pid)
                answer = ended[pid]
            case other:
                raise ValueError(other)
        print(json.dumps(answer), flush=True)
    for pid, code in ended.items():
        if code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
