"""One wake of a flow run inside the worker's own process, at the cost of three API calls.

A wake in a process of its own makes 34 calls. Three of them say what people see: Pending, which
claims the run before another worker does; Running; and the state it comes to, such as Waiting. The rest ask or
tell what both sides know, or watch from threads of their own over connections of their own for what may happen
in hours; a wake is over in less than a second. They are left out here, in two places: a client that does not
repeat itself, and an engine that starts no watchers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, FlowRunPolicy, State
from prefect.context import ContextModel, SyncClientContext
from prefect.exceptions import Abort, Pause
from prefect.flow_engine import FlowRunEngine
from prefect.flows import Flow
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY, PREFECT_API_URL
from prefect.states import Cancelled, Crashed, Pending, Scheduled
from prefect.types import DateTime
from prefect.utilities.engine import propose_state_sync

logger = logging.getLogger("prefect.workers.arrears")

# A claimed run that turns out to be due later than this was put off by somebody else meanwhile.
_SECONDS_EARLY = 5.0
_SECONDS_TO_BELIEVE = 60.0
_SAID_ALREADY = httpx.Response(204)


class WarmClient(SyncPrefectClient):
    """A client for one thread's life, which tells the server nothing that it has said itself.

    Once `close`d it lets nothing through: httpx raises RuntimeError.
    """

    def __init__(self) -> None:
        super().__init__(
            PREFECT_API_URL.value() or "", auth_string=PREFECT_API_AUTH_STRING.value(), api_key=PREFECT_API_KEY.value()
        )
        self._run: FlowRun | None = None
        self._named: tuple[UUID, str] | None = None
        self._told: tuple[UUID, str | None, FlowRunPolicy] | None = None
        self._storage: tuple[float, Any] | None = None

    def claimed(self, run: FlowRun) -> None:
        """From here on `run` is what this thread works on, as the server has just described it."""
        self._run, self._named = run, (run.id, run.name)
        self._told = run.id, run.flow_version, run.empirical_policy.model_copy()

    def read_flow_run(self, flow_run_id: UUID) -> FlowRun:
        """The engine's first look at its own run is answered from what it has just been told; any other is asked."""
        run, self._run = self._run, None
        if run is None or run.id != flow_run_id:
            return super().read_flow_run(flow_run_id)
        return run.model_copy(update={"run_count": run.run_count + 1})

    def update_flow_run(self, flow_run_id: UUID, *args: Any, **fields: Any) -> httpx.Response:
        """As Prefect's, but for the version and policy that the run already has."""
        same = (flow_run_id, fields.get("flow_version"), fields.get("empirical_policy"))
        if fields.keys() == {"flow_version", "empirical_policy"} and same == self._told:
            return _SAID_ALREADY
        return super().update_flow_run(flow_run_id, *args, **fields)

    def set_flow_run_name(self, flow_run_id: UUID, name: str) -> httpx.Response:
        """As Prefect's, but for the name that the run already has."""
        if (flow_run_id, name) == self._named:
            return _SAID_ALREADY
        return super().set_flow_run_name(flow_run_id, name)

    def read_server_default_result_storage(self) -> Any:
        """As Prefect's, which asks for every flow and task run, believed for a minute."""
        now = time.monotonic()
        if self._storage is None or self._storage[0] < now:
            self._storage = now + _SECONDS_TO_BELIEVE, super().read_server_default_result_storage()
        return self._storage[1]

    def close(self) -> None:
        """Let nothing more through, from any thread."""
        # SyncPrefectClient has no close of its own: leaving it only counts down its users.
        self._client.close()


class WarmContext(SyncClientContext):
    """Makes a WarmClient what `get_client(sync_client=True)` gives in this thread."""

    def __init__(self) -> None:
        # SyncClientContext makes a client of Prefect's own.
        ContextModel.__init__(self, client=WarmClient())


class WakeEngine(FlowRunEngine[..., Any]):
    """Prefect's engine without its two watching threads."""

    @property
    def heartbeat_seconds(self) -> None:
        """None: the thread that beats sleeps by whole seconds, and every wake would wait for it to end."""
        return

    @contextmanager
    def setup_flow_run_suspension_request(self) -> Generator[Any]:
        """No watching for a person's Suspend through a websocket of each run's own: the wake will have ended."""
        yield self._get_flow_run_suspension_request()


def wake(client: WarmClient, flow: Flow[..., Any], run: FlowRun) -> None:
    """Claim a due run, and take it to its end or to its next wait. Another's run is left alone."""
    if not _claim(client, run):
        return
    client.claimed(run)
    engine = WakeEngine(flow=flow, parameters=run.parameters, flow_run=run)
    error: BaseException | None = None
    try:
        with engine.start():
            while engine.is_running():
                with engine.run_context():
                    engine.call_flow_fn()
    except (Abort, Pause):
        pass
    except BaseException as raised:
        error = raised
        logger.exception("flow run %s ended out of order", run.id)
    if engine.flow_run is None or not _settled(engine.flow_run.state):
        settle(client, run.id, error)


def settle(client: SyncPrefectClient, run_id: UUID, error: BaseException | None = None) -> None:
    """A run that nothing is being done about any more must not look as if it were."""
    state = client.read_flow_run(run_id).state
    if state is None or _settled(state):
        return
    if state.is_cancelling():
        client.set_flow_run_state(
            run_id, Cancelled(message="cancelled; what was under way has been finished"), force=True
        )
    else:
        why = f"ended with {type(error).__name__}" if error else f"ended as {state.name}"
        client.set_flow_run_state(run_id, Crashed(message=f"{why}; the sweep revives a timeline"))


def _claim(client: WarmClient, run: FlowRun) -> bool:
    try:
        state = propose_state_sync(client, Pending(), flow_run_id=run.id)
    except Abort:
        return False
    if not state.is_pending():
        return False
    due = state.state_details.scheduled_time
    # The state bears the time of Prefect's server, which this machine's clock may be far from.
    if due is not None and due.timestamp() - state.timestamp.timestamp() > _SECONDS_EARLY:
        _put_back(client, run.id, due)
        return False
    run.state = state
    return True


def _put_back(client: WarmClient, run_id: UUID, due: DateTime) -> None:
    """Somebody else has advanced the run since it was polled: let it wait as it did."""
    waited = [state for state in client.read_flow_run_states(run_id) if state.is_scheduled()]
    last = max(waited, key=lambda state: state.timestamp)
    client.set_flow_run_state(run_id, Scheduled(scheduled_time=due, name=last.name, message=last.message))


def _settled(state: State[Any] | None) -> bool:
    return state is not None and (state.is_final() or state.is_scheduled() or state.is_paused())
