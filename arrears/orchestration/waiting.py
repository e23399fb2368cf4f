"""Suspend a flow run until a moment in time, at no cost while it waits.

`suspend_flow_run` waits for a person; `sleep` keeps a process. This is the third kind, which Prefect
users have asked for (PrefectHQ/prefect#11683): the run schedules itself and its process ends. At the
moment, whatever worker polls the run's work pool starts the same run again.

    @flow
    def remind(order: str):
        if not already_sent(order):          # the flow enters from the top each time:
            wait_until(in_three_days, "until the reminder")     # it must ask the world where it stands
        send(order)

What to know before copying it:

- The run must come from a deployment, or no worker would ever pick it up again: NotDeployed.
- Nothing of the process survives. What was done must be on record elsewhere; here that is the ledger.
- Every wake adds one to `run_count`, which flow-level `retries` compares against: use task retries.
- The run's infrastructure pid is cleared, so that cancelling a waiting run in the UI cancels it at once
  instead of asking a worker to end a process that is long gone.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import NoReturn

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import SetStateStatus
from prefect.context import FlowRunContext
from prefect.exceptions import Abort, Pause
from prefect.states import Scheduled

NAME = "Waiting"
# Set in a process that a worker started for one run; its id is on the run by then, or will be in a moment.
_OF_ONE_RUN = "PREFECT__FLOW_RUN_ID"


class NotDeployed(RuntimeError):
    """The current flow run has no deployment, so nothing would wake it."""


def waiting_state(until: datetime, message: str) -> State[None]:
    """The state of a run that waits: of type SCHEDULED, named `Waiting`."""
    return Scheduled(scheduled_time=until, name=NAME, message=message)


def wait_until(until: datetime, message: str) -> NoReturn:
    """End this process; the current flow run goes on at `until` (aware, wall time) from its first line.

    Raises prefect's Pause, which the engine understands; let it pass. Raises NotDeployed, and Abort when
    the server refuses because somebody cancelled the run meanwhile.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.deployment_id is None:
        raise NotDeployed("only a run of a deployment can wait; nothing would wake this one")
    run_id = context.flow_run.id
    with get_client(sync_client=True) as client:
        if context.flow_run.infrastructure_pid or _OF_ONE_RUN in os.environ:
            client._client.patch(f"/flow_runs/{run_id}", json={"infrastructure_pid": None})  # pyright: ignore[reportPrivateUsage]
        answer = client.set_flow_run_state(run_id, waiting_state(until, message))
    if answer.status is not SetStateStatus.ACCEPT or answer.state is None:
        raise Abort(f"the run may not wait: it is {answer.state.name if answer.state else 'gone'}")
    raise Pause(state=answer.state)
