"""Threads that each hold one flow run at a time, and can be given up when a run hangs.

A thread cannot be killed. One that is given up is told to stop, can say nothing more to Prefect, and is replaced;
what it held in memory stays, so the worker counts them and starts afresh before they are many.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from contextvars import copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun
from prefect.flows import Flow

from arrears.orchestration.wake import WarmClient, WarmContext

logger = logging.getLogger("prefect.workers.arrears")


class GivenUp(BaseException):
    """Raised in a thread whose run has been given up, at whatever Python line it next reaches."""


@dataclass(eq=False)
class Hold:
    """A flow run in hand. Times are of `time.monotonic`; `began` is None while it waits for a free thread."""

    run: FlowRun
    flow: Flow[..., Any]
    seconds: float
    began: float | None = None
    ends_by: float = float("inf")
    client: WarmClient | None = None
    thread: int | None = None
    given_up: bool = False

    def end_within(self, seconds: float) -> None:
        """Shorten what is left of its time."""
        self.ends_by = min(self.ends_by, time.monotonic() + seconds)


class Hands:
    """`count` threads that do `work` on what they are handed; `freed` is called, in the thread, after each."""

    def __init__(
        self, count: int, work: Callable[[WarmClient, Flow[..., Any], FlowRun], None], freed: Callable[[], object]
    ) -> None:
        self._work, self._freed = work, freed
        self._due: SimpleQueue[Hold] = SimpleQueue()
        self._lock = threading.Lock()
        self._held: dict[UUID, Hold] = {}
        self.done = 0
        self.given_up = 0
        for _ in range(count):
            self._hire()

    def take(self, hold: Hold) -> None:
        """Have a run worked on as soon as a thread is free."""
        with self._lock:
            self._held[hold.run.id] = hold
        self._due.put(hold)

    def held(self) -> frozenset[UUID]:
        """The runs taken and not ended, whether a thread has begun them or not."""
        with self._lock:
            return frozenset(self._held)

    def in_hand(self) -> list[Hold]:
        """What is being worked on."""
        with self._lock:
            return [hold for hold in self._held.values() if hold.began is not None]

    def drop_waiting(self) -> None:
        """Forget what no thread has begun; the runs are still Scheduled."""
        with self._lock:
            for hold in [hold for hold in self._held.values() if hold.began is None]:
                hold.given_up = True
                del self._held[hold.run.id]

    def give_up(self, hold: Hold) -> bool:
        """Let go of a run that will not end, and of its thread; False if it has ended meanwhile."""
        with self._lock:
            if self._held.pop(hold.run.id, None) is not hold:
                return False
            hold.given_up = True
            self.given_up += 1
        if hold.client is not None:
            hold.client.close()
        if hold.thread is not None:
            # What Prefect does for a flow's timeout in a thread; it does not reach a thread that is inside C code.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(hold.thread), ctypes.py_object(GivenUp))
        self._hire()
        self._freed()
        return True

    def _hire(self) -> None:
        # Not a pool of the standard library's: those wait for every thread at exit, a hanging one too.
        threading.Thread(target=copy_context().run, args=(self._live,), name="wake", daemon=True).start()

    def _live(self) -> None:
        with ExitStack() as stack, suppress(GivenUp):
            context: WarmContext | None = None
            while True:
                hold = self._due.get()
                try:
                    if self._begin(hold):
                        context = context or stack.enter_context(WarmContext())
                        assert isinstance(context.client, WarmClient)
                        hold.client = context.client
                        self._work(context.client, hold.flow, hold.run)
                except Exception as error:
                    # What could not be claimed or settled: the run is polled again, or the sweep finds it.
                    logger.error("flow run %s: %s: %s", hold.run.id, type(error).__name__, error)
                if not self._end(hold):
                    return

    def _begin(self, hold: Hold) -> bool:
        with self._lock:
            if hold.given_up:
                return False
            hold.began, hold.thread = time.monotonic(), threading.get_ident()
            hold.end_within(hold.seconds)
            return True

    def _end(self, hold: Hold) -> bool:
        """Whether this thread may go on: one that was given up has been replaced."""
        with self._lock:
            if hold.began is None:
                return True
            if hold.given_up:
                return False
            del self._held[hold.run.id]
            self.done += 1
        self._freed()
        return True
