"""Advance whatever is due and nobody has advanced; revive what stalled."""

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from arrears.orchestration.at_work import services
from arrears.orchestration.tending import preview_sweep, tend


@flow(name="sweep", flow_run_name="sweep", retries=0, persist_result=False)
def sweep(limit: int = 10_000, dry_run: bool = False) -> State:
    """Advance up to `limit` due accounts; with `dry_run`, only count what would go out, by channel."""
    if dry_run:
        return Completed(message=preview_sweep(services(), limit=limit))
    report = tend(services(), limit=limit, logger=get_run_logger())
    if report.failed:
        return Failed(message=f"{report.line()}; failed: {', '.join(report.failed[:20])}")
    if report.unwritten:
        return Failed(message=report.line())
    return Completed(message=report.line())
