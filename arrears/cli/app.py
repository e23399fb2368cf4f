"""`arrears`: exit 0 done, 1 refused or failed with one line on stderr, 2 wrong usage."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import typer
from sqlalchemy.exc import SQLAlchemyError
from typer.main import get_command

from arrears.channels.tracking import ProviderSilent
from arrears.cli import (
    accounts,
    agency,
    alerts,
    calls,
    contacts,
    drive,
    ladders,
    legal,
    letters,
    money,
    people,
    remittances,
    rules,
    serve,
    templates,
    texts,
)
from arrears.cli.output import note
from arrears.clock import ClockError
from arrears.engine.money import MoneyError
from arrears.intake.rows import PortfolioError
from arrears.ledger.cases import UnknownAccount
from arrears.ledger.database import LedgerError
from arrears.operations.calls import CallRefused
from arrears.operations.check_contact import FactsError
from arrears.operations.consent import ContactRefused
from arrears.operations.documents import DocumentRefused
from arrears.operations.drivers import DriverRefused
from arrears.operations.evidence import EvidenceUnusable
from arrears.operations.explain import NothingToExplain
from arrears.operations.hand_over import CannotSettle
from arrears.operations.hold import HoldRefused
from arrears.operations.inbox import EventRefused
from arrears.operations.letter_batches import BatchRefused
from arrears.operations.outbox import OutboxUnusable
from arrears.operations.reconcile_texts import TextsRefused
from arrears.operations.services import UnknownLadder
from arrears.operations.steer import SteeringRefused
from arrears.operations.strain import TooMuchForSqlite
from arrears.operations.sweep import ClockStandsLater
from arrears.operations.work import WorkRefused
from arrears.policies.problems import PolicyError
from arrears.rendering.errors import TemplateError
from arrears.settings import SettingsError

_ANTICIPATED = (
    alerts.AlertsNotDeployed,
    BatchRefused,
    CallRefused,
    ClockError,
    ClockStandsLater,
    ContactRefused,
    DocumentRefused,
    CannotSettle,
    DriverRefused,
    EventRefused,
    EvidenceUnusable,
    FactsError,
    HoldRefused,
    LedgerError,
    MoneyError,
    NothingToExplain,
    OutboxUnusable,
    PolicyError,
    PortfolioError,
    ProviderSilent,
    SettingsError,
    SteeringRefused,
    TemplateError,
    TextsRefused,
    TooMuchForSqlite,
    UnknownAccount,
    UnknownLadder,
    WorkRefused,
    rules.UnknownRule,
)

app = typer.Typer(
    name="arrears",
    help="Durable, explained, never-twice escalation of past-due credit-card accounts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for group in (accounts, drive, money, people, contacts, rules, serve):
    group.add_to(app)
app.add_typer(ladders.app, name="ladder")
app.add_typer(calls.app, name="calls")
app.add_typer(rules.rules, name="rules")
remittances.add_to(agency.agency)
app.add_typer(agency.agency, name="agency")
legal.add_to(agency.legal)
app.add_typer(agency.legal, name="legal")
app.add_typer(texts.app, name="texts")
app.add_typer(alerts.app, name="alerts")
app.add_typer(letters.app, name="letters")
app.add_typer(templates.app, name="templates")
app.command()(letters.address)


@cache
def command() -> Callable[[], Any]:
    """All of the command line, put together from what its functions take: once a process, it takes a while."""
    return get_command(app)


class _Interrupted(BaseException):
    """Ctrl-C. Typer would turn a KeyboardInterrupt into a bare `Aborted`."""


def _interrupt(_signal: int, _frame: object) -> None:
    raise _Interrupted


def main() -> None:
    """Run one command; what it refuses or fails at is told in one line, never in a traceback."""
    signal.signal(signal.SIGINT, _interrupt)
    try:
        command()()
    except _ANTICIPATED as error:
        _leave(str(error))
    except SQLAlchemyError as error:
        origin = getattr(error, "orig", None) or error
        _leave(f"the ledger failed: {str(origin).strip().splitlines()[0]}")
    except OSError as error:
        _leave(f"{error.filename or 'a file'}: {error.strerror or type(error).__name__}")
    except _Interrupted:
        _leave("interrupted; what was done is recorded, run the same command again to go on")
    except Exception as error:
        if os.environ.get("ARREARS_DEBUG"):
            raise
        _leave(f"internal error {type(error).__name__}; ARREARS_DEBUG=1 shows where")


def _leave(message: str) -> None:
    note(f"arrears: {message}")
    sys.exit(1)
