"""A worker that runs flow runs in its own process: a wake costs no new interpreter and no imports.

    prefect work-pool create arrears --type arrears
    prefect worker start --pool arrears --type arrears --limit 8

Any other worker type runs the same deployments; this one only spares each wake the two to three seconds
that a new process spends importing. A flow runs in a thread, so it must be a synchronous one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.abc
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.exceptions import Abort, Pause
from prefect.flow_engine import run_flow_sync
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult

from arrears.orchestration.watched import begin_watch

# What a worker without --limit may come to.
_UNLIMITED = 100


class InProcessResult(BaseWorkerResult):
    """Whether the engine came to an orderly end; the flow run's own state says the rest."""


class InProcessWorker(BaseWorker[BaseJobConfiguration, BaseVariables, InProcessResult]):
    """Runs each flow run in a thread of the worker itself."""

    type = "arrears"
    job_configuration = BaseJobConfiguration
    _description = "Runs arrears' flows inside the worker's own process."
    _end_watch: Callable[[], None] | None = None

    async def setup(self) -> None:
        """Begin, and let who watches know."""
        await super().setup()
        self._end_watch = await anyio.to_thread.run_sync(begin_watch, self._limit or _UNLIMITED)

    async def teardown(self, *exc_info: Any) -> None:
        """End; the metrics' port is free again."""
        if self._end_watch is not None:
            await anyio.to_thread.run_sync(self._end_watch)
        await super().teardown(*exc_info)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: BaseJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> InProcessResult:
        """Run to its end or to its next wait, whichever comes first."""
        flow = await self._flow_of(flow_run)
        if task_status is not None:
            task_status.started(os.getpid())
        identifier = f"{os.getpid()}/{flow_run.id}"
        try:
            await anyio.to_thread.run_sync(partial(_run, flow, flow_run))
        except Exception:
            # Reported as a crash by Prefect, so that the run does not stay Running.
            self._logger.exception("flow run %s ended out of order", flow_run.id)
            return InProcessResult(status_code=1, identifier=identifier)
        return InProcessResult(status_code=0, identifier=identifier)

    async def _submit_scheduled_flow_runs(self, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
        """Leave a run that is due again before it has ended here to the next poll.

        With `--limit`, prefect 3.8.8 would take a second slot for it, which its limiter answers with an
        error that ends the worker.
        """
        held = self._limiter.statistics().borrowers if self._limiter is not None else ()
        free = [response for response in flow_run_response if response.flow_run.id not in held]
        return await super()._submit_scheduled_flow_runs(free)

    async def _flow_of(self, flow_run: FlowRun) -> Flow[..., Any]:
        assert flow_run.deployment_id is not None
        if flow_run.deployment_id not in _flows:
            deployment = await self.client.read_deployment(flow_run.deployment_id)
            assert deployment.entrypoint is not None
            _flows[flow_run.deployment_id] = load_flow_from_entrypoint(
                deployment.entrypoint, use_placeholder_flow=False
            )
        return _flows[flow_run.deployment_id]


_flows: dict[Any, Flow[..., Any]] = {}


def _run(flow: Flow[..., Any], flow_run: FlowRun) -> None:
    try:
        run_flow_sync(flow, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")
    except (Abort, Pause):
        # The engine has told the server already: the run waits, or somebody else has it.
        return
