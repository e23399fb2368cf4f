"""A portfolio file as Prefect runs it: rows in, timelines started, progress and refusals shown."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from arrears.operations.enroll import enroll
from arrears.operations.services import Services
from arrears.operations.strain import strain
from arrears.operations.sweep import TIMELINE
from arrears.orchestration.artifacts import Progress, table
from arrears.orchestration.tending import Logger
from arrears.orchestration.timelines import start_timelines, without_timeline


def enroll_file(
    services: Services, path: Path, *, driver: str, at: datetime | None, dry_run: bool, logger: Logger
) -> str:
    """Enrol `path`, start a timeline for each open case that lacks one, and leave a table; the line says it.

    Run again after an interruption, it goes on where it stopped.
    """
    when = at if at is not None else services.clock.now()
    result = enroll(services, path, at=when, who="enroll", driver=driver, dry_run=dry_run)
    if warning := strain(services):
        logger.warning("%s", warning)
    started = 0
    if driver == TIMELINE and not dry_run:
        waiting = without_timeline(services, result.portfolio)
        if waiting:
            bar = Progress("enroll-timelines", "timelines started")

            def show(done: int) -> None:
                if done % 50 == 0 or done == len(waiting):
                    bar.show(done, len(waiting))

            started = start_timelines(services, waiting, progress=show)
    line = (
        f"{'dry run: ' if dry_run else ''}{result.rows} rows, {result.enrolled} enrolled, "
        f"{result.renewed} behind again, {result.already} known already, "
        f"{len(result.rejected)} refused, {started} timelines started"
    )
    rows = [{"line": row.line, "account": row.account_id, "reason": row.reason} for row in result.rejected]
    table("enrolment", rows, line)
    logger.info("%s", line)
    return line
