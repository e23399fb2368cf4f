"""Which agency gets an account: what each takes, how many it works already, and who has had the account."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, exists, func, or_, select

import models
from arrears.engine.delinquency import days_past_due
from arrears.engine.ladder import Rung
from arrears.engine.life.placements import PlacementReport
from arrears.engine.money import Money
from arrears.engine.partners import Choice, Offered, choose
from arrears.engine.vocabulary import ChannelName, StepStatus
from arrears.ledger.absent import insert_if_absent
from arrears.ledger.cases import CaseFile
from arrears.operations.services import Services

# The row under whose lock accounts are counted before one more goes to an agency that is nearly full.
_COUNTED = "working:"


def choose_agency(services: Services, session: Session, file: CaseFile, rung: Rung, *, now: datetime) -> Choice:
    """The agency among those that the rung names, in the caller's transaction.

    Where an agency has a capacity, nobody else counts its accounts until this transaction ends.
    """
    account = file.account
    candidates = [services.partners.named(name) for name in rung.agencies]
    offered = Offered(
        case_id=file.case.id,
        country=account.country,
        region=account.region,
        balance=Money(account.balance, account.currency),
        days_past_due=days_past_due(file.case.due_date, now, file.zone),
        had_by=frozenset(placement.placed.agency for placement in file.placements()),
    )
    limited = sorted(each.name for each in candidates if each.capacity is not None)
    return choose(offered, candidates, {name: _working(session, name) for name in _alone(session, limited)})


def _alone(session: Session, names: Iterable[str]) -> Iterable[str]:
    """Each name, once nobody else can be counting for it; always in the same order."""
    for name in names:
        insert_if_absent(session, models.LedgerState, {"name": _COUNTED + name, "value": ""})
        session.get_one(models.LedgerState, _COUNTED + name, with_for_update=True)
        yield name


def _working(session: Session, agency: str) -> int:
    """The accounts that the agency works now, and those that are about to be placed with it."""
    placement, recall, event, step = models.Placement, models.Recall, models.LifeEvent, models.Step
    recalled = exists().where(col(recall.placement) == col(placement.reference), col(recall.final))
    ended = exists().where(
        col(event.account_id) == col(placement.account_id),
        col(event.kind) == "placement_report",
        col(event.data)["placement"].as_string() == col(placement.reference),
        or_(*(col(event.data)["report"].as_string() == report for report in _ENDS)),
    )
    placed = select(func.count()).select_from(placement).where(placement.agency == agency, ~recalled, ~ended)
    coming = (
        select(func.count())
        .select_from(step)
        .where(
            col(step.channel) == ChannelName.AGENCY.value,
            col(step.status) == StepStatus.INTENDED.value,
            col(step.payload)["agency"].as_string() == agency,
            ~exists().where(col(placement.reference) == col(step.reference)),
        )
    )
    return session.exec(placed).one() + session.exec(coming).one()


_ENDS = (PlacementReport.REFUSED, PlacementReport.RETURNED)
