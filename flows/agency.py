"""Files from agencies and law firms in; the accounts they touch wake."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from arrears.operations.take_file import take_event_file
from arrears.orchestration.at_work import services
from arrears.orchestration.taking import pick_up_files, take_files


@flow(name="agency", flow_run_name="agency", retries=0, persist_result=False)
def agency(path: str = "inbox/agency", dry_run: bool = False) -> State:
    """Take in what agencies report: events in `path`, a CSV file or a folder; the files in their own folders."""
    logger, opened = get_run_logger(), services()
    events = take_files(opened, Path(path), take_event_file, what="agency", dry_run=dry_run, logger=logger)
    files = pick_up_files(opened, dry_run=dry_run, logger=logger)
    return Completed(message=f"events: {events}; partners: {files}")
