"""Who made an intent, and whether that process can still be about to carry it out."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path


def this_process() -> str:
    """`host/pid-namespace/pid/start`: names this process for as long as the machine is up.

    A forked child is another process, so the pid is read every time.
    """
    return _named(os.getpid())


@cache
def _named(pid: int) -> str:
    return f"{_machine()}/{pid}/{_started(pid)}"


# A child may get the pid of an ancestor that has ended.
os.register_at_fork(after_in_child=_named.cache_clear)


def is_gone(owner: str) -> bool:
    """Whether `owner` provably no longer runs. False when that cannot be known from here.

    Only a process of this host, this boot and this pid namespace can be judged; for all others the
    intent's lease has to run out.
    """
    machine, _, rest = owner.partition("/")
    if machine != _machine():
        return False
    pid, _, started = rest.partition("/")
    return _started(int(pid)) != started


@cache
def _machine() -> str:
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = "?"
    return f"{socket.gethostname()}|{boot}|{namespace}"


def _started(pid: int) -> str:
    """The process's start time in clock ticks, or `gone`. A zombie has stopped acting, so it is gone too."""
    stat = _read(f"/proc/{pid}/stat")
    if stat:
        fields = stat.rpartition(")")[2].split()
        return "gone" if fields[0] in "ZX" else fields[19]
    if Path("/proc/self/stat").exists():
        return "gone"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        pass
    return "?"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
