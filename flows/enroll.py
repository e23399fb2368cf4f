"""A portfolio file in: accounts, cases, one timeline each."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from arrears.orchestration.at_work import services
from arrears.orchestration.enrolling import enroll_file


@flow(name="enroll", flow_run_name="enroll", retries=0, persist_result=False)
def enroll(
    path: str,
    driver: Literal["timeline", "sweep"] = "timeline",
    at: datetime | None = None,
    dry_run: bool = False,
) -> State:
    """Take the portfolio at `path` in; each account is driven by a timeline of its own, or by the sweep."""
    line = enroll_file(services(), Path(path), driver=driver, at=at, dry_run=dry_run, logger=get_run_logger())
    return Completed(message=line)
