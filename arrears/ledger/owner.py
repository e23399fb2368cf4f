"""Who made an intent, and whether that process can still be about to carry it out."""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import socket
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

_UNKNOWN: Final = "?"


def this_process() -> str:
    """`host/pid-namespace/pid/start`: names this process for as long as the machine is up.

    A forked child is another process, so the pid is read every time.
    """
    return _named(os.getpid())


# A worker that begins anew keeps its process id and start time, and counts from 1 again.
_program = secrets.token_hex(3)
_claims = itertools.count(1)


def new_claim() -> str:
    """`n.program@this_process()`, never given twice: whoever takes an intent names itself, and this taking of it.

    A process has many threads, and the same one may take an intent again; what an earlier taking still means to do, or
    to write, is not the later one's. In front, where a program from before claims takes it for another machine's.
    """
    return f"{next(_claims)}.{_program}@{this_process()}"


@cache
def _named(pid: int) -> str:
    return f"{_machine()}/{pid}/{_started(pid)}"


# A child may get the pid of an ancestor that has ended.
os.register_at_fork(after_in_child=_named.cache_clear)


def is_free(owner: str, lease_until: datetime | None, wall: datetime) -> bool:
    """Whether what `owner` took may be taken at `wall`: its lease is over, or it is gone."""
    return lease_until is None or lease_until <= wall or is_gone(owner)


def is_gone(owner: str) -> bool:
    """Whether `owner` provably no longer runs. False when that cannot be known from here.

    Only a process of this host, this boot and this pid namespace can be judged; for all others the
    intent's lease has to run out.
    """
    machine, _, rest = owner.rpartition("@")[2].partition("/")
    if machine != _machine():
        return False
    pid, _, started = rest.partition("/")
    found = _started(int(pid))
    return found == "gone" or (found != started and _UNKNOWN not in (found, started))


@cache
def _machine() -> str:
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = "?"
    return f"{socket.gethostname()}|{boot}|{namespace}"


def _started(pid: int) -> str:
    """The process's start time in clock ticks, or `gone`; `?` where neither is known.

    A zombie has stopped acting, so it is gone too. Only that there is no such process says that it is gone: its files
    may be hidden from us, or there may be no descriptor left to read them with.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESRCH):
            return _UNKNOWN
    else:
        return "gone" if fields[0] in "ZX" else fields[19]
    # No /proc, or one that hides other users' processes.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except OSError:
        pass
    return _UNKNOWN


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
