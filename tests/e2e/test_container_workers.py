"""What Prefect's Docker and Kubernetes workers would start for a timeline, read from their own classes and run here.

No engine and no cluster: what a container adds, its image and its network, is not tried. What is: that the deployment
gives each worker a job, and that the job's command, in nothing but the job's environment, takes the timeline on.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Pending, Scheduled
from prefect.workers.base import BaseJobConfiguration, BaseWorker
from prefect_docker.worker import DockerWorker
from prefect_kubernetes.worker import KubernetesWorker

from tests.e2e.conftest import House
from tests.support.prefect_house import end

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
IMAGE = "registry.example.com/arrears:0.1.0"
Started = tuple[list[str], dict[str, str]]


def job_of(
    house: House, client: SyncPrefectClient, run: FlowRun, type: type[BaseWorker[Any, Any, Any]]
) -> BaseJobConfiguration:
    """As a worker of this type makes it of its pool's template and what `prefect.yaml` gives the deployment."""
    assert run.deployment_id is not None
    deployment = client.read_deployment(run.deployment_id)
    variables = {**(deployment.job_variables or {}), "image": IMAGE, "env": house.environment}
    job = asyncio.run(type.job_configuration.from_template_and_values(type.get_default_base_job_template(), variables))
    job.prepare_for_flow_run(run, deployment, client.read_flow(run.flow_id))
    return job


def in_docker(house: House, client: SyncPrefectClient, run: FlowRun) -> Started:
    job: Any = job_of(house, client, run, DockerWorker)
    assert job.image == IMAGE
    return shlex.split(job.command), {name: value for name, value in job.env.items() if value is not None}


def in_kubernetes(house: House, client: SyncPrefectClient, run: FlowRun) -> Started:
    job: Any = job_of(house, client, run, KubernetesWorker)
    manifest = job.job_manifest
    # Prefect's own template says `parallelism` of the pod as well, which a cluster takes no notice of.
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=False)
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGE
    return container["args"], {each["name"]: each["value"] for each in container["env"]}


def begin(
    house: House, client: SyncPrefectClient, what: Callable[[House, SyncPrefectClient, FlowRun], Started]
) -> FlowRun:
    """What a worker does when a timeline's wait is over, as it is from now on; the run as the job leaves it."""
    run = house.run(client)
    assert run is not None
    client.set_flow_run_state(run.id, Scheduled(name="Waiting"))
    client.set_flow_run_state(run.id, Pending())
    command, environment = what(house, client, run)
    house.server.run(*command, **environment)
    return client.read_flow_run(run.id)


def test_a_timeline_goes_on_in_what_docker_and_kubernetes_workers_start(
    house: House, client: SyncPrefectClient
) -> None:
    timeline = house.timeline_that_waits(client)
    end(house.workers.pop())
    assert house.steps() == {}

    for what, clock, done, next in (
        (in_docker, "2026-08-02T15:00:00Z", ["sms-1"], "until call-1, 2026-08-04 10:00 America/New_York"),
        (
            in_kubernetes,
            "2026-08-04T15:00:00Z",
            ["sms-1", "call-1"],
            "until letter-1, 2026-08-06 09:00 America/New_York",
        ),
    ):
        house.lay_clock(clock)
        run = begin(house, client, what)
        assert run.id == timeline.id
        assert run.state is not None
        assert (run.state.name, run.state.message) == ("Waiting", next)
        assert house.steps() == dict.fromkeys(done, "done")
    assert len(house.texts()) == 1
