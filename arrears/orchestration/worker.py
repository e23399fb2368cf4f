"""A worker that stays warm: it runs flow runs in threads of its own process, many at a time.

    prefect work-pool create arrears --type arrears
    prefect worker start --pool arrears --type arrears --limit 8

Any other worker type runs the same deployments; this one spares each wake a new interpreter, its imports and most of
its API calls (docs/workers.md). It takes synchronous flows of code that is installed.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import count
from threading import current_thread, main_thread
from typing import Any
from uuid import UUID

import anyio
import httpx
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.settings import PREFECT_WORKER_QUERY_SECONDS
from prefect.workers.base import BaseVariables, BaseWorker, BaseWorkerResult

from arrears.clock import SystemClock
from arrears.orchestration.deployed import CannotRunHere, Deployments, WarmConfiguration
from arrears.orchestration.hands import Hands, Hold
from arrears.orchestration.recycling import memory_mib, start_afresh, worn_out
from arrears.orchestration.wake import wake
from arrears.orchestration.watched import begin_watch
from arrears.orchestration.watching import give_up, give_up_late, hear_of_cancelling
from arrears.settings import read_settings

_LIMIT = 8
# How many runs a thread are polled at a time, and the most that Prefect answers with.
_AHEAD = 3
_PAGE = 200
_SECONDS_TO_ASK = 5
_SECONDS_TO_TELL = 60
_SECONDS_OF_NO_MATTER = timedelta(seconds=3)


class WarmWorker(BaseWorker[WarmConfiguration, BaseVariables, BaseWorkerResult]):
    """Polls a work pool and hands its due runs to threads of this process."""

    type = "arrears"
    job_configuration = WarmConfiguration
    _description = "Runs flows in threads of the worker's own process."

    def __init__(self, work_pool_name: str, *, name: str | None = None, limit: int | None = None, **other: Any) -> None:
        """As Prefect's; without a limit there are 8 threads. The name survives a new beginning in the same process."""
        name = name or f"{self.type} {socket.gethostname()} {os.getpid()}"
        super().__init__(work_pool_name, name=name, limit=limit or _LIMIT, **other)
        self._threads = limit or _LIMIT
        self._settings = read_settings()
        self._deployments = Deployments()
        self._soon: dict[UUID, asyncio.TimerHandle] = {}
        self._ahead = timedelta(0)
        self._ending: str | None = None
        self._ends_by = float("inf")
        self._anew = False
        self._end_watch: Callable[[], None] | None = None

    async def start(
        self, run_once: bool = False, with_healthcheck: bool = False, printer: Callable[..., None] = print
    ) -> None:
        """Work until told to stop by SIGTERM or SIGINT; then let what is in hand end, or begin anew if that is due."""
        self._once, self._freed = run_once, asyncio.Event()
        loop = asyncio.get_running_loop()
        self._hands = Hands(self._threads, wake, lambda: loop.call_soon_threadsafe(self._freed.set))
        async with anyio.create_task_group() as beside:
            with anyio.CancelScope() as self._working, _signals(self.drain):
                beside.start_soon(self._watch)
                await super().start(run_once, with_healthcheck, printer)
            beside.cancel_scope.cancel()
        if self._anew:
            await start_afresh()

    async def setup(self) -> None:
        """Begin, and let who watches know."""
        await super().setup()
        self._end_watch = await anyio.to_thread.run_sync(begin_watch, self._threads)

    async def teardown(self, *exc_info: Any) -> None:
        """End; the metrics' port is free again."""
        if self._end_watch is not None:
            await anyio.to_thread.run_sync(self._end_watch)
        await super().teardown(*exc_info)

    async def run(
        self, flow_run: FlowRun, configuration: WarmConfiguration, task_status: Any = None
    ) -> BaseWorkerResult:
        """What Prefect calls for a flow submitted ad hoc, which this worker does not take."""
        raise NotImplementedError("a worker of type arrears takes runs of deployments only")

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Poll; while more is due than was taken, again as soon as a thread is free."""
        taken: list[FlowRun] = []
        self._last_polled_time = SystemClock().wall()
        more = self._has_successfully_synced
        while more and self._ending is None:
            self._last_polled_time = SystemClock().wall()
            try:
                found, more = await self._poll()
            except (httpx.TransportError, httpx.HTTPStatusError) as error:
                # Prefect's loop would end the worker after a few minutes of this.
                self._logger.warning("Prefect does not say what is due (%s); asked again later", type(error).__name__)
                break
            taken += found
            more = more and await self._room()
        while self._once and (self._soon or self._hands.held()):
            await self._room()
        return taken

    def drain(self, why: str) -> None:
        """Take nothing more, and stop when what is in hand has ended; told again, stop at once."""
        self._logger.info("takes nothing more: %s; %d runs in hand", why, len(self._hands.in_hand()))
        wait = 0.0 if self._ending else self._settings.worker_drain_seconds
        self._ending, self._ends_by = why, time.monotonic() + wait
        for timer in self._soon.values():
            timer.cancel()
        self._soon.clear()
        self._hands.drop_waiting()

    async def _room(self) -> bool:
        """Wait until a thread has ended a run; False when none has in the time between two polls."""
        self._freed.clear()
        with anyio.move_on_after(PREFECT_WORKER_QUERY_SECONDS.value()):
            await self._freed.wait()
            return True
        return False

    async def _poll(self) -> tuple[list[FlowRun], bool]:
        """The runs newly taken, and whether there may be more."""
        held = self._hands.held()
        asked = min(_AHEAD * self._threads, _PAGE)
        if len(held) + len(self._soon) > asked - self._threads:
            return [], True
        # Prefect's own method takes no limit: it would have 200 runs described for each few that are taken.
        response = await self.client.request(
            "POST",
            "/work_pools/{name}/get_scheduled_flow_runs",
            path_params={"name": self._work_pool_name},
            json={
                "work_queue_names": sorted(self._work_queues),
                "scheduled_before": str(self._now() + timedelta(seconds=self._prefetch_seconds)),
                "limit": asked,
            },
        )
        self._heed_date(response)
        due = [entry.flow_run for entry in WorkerFlowRunResponse.model_validate_list(response.json())]
        new = [run for run in due if run.id not in held]
        # In an order of its own: two workers that are told the same list would race for each run of it.
        random.shuffle(new)
        for run in new:
            await self._take(run)
        return new, len(due) == asked

    def _now(self) -> datetime:
        """The time by Prefect's server: it decides when a run is due, and this machine's clock may be off."""
        return SystemClock().wall() - self._ahead

    def _heed_date(self, response: httpx.Response) -> None:
        """How far this machine's clock is ahead of the server's, by the header that HTTP gives to the second."""
        if response.elapsed > _SECONDS_OF_NO_MATTER:
            # When in that time it was written nobody knows.
            return
        ahead = SystemClock().wall() - parsedate_to_datetime(response.headers["date"])
        within = abs(ahead) <= _SECONDS_OF_NO_MATTER
        if abs(ahead - self._ahead) > _SECONDS_OF_NO_MATTER:
            seconds = ahead.total_seconds()
            self._logger.warning("this machine's clock is %+.0f s from that of Prefect's server, which counts", seconds)
        self._ahead = timedelta(0) if within else ahead

    async def _take(self, run: FlowRun) -> None:
        try:
            work = await self._deployments.work_of(self.client, self.work_pool, run.deployment_id)
        except CannotRunHere as error:
            await self._propose_crashed_state(run, str(error))
            return
        if run.id in self._hands.held():
            return
        hold = Hold(run, work.flow, work.seconds)
        due = run.next_scheduled_start_time
        wait = due.timestamp() - self._now().timestamp() if due else 0.0
        if timer := self._soon.pop(run.id, None):
            # Polled again before it was due: it may have been woken meanwhile.
            timer.cancel()
        if wait <= 0:
            self._hands.take(hold)
        else:
            self._soon[run.id] = asyncio.get_running_loop().call_later(wait, self._now_due, hold)

    def _now_due(self, hold: Hold) -> None:
        del self._soon[hold.run.id]
        self._hands.take(hold)

    async def _watch(self) -> None:
        """Every second: give up what hangs, hear of cancelling, and see whether it is time to stop or to begin anew."""
        for second in count(1):
            await anyio.sleep(1)
            if self.is_setup:
                await give_up_late(self.client, self._hands)
            if self.is_setup and second % _SECONDS_TO_ASK == 0:
                await hear_of_cancelling(self.client, self._hands, seconds=self._settings.worker_cancel_seconds)
            if second % _SECONDS_TO_TELL == 0:
                self._logger.info("%s", self._counts())
            if self._ending is None and (why := self._worn_out()):
                self._anew = True
                self.drain(f"begins anew, {why}")
            if self._ending and (time.monotonic() >= self._ends_by or not self._hands.in_hand()):
                for hold in self._hands.in_hand():
                    await give_up(self.client, self._hands, hold, "the worker ended first")
                self._logger.info("%s", self._counts())
                self._working.cancel()
                return

    def _worn_out(self) -> str | None:
        hands = self._hands
        return worn_out(self._settings, ended=hands.done, given_up=hands.given_up, mib=memory_mib())

    def _counts(self) -> str:
        hands, mib = self._hands, memory_mib()
        counts = f"{hands.done} runs ended, {len(hands.in_hand())} in hand, {hands.given_up} given up"
        return f"{counts}, {mib:.0f} MiB" if mib else counts


@contextmanager
def _signals(tell: Callable[[str], None]) -> Generator[None]:
    """Call `tell` for SIGTERM and SIGINT, in place of Prefect's handlers, which drop what is in hand."""
    loop = asyncio.get_running_loop()
    # Python lets the main thread alone hear signals; a worker that is started in another is not told by them.
    signs = (signal.SIGTERM, signal.SIGINT) if current_thread() is main_thread() else ()
    for sign in signs:
        loop.add_signal_handler(sign, tell, sign.name)
    yield
    for sign in signs:
        loop.remove_signal_handler(sign)
