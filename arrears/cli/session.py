"""What every command shares: opened services, who is at the terminal, and the nudge to a timeline."""

from __future__ import annotations

import getpass
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date, datetime

import typer

from arrears.cli.output import note
from arrears.clock import ClockError, parse_instant
from arrears.ledger.cases import NoCase, read_case_file
from arrears.logs import as_json
from arrears.operations.services import Services, open_services
from arrears.settings import read_settings


@contextmanager
def opened(*, live: bool = True) -> Generator[Services]:
    """The services of this deployment, closed afterwards."""
    settings = read_settings()
    if settings.log_format == "json":
        as_json()
    services = open_services(settings, live=live)
    try:
        yield services
    finally:
        services.close()


def who() -> str:
    """The person at the terminal, for the event log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def when(text: str | None) -> datetime | None:
    """An `--at` option's instant; wrong usage (exit 2) when it is none."""
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ClockError as error:
        raise typer.BadParameter(str(error)) from None


def a_day(text: str) -> date:
    """A calendar day; wrong usage (exit 2) when it is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; expected one such as 2026-12-01") from None


def nudge(services: Services, account_id: str) -> None:
    """Wake the account's timeline if it has one; the sweep makes good what cannot be woken now."""
    with services.ledger.read() as session:
        try:
            driven_by = read_case_file(session, account_id).case.timeline
        except NoCase:
            return
    if driven_by is None:
        return
    # Importing Prefect takes seconds; most commands on most ledgers never need it.
    from arrears.orchestration.timelines import PrefectUnreachable, wake

    try:
        wake(services, account_id)
    except PrefectUnreachable as error:
        note(f"recorded; its timeline could not be woken ({error}), the next sweep will see to it")
