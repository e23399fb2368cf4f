"""The sweep comes by itself: what Prefect's scheduler does at each turn makes runs of what prefect.yaml schedules."""

from __future__ import annotations

from itertools import pairwise

import pytest
from prefect.client.orchestration import SyncPrefectClient

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]


def test_a_deployed_sweep_is_scheduled_every_five_minutes(client: SyncPrefectClient) -> None:
    deployment = client.read_deployment_by_name("sweep/default")
    # The scheduler itself is off in this house: its runs would be taken up in other tests.
    client._client.post(f"/deployments/{deployment.id}/schedule", json={"min_runs": 3}).raise_for_status()
    runs = [
        run for run in client.read_flow_runs(limit=200) if run.auto_scheduled and run.deployment_id == deployment.id
    ]
    for run in runs:
        client.delete_flow_run(run.id)
    times = sorted(run.expected_start_time for run in runs if run.expected_start_time)
    assert len(times) >= 3
    assert all(moment.minute % 5 == 0 for moment in times)
    assert {(later - earlier).total_seconds() for earlier, later in pairwise(times)} == {300.0}
