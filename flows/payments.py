"""A payment file in; the accounts it touches wake."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from arrears.orchestration.at_work import services
from arrears.orchestration.paying import post_files


@flow(name="payments", flow_run_name="payments", retries=0, persist_result=False)
def payments(path: str = "inbox/payments", dry_run: bool = False) -> State:
    """Post every payment in `path`, a CSV file or a folder of them, once per reference."""
    return Completed(message=post_files(services(), Path(path), dry_run=dry_run, logger=get_run_logger()))
