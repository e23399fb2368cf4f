"""Who drives live cases, a timeline each or the sweep: changed without anything being done twice or left out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select

import models
from arrears.engine.vocabulary import CaseStatus
from arrears.ledger.cases import lock_person, read_case_file
from arrears.ledger.events import log_event
from arrears.operations.services import Services


class DriverRefused(Exception):
    """Nothing was changed; the message says why."""


def driven_otherwise(
    services: Services, driver: str, *, portfolio: str | None, accounts: Sequence[str]
) -> tuple[str, ...]:
    """The open cases of a portfolio, or of these accounts, that something else than `driver` drives.

    Raises DriverRefused for a portfolio that the ledger does not know, UnknownAccount for an account.
    """
    with services.ledger.read() as session:
        if portfolio is not None:
            known = select(models.Account.id).where(models.Account.portfolio == portfolio).limit(1)
            if session.exec(known).first() is None:
                raise DriverRefused(f"there is no portfolio {portfolio!r}")
        for account_id in accounts:
            read_case_file(session, account_id)
        query = (
            select(models.Case.account_id)
            .join(models.Account, col(models.Account.id) == col(models.Case.account_id))
            .where(models.Case.driver != driver, models.Case.status != CaseStatus.CLOSED)
            .order_by(col(models.Case.account_id))
        )
        if portfolio is not None:
            query = query.where(models.Account.portfolio == portfolio)
        if accounts:
            query = query.where(col(models.Case.account_id).in_(accounts))
        return tuple(session.exec(query))


def give_to(services: Services, account_id: str, driver: str, *, who: str, at: datetime) -> bool:
    """Let `driver` drive the account's open case from now on; False when it does already.

    What is under way stays so: an intent is its process's until its lease ends, whoever drives the case. A run that
    drove it stays on record with the case until another does: it knows itself when it wakes, and goes on if the case
    is its own again.
    """
    with services.ledger.write() as session:
        lock_person(session, account_id)
        case = read_case_file(session, account_id, lock=True).case
        if case.driver == driver or case.status == CaseStatus.CLOSED:
            return False
        case.driver = driver
        session.add(case)
        wall = services.clock.wall()
        log_event(
            session, "driver changed", who=who, at=at, wall=wall, case=case, why=f"driven by {driver} from now on"
        )
        return True
