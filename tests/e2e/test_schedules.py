"""The sweep comes by itself: Prefect's scheduler makes runs of what prefect.yaml schedules."""

from __future__ import annotations

from itertools import pairwise

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from tests.support.prefect_house import wait_for

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]


def test_a_deployed_sweep_is_scheduled_every_five_minutes(client: SyncPrefectClient) -> None:
    deployment = client.read_deployment_by_name("sweep/default")

    def scheduled() -> list[FlowRun]:
        runs = client.read_flow_runs(limit=200)
        return [run for run in runs if run.auto_scheduled and run.deployment_id == deployment.id]

    runs = wait_for("a scheduled sweep", scheduled, seconds=75)
    times = sorted(run.expected_start_time for run in runs if run.expected_start_time)
    assert all(moment.minute % 5 == 0 for moment in times)
    assert {(later - earlier).total_seconds() for earlier, later in pairwise(times)} <= {300.0}
