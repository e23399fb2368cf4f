"""A file of outside facts in; the accounts it touches wake."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from arrears.operations.take_file import take_event_file
from arrears.orchestration.at_work import services
from arrears.orchestration.taking import take_files


@flow(name="events", flow_run_name="events", retries=0, persist_result=False)
def events(path: str = "inbox/events", dry_run: bool = False) -> State:
    """Take in every fact in `path`, a CSV file or a folder of them, once per reference."""
    logger = get_run_logger()
    line = take_files(services(), Path(path), take_event_file, what="events", dry_run=dry_run, logger=logger)
    return Completed(message=line)
