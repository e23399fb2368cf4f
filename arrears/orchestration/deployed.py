"""What a deployment says is to be run, for a worker that runs it in its own process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import anyio
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.workers.base import BaseJobConfiguration
from pydantic import Field, ValidationError

_SECONDS_TO_BELIEVE = 60.0
# What `prefect deploy` writes where prefect.yaml names no pull steps; flows are found by their modules all the same.
_NO_FETCHING = "prefect.deployments.steps.set_working_directory"


class WarmConfiguration(BaseJobConfiguration):
    """What a work pool or a deployment's `job_variables` may set. `env` and the like mean nothing in one process."""

    wake_seconds: float = Field(
        default=600.0,
        gt=0,
        title="Seconds a run may take in one go",
        description="A run that takes longer is given up, and Crashed.",
    )


class CannotRunHere(Exception):
    """The deployment needs another type of worker, or its code is not installed; the message says what it is."""


@dataclass(frozen=True, slots=True)
class Work:
    """A flow, and how long one go of it may take."""

    flow: Flow[..., Any]
    seconds: float


class Deployments:
    """Deployments by id, each read again after a minute; flows stay as they were first imported."""

    def __init__(self) -> None:
        self._known: dict[UUID, tuple[float, Work]] = {}

    async def work_of(self, client: PrefectClient, pool: WorkPool, deployment_id: UUID | None) -> Work:
        """What to run. Raises CannotRunHere, and httpx's errors."""
        if deployment_id is None:
            raise CannotRunHere("the run has no deployment")
        until, work = self._known.get(deployment_id, (0.0, None))
        if work is None or until < time.monotonic():
            work = await _read(client, pool, deployment_id)
            self._known[deployment_id] = time.monotonic() + _SECONDS_TO_BELIEVE, work
        return work


async def _read(client: PrefectClient, pool: WorkPool, deployment_id: UUID) -> Work:
    try:
        deployment = await client.read_deployment(deployment_id)
        configuration = await WarmConfiguration.from_template_and_values(
            pool.base_job_template, deployment.job_variables or {}, client=client
        )
    except (ObjectNotFound, ValidationError) as error:
        raise CannotRunHere(f"its deployment cannot be used: {error}") from error
    flow = await _load(deployment)
    if flow.isasync:
        raise CannotRunHere("the flow is asynchronous; a worker of type arrears runs flows in threads")
    return Work(flow, configuration.wake_seconds)


async def _load(deployment: DeploymentResponse) -> Flow[..., Any]:
    fetching = [name for step in deployment.pull_steps or [] for name in step if name != _NO_FETCHING]
    if fetching or not deployment.entrypoint:
        raise CannotRunHere("the deployment fetches its code; a worker of type arrears runs what is installed")
    load = partial(load_flow_from_entrypoint, deployment.entrypoint, use_placeholder_flow=False)
    try:
        return await anyio.to_thread.run_sync(load)
    except Exception as error:
        raise CannotRunHere(f"{deployment.entrypoint} cannot be loaded: {type(error).__name__}: {error}") from error
