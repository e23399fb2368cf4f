"""When a worker's process has had its time, and how it begins anew."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from opentelemetry.trace import get_tracer_provider
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker

from arrears.settings import Settings

_STATM = Path("/proc/self/statm")
_PAGES_TO_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20
_SECONDS_TO_SEND = 10.0


def memory_mib() -> float | None:
    """Resident memory; None where there is no /proc to ask."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGES_TO_MIB
    except OSError:
        return None


def worn_out(settings: Settings, *, ended: int, given_up: int, mib: float | None) -> str | None:
    """Why a process that has ended and given up so many runs, and has so much memory, should begin anew; or None."""
    if settings.worker_most_runs and ended >= settings.worker_most_runs:
        return f"after {ended} runs"
    # Not before it has done anything: a limit below what a fresh process has would let it do nothing else.
    if settings.worker_most_mib and mib and mib > settings.worker_most_mib and ended:
        return f"at {mib:.0f} MiB"
    if given_up >= settings.worker_most_given_up:
        return f"having given up {given_up} runs"
    return None


async def start_afresh() -> None:
    """Become the same command again: same process id, no threads, no memory. Returns only by raising OSError.

    What is still held to be sent, logs, the events that draw task runs and traces, is sent first: it would otherwise
    be at exit, which does not come.
    """
    for service in (EventsWorker, APILogWorker):
        sending = service.drain_all(timeout=_SECONDS_TO_SEND, at_exit=False)
        if not isinstance(sending, tuple):
            await sending
    # That of an SDK, where there is one: the API alone holds nothing back.
    if flush := getattr(get_tracer_provider(), "force_flush", None):
        await asyncio.to_thread(flush, round(_SECONDS_TO_SEND * 1000))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
