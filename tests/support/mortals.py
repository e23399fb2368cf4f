"""Processes that advance a real ledger and die, or stop, at a chosen boundary of the checkpoint.

`python -m tests.support.mortals` is a warm, single-threaded parent: each order on its standard input forks a child
that opens its own services and runs one command. The child numbers the boundaries it comes to: before and after
every commit, before and after a channel's `perform` and `look_up`, before a file in the outbox is opened for
writing or renamed, before each piece of an HTTP request. At number `at` it sends itself SIGKILL, or SIGSTOP.

Nothing is replaced: commits are seen through SQLAlchemy's events, files and sockets through Python's audit hooks,
channels through an object around the real one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from arrears.settings import ROOT
from tests.support.warm import warm_up


@dataclass(frozen=True)
class Order:
    """What a child is to do. `manner`: SIGKILL or SIGSTOP.

    `at` is the boundary at which it happens, by number or by name (the first so called); 0 is none. `patrol` and
    `serve` (tests.support.patrol) are told the time and the end by the bulletin in folder `bulletin`, which also
    says how far the machine called `clock` is off.
    """

    settings: Mapping[str, Any]
    command: str
    until: str = ""
    account: str = "A-1"
    bulletin: str = ""
    clock: str = ""
    port: int = 0
    at: int | str = 0
    manner: str = "SIGKILL"


@dataclass(frozen=True)
class End:
    """How a child ended: `killed`, `stopped` or `unharmed`, the boundaries it came to, and what it says it did."""

    how: str
    boundaries: list[str]
    result: dict[str, Any]

    @property
    def last(self) -> str:
        """The boundary at which it ended."""
        return self.boundaries[-1] if self.boundaries else "none"


@dataclass
class Mortals:
    """The parent process, seen from a test: `with Mortals() as mortals: mortals.run(Order(…))`."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="mortals-")))

    def __enter__(self) -> Self:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.support.mortals", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._parent.stdin
        self._parent.stdin.close()
        self._parent.wait(timeout=180)

    def run(self, order: Order) -> End:
        """One child from beginning to end."""
        return self.wait(self.start(order))

    def start(self, order: Order) -> int:
        """A child that has begun; its process id."""
        return self._ask({"start": asdict(order)})["pid"]

    def wait(self, pid: int) -> End:
        """Wait until a child ends or stops."""
        answer = self._ask({"wait": pid})
        lines = (self.folder / str(pid)).read_text().splitlines()
        boundaries = [line[2:] for line in lines if line.startswith("> ")]
        results = [json.loads(line[2:]) for line in lines if line.startswith("= ")]
        if answer["how"] == "failed":
            raise AssertionError("\n".join(lines[-30:]))
        return End(answer["how"], boundaries, results[0] if results else {})

    def kill(self, pid: int) -> None:
        """kill -9."""
        os.kill(pid, signal.SIGKILL)
        assert self.wait(pid).how == "killed"

    def go_on(self, pid: int) -> None:
        """Wake a stopped child."""
        os.kill(pid, signal.SIGCONT)

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        assert self._parent.stdin
        assert self._parent.stdout
        self._parent.stdin.write(json.dumps(question) + "\n")
        self._parent.stdin.flush()
        return json.loads(self._parent.stdout.readline())


class Boundaries:
    """Numbers what the child comes to and ends it at the number ordered."""

    def __init__(self, log: int, at: int | str, manner: str) -> None:
        self._log = log
        self._at = at
        self._crossed = 0
        self._signal = signal.Signals[manner]

    def cross(self, name: str) -> None:
        """The child has come to `name`."""
        os.write(self._log, f"> {name}\n".encode())
        self._crossed += 1
        if self._at in (self._crossed, name):
            self._at = 0
            # To this very thread: a signal to the process may let the thread that sent it go on for a moment.
            signal.pthread_kill(threading.get_ident(), self._signal)


class Watched:
    """A channel, with a boundary on either side of what it does."""

    def __init__(self, channel: Any, cross: Callable[[str], None]) -> None:
        self._channel = channel
        self._cross = cross

    def perform(self, intent: Any) -> Any:
        self._cross("before the effect")
        outcome = self._channel.perform(intent)
        self._cross("after the effect")
        return outcome

    def look_up(self, intent: Any) -> Any:
        self._cross("before the look-up")
        finding = self._channel.look_up(intent)
        self._cross("after the look-up")
        return finding


class WatchedBulk(Watched):
    """The same of a channel that makes many effects as one."""

    def perform_all(self, intents: Any) -> Any:
        self._cross("before the effect")
        outcomes = self._channel.perform_all(intents)
        self._cross("after the effect")
        return outcomes


def watch(services: Any, cross: Callable[[str], None]) -> Any:
    """The services, with `cross` called at every boundary. For the rest of the process's life."""
    from sqlalchemy import Engine, event
    from sqlalchemy.orm import Session

    from arrears.channels.effect import Bulk

    event.listen(Engine, "commit", lambda _: cross("before a commit"))
    event.listen(Session, "after_commit", lambda _: cross("after a commit"))
    outbox = str(services.settings.outbox)

    def audit(name: str, arguments: tuple[Any, ...]) -> None:
        match name, arguments:
            case "os.rename", (source, *_) if str(source).startswith(outbox):
                cross(f"before the rename of {Path(source).suffixes[-2:]}")
            case "open", (str(path), _, int(flags)) if path.startswith(outbox) and flags & (os.O_WRONLY | os.O_RDWR):
                cross(f"before a {Path(path).suffix} is opened")
            case "http.client.connect", _:
                cross("before a connection")
            case "http.client.send", _:
                cross("before a piece of a request")

    sys.addaudithook(audit)
    watched = {
        name: (WatchedBulk if isinstance(channel, Bulk) else Watched)(channel, cross)
        for name, channel in services.channels.items()
    }
    return replace(services, channels=watched)


def drive(services: Any, order: Order) -> dict[str, int]:
    """The order's command, in this process; effects by channel, and `failed` if any account did."""
    from arrears.clock import VirtualClock
    from arrears.operations.advance import advance, perform_rung
    from arrears.operations.brakes import Budget
    from arrears.operations.sweep import catch_up, sweep

    until = datetime.fromisoformat(order.until)
    services = services.at(VirtualClock(until))
    who = f"process {os.getpid()}"
    match order.command:
        case "catch_up":
            return dict(catch_up(services, until, who=who, budget=Budget()).by_channel)
        case "sweep":
            swept = sweep(services, who=who, budget=Budget())
            return dict(swept.by_channel) | ({"failed": len(swept.failed)} if swept.failed else {})
        case "pick_up":
            from arrears.operations.pick_up import pick_up

            picked = [file.status for result in pick_up(services, who=who) for file in result.files]
            return {status: picked.count(status) for status in sorted(set(picked))}
        case "timeline":

            def task(rung: str) -> None:
                perform_rung(services, order.account, rung, who=who, budget=Budget())

            return dict(advance(services, order.account, who=who, through=task).by_channel)
        case "print":
            from arrears.operations.letter_batches import batch_letters

            result = batch_letters(services, one_file=False, duplex=True, most=2, who=who)
            assert not result.problems
            return {"batches": len(result.batches)}
        case other:
            raise ValueError(other)


def _child(order: Order, log: int) -> None:
    from arrears.operations.services import open_services
    from arrears.settings import Settings

    if order.bulletin:
        from tests.support.patrol import Bulletin, patrol, serve, set_machine

        bulletin = Bulletin(Path(order.bulletin))
        set_machine(bulletin, order.clock)
        stream = os.fdopen(os.dup(log), "w")
        if order.command == "serve":
            serve(bulletin, order.settings, order.port)
        else:
            patrol(bulletin, order.settings, lambda line: print(f"> {line}", file=stream, flush=True))
        return
    boundaries = Boundaries(log, order.at, order.manner)
    services = watch(open_services(Settings(**order.settings)), boundaries.cross)
    effects = drive(services, order)
    services.close()
    os.write(log, f"= {json.dumps(effects)}\n".encode())


def _start(order: Order, folder: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    log = os.open(folder / str(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        _child(order, log)
    except BaseException:
        os.write(log, traceback.format_exc().encode())
        os._exit(1)
    os._exit(0)


def _wait(pid: int) -> str:
    _, status = os.waitpid(pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return "stopped"
    if os.WIFSIGNALED(status):
        return "killed"
    return "failed" if os.WEXITSTATUS(status) else "unharmed"


def main(folder: Path) -> None:
    """Carry out orders until standard input ends."""
    warm_up(folder)
    born: set[int] = set()
    for line in sys.stdin:
        match json.loads(line):
            case {"start": order}:
                pid = _start(Order(**order), folder)
                born.add(pid)
                answer: dict[str, Any] = {"pid": pid}
            case {"wait": pid}:
                answer = {"how": _wait(pid)}
                if answer["how"] != "stopped":
                    born.discard(pid)
            case other:
                raise ValueError(other)
        print(json.dumps(answer), flush=True)
    for pid in born:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
