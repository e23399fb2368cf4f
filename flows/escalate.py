"""One account's timeline: decide, perform, wait; again."""

from functools import partial
from uuid import UUID

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from arrears.engine.vocabulary import StepStatus
from arrears.operations.brakes import Budget
from arrears.operations.moves import Closed
from arrears.orchestration.at_work import services
from arrears.orchestration.escalation import (
    climb,
    drives,
    is_halted,
    make_rung,
    retired,
    tag_stage,
    waiting_out_the_ledger,
)
from arrears.orchestration.timelines import RETIRED, finish, rest_of
from arrears.orchestration.waiting import wait_until


# The ledger is the checkpoint: a cached result would be a second truth, and a retry a second effect.
@task(task_run_name="{rung}", cache_policy=NO_CACHE, retries=0, persist_result=False)
def perform(account_id: str, rung: str, budget: Budget) -> State:
    """Make one rung for one account, within what its wake may still spend."""
    outcome = make_rung(services(), account_id, rung, who="timeline", budget=budget)
    state = Failed if outcome == StepStatus.FAILED else Completed
    return state(message=f"{rung}: {outcome}")


@flow(name="escalate", flow_run_name="{account_id}", retries=0, persist_result=False)
def escalate(account_id: str) -> State:
    """Climb one account's ladder until its case closes.

    Between rungs the run is `Waiting` and costs no process. Run by hand for an account whose timeline
    lives elsewhere, it advances the account once and says where it goes on.
    """
    with waiting_out_the_ledger():
        return _climb(account_id)


def _climb(account_id: str) -> State:
    house = services()
    run_id = UUID(flow_run.get_id())
    if retired(house, account_id, run_id):
        return Completed(message=RETIRED)
    elsewhere = drives(house, account_id, run_id)
    rest = climb(house, account_id, who="timeline", through=partial(perform, account_id, return_state=True))
    if elsewhere:
        return Completed(message=f"advanced once; the timeline goes on in flow run {elsewhere}")
    tag_stage(house, account_id, run_id, flow_run.get_tags())
    if isinstance(rest, Closed):
        finish(house, account_id)
        return Completed(message=f"closed: {rest.outcome}")
    if why := is_halted(house, account_id):
        if why.startswith("failed"):
            return Failed(message=f"halted: {why}; a person must look, then `arrears resume {account_id}`")
        return Cancelled(message=f"halted: {why}; `arrears resume {account_id}` lets it go on")
    until, message = rest_of(house, rest)
    get_run_logger().info("account %s waits: %s", account_id, message)
    return wait_until(until, message)
