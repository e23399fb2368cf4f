"""What a timeline's wake does around `advance`: who drives, what failed, where it waits."""

from __future__ import annotations

import logging
import random
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from prefect.exceptions import ObjectNotFound

import models
from arrears.clock import SystemClock
from arrears.engine.vocabulary import CaseStatus, StepStatus
from arrears.ledger.cases import read_case_file
from arrears.ledger.database import LedgerAway, LedgerBusy
from arrears.operations.advance import advance, perform_rung, record_failure
from arrears.operations.brakes import Budget
from arrears.operations.moves import Closed, Standstill
from arrears.operations.place import write_agency_files
from arrears.operations.services import Services
from arrears.operations.sweep import TIMELINE
from arrears.orchestration.timelines import prefect_api, tags
from arrears.orchestration.waiting import NotDeployed, wait_until

logger = logging.getLogger(__name__)

_LOOKS_AGAIN_AFTER = (30, 90)


@contextmanager
def waiting_out_the_ledger() -> Generator[None]:
    """While the ledger cannot be asked the timeline waits, for a minute or so: nothing is wrong with its account.

    Timelines that found it away together do not come back together. Lets the error pass where the run cannot wait.
    """
    try:
        yield
    except LedgerBusy as error:
        logger.warning("the timeline waits: %s", error)
        soon = SystemClock().wall() + timedelta(seconds=random.uniform(*_LOOKS_AGAIN_AFTER))
        try:
            wait_until(soon, "the ledger could not be asked; looked at again in a minute")
        except NotDeployed:
            raise error from None


def retired(services: Services, account_id: str, run_id: UUID) -> bool:
    """Whether `run_id` drove the account until it was given to the sweep. Raises UnknownAccount."""
    with services.ledger.read() as session:
        case = read_case_file(session, account_id).case
    return case.driver != TIMELINE and case.flow_run_id == str(run_id)


def drives(services: Services, account_id: str, run_id: UUID) -> str | None:
    """Make `run_id` the account's timeline if it has none that is alive; else the run that is.

    Raises UnknownAccount.
    """
    with services.ledger.read() as session:
        timeline = read_case_file(session, account_id).case.timeline
    if timeline in (None, str(run_id)) or not _alive(UUID(timeline)):
        _adopt(services, account_id, run_id)
        return None
    return timeline


def climb(
    services: Services, account_id: str, *, who: str, through: Callable[[str, Budget], object]
) -> Standstill | Closed:
    """Advance the account until it rests for longer than a nap. What fails unforeseen is kept with its case.

    `through` makes a rung, within what the whole climb may spend.
    """
    budget = Budget(services.settings.most_effects_per_run)

    def make(rung: str) -> object:
        return through(rung, budget)

    nap = timedelta(seconds=services.settings.nap_seconds)
    while True:
        try:
            rest = advance(services, account_id, who=who, budget=budget, through=make).rest
            for line in write_agency_files(services.ledger, services.placements, services.clock, services.partners):
                logger.error("%s; the next sweep tries again", line)
        except LedgerAway:
            raise
        except Exception as error:
            rest = record_failure(services, account_id, error, who=who)
        if isinstance(rest, Closed):
            return rest
        wakes = rest.wall_until or (services.clock.wall_at(rest.until) if rest.until else None)
        if wakes is None or wakes - services.clock.wall() > nap:
            return rest
        services.clock.pause(wakes)


def make_rung(services: Services, account_id: str, rung: str, *, who: str, budget: Budget) -> str:
    """Make one rung; says what became of it. What fails unforeseen is kept with its case, which then backs off.

    Let through to Prefect, the error would be kept there with its text, which may hold personal data; and the rung,
    being still the next one, would be begun again at once and for ever.
    """
    try:
        return perform_rung(services, account_id, rung, who=who, budget=budget)
    except LedgerAway as error:
        # None of the account's doing: what the ledger has of it is found by whoever looks next.
        logger.warning("account %s, %s: %s", account_id, rung, error)
        return StepStatus.FAILED
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        logger.error("account %s, %s: %s in %s:%s", account_id, rung, type(error).__name__, at.filename, at.lineno)
        record_failure(services, account_id, error, who=who)
        return StepStatus.FAILED


def is_halted(services: Services, account_id: str) -> str | None:
    """Why the case is halted, or None."""
    with services.ledger.read() as session:
        case = read_case_file(session, account_id).case
        return case.halted_why if case.status == CaseStatus.HALTED else None


def tag_stage(services: Services, account_id: str, run_id: UUID, current: list[str]) -> None:
    """Let the run's tags say which stage its account has reached."""
    with services.ledger.read() as session:
        file = read_case_file(session, account_id)
        wanted = tags(file.account.portfolio, file.case.stage)
    if set(wanted) != set(current):
        with prefect_api() as client:
            client.update_flow_run(run_id, tags=wanted)


def _adopt(services: Services, account_id: str, run_id: UUID) -> None:
    with services.ledger.write() as session:
        case: models.Case = read_case_file(session, account_id, lock=True).case
        if (case.flow_run_id, case.driver) != (str(run_id), TIMELINE):
            case.flow_run_id, case.driver = str(run_id), TIMELINE
            session.add(case)


def _alive(run_id: UUID) -> bool:
    with prefect_api() as client:
        try:
            state = client.read_flow_run(run_id).state
        except ObjectNotFound:
            return False
        return state is not None and not state.is_final()
