"""`arrears` without the second that Python needs to import it: each command is a fork of a process that has.

`python -m tests.support.warm_commands` reads orders from its standard input, one JSON document a line, and forks a
child for each: with the order's folder, environment and nothing else of its own, and with files for its output. The
child runs the same `main` that the installed `arrears` runs.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 60


@dataclass(frozen=True)
class Ran:
    """What a command left behind in the terminal."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class WarmCommands:
    """The parent process, seen from a test. `folder` is where the output of each command lands."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm_commands", str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            # How wide a console is, is settled when it is imported.
            env={name: value for name, value in os.environ.items() if name != "COLUMNS"},
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._parent.stdin
        self._parent.stdin.close()
        self._parent.wait(timeout=TIMEOUT)

    def run(self, words: list[str], cwd: Path, env: dict[str, str]) -> Ran:
        """`arrears WORDS` in that folder, with just that environment."""
        assert self._parent.stdin
        assert self._parent.stdout
        self._parent.stdin.write(json.dumps({"words": words, "cwd": str(cwd), "env": env}) + "\n")
        self._parent.stdin.flush()
        code = int(self._parent.stdout.readline())
        return Ran(code, *((self._folder / name).read_text(encoding="utf-8") for name in ("out", "err")))


def _child(order: dict[str, Any], folder: Path) -> int:
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = ["arrears", *order["words"]]
    # A script, not a module run by `-m`: usage is told in that name.
    sys.modules["__main__"].__package__ = ""
    signal.alarm(TIMEOUT)

    from arrears.cli.app import main as arrears

    try:
        arrears()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


def main(folder: Path) -> None:
    """Carry out orders until standard input ends."""
    import arrears.cli.app  # noqa: F401 - what the children inherit
    from arrears.operations.services import open_services
    from arrears.settings import Settings

    # And every template compiled and every rule checked, once for all of them.
    open_services(Settings(database_url=f"sqlite:///{folder / 'warm.db'}", outbox=folder)).close()
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            code = _child(json.loads(line), folder)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
