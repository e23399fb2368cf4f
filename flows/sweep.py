"""Advance whatever is due and nobody has advanced; revive what stalled."""

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from arrears.operations.sweep import Share
from arrears.operations.turns import turn
from arrears.orchestration.at_work import services
from arrears.orchestration.tending import Report, preview_sweep, start_shares, tend_all


@flow(name="sweep", flow_run_name="sweep", retries=0, persist_result=False)
def sweep(limit: int = 10_000, dry_run: bool = False, shares: int = 1) -> State:
    """Advance whatever is due, `limit` accounts at a time; with `dry_run`, only count what would go out, by channel.

    With `shares`, so many runs are at it at once, on whatever workers have room for them. What another sweep is at is
    left to it.
    """
    house = services()
    if dry_run:
        return Completed(message=preview_sweep(house, limit=limit))
    with turn(house) as mine:
        if mine is None:
            return Completed(message="another sweep is at it")
        start_shares(limit=limit, of=shares)
        return _state(tend_all(house, limit=limit, share=Share(0, shares), logger=get_run_logger(), turn=mine))


@flow(name="sweep-share", flow_run_name="sweep-share-{number}-of-{of}", retries=0, persist_result=False)
def share(number: int, of: int, limit: int = 10_000) -> State:
    """One of several sweeps at once: begins with its own part of what is due, and helps with the rest."""
    return _state(tend_all(services(), limit=limit, share=Share(number, of), logger=get_run_logger()))


def _state(report: Report) -> State:
    if report.failed:
        return Failed(message=f"{report.line()}; failed: {', '.join(report.failed[:20])}")
    if report.unwritten:
        return Failed(message=report.line())
    return Completed(message=report.line())
