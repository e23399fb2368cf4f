"""What a worker looks at while its threads work: runs that take too long, runs that a person has cancelled."""

from __future__ import annotations

import logging
import time

import anyio
import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import PrefectException
from prefect.states import Cancelled, Crashed

from arrears.orchestration.hands import Hands, Hold

logger = logging.getLogger("prefect.workers.arrears")

# Runs in hand for less are not asked about: they are over before an answer is.
_SECONDS_TO_ASK = 5.0
_SECONDS_TO_SAY = 10.0


async def give_up_late(client: PrefectClient, hands: Hands) -> None:
    """Give up every run whose time is over."""
    now = time.monotonic()
    for hold in hands.in_hand():
        if now > hold.ends_by:
            await give_up(client, hands, hold, f"given up after {now - (hold.began or now):.0f} s")


async def give_up(client: PrefectClient, hands: Hands, hold: Hold, why: str) -> None:
    """Let go of a run, and have Prefect show it: Crashed, or Cancelled if a person wanted that."""
    if not hands.give_up(hold):
        return
    logger.error("flow run %s: %s; its thread is told to stop", hold.run.id, why)
    try:
        with anyio.fail_after(_SECONDS_TO_SAY):
            state = (await client.read_flow_run(hold.run.id)).state
            if state is not None and state.is_cancelling():
                await client.set_flow_run_state(hold.run.id, Cancelled(message=f"cancelled; {why}"), force=True)
            elif state is not None and not (state.is_final() or state.is_scheduled()):
                await client.set_flow_run_state(hold.run.id, Crashed(message=f"{why}; the sweep revives a timeline"))
    except (httpx.HTTPError, PrefectException, TimeoutError) as error:
        # Its state stays Running, as after kill -9: the sweep finds it.
        logger.error("flow run %s: Prefect could not be told (%s)", hold.run.id, type(error).__name__)


async def hear_of_cancelling(client: PrefectClient, hands: Hands, *, seconds: float) -> None:
    """One question about all that have been in hand for a while: what a person cancels must end in `seconds`."""
    since = time.monotonic() - _SECONDS_TO_ASK
    old = {hold.run.id: hold for hold in hands.in_hand() if hold.began is not None and hold.began < since}
    if not old:
        return
    cancelling = FlowRunFilter(
        id=FlowRunFilterId(any_=list(old)),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLING])),
    )
    try:
        for run in await client.read_flow_runs(flow_run_filter=cancelling):
            old[run.id].end_within(seconds)
    except (httpx.HTTPError, PrefectException) as error:
        logger.warning("Prefect does not say what is cancelled (%s); asked again later", type(error).__name__)
