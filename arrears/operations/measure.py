"""How the ledger stands, in numbers for who watches it. No account, no person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

import models
from arrears.engine.vocabulary import CaseStatus, StepStatus
from arrears.operations.brakes import stopped_why
from arrears.operations.record_sweep import LastSweep, SweepTotals, last_sweep, sweep_totals
from arrears.operations.services import Services
from arrears.operations.show import status
from arrears.operations.sweep import TIMELINE

_NOT_WAITING = (CaseStatus.HALTED, CaseStatus.CLOSED)


@dataclass(frozen=True, slots=True)
class Pulse:
    """What an index answers at once. Ages and durations in seconds.

    `due`: cases whose moment has come; `overdue`: those of them later than the sweep's grace, which no driver should
    leave; `late_timelines`: those of these that a timeline drives.
    """

    due: int
    overdue: int
    late_timelines: int
    oldest_overdue: float
    intended: int
    work_items: int
    stopped: bool
    last_sweep: LastSweep | None
    totals: SweepTotals


@dataclass(frozen=True, slots=True)
class Census:
    """What takes a look at every row. `errors`: texts not delivered, by the provider's reason."""

    by_status: Mapping[str, int]
    by_stage: Mapping[str, int]
    steps: Mapping[tuple[str, str], int]
    deliveries: Mapping[str, int]
    errors: Mapping[str, int]


def pulse(services: Services) -> Pulse:
    """Read what is cheap at any size."""
    now = services.clock.now()
    late = now - services.clock.lasts(timedelta(seconds=services.settings.sweep_grace_seconds))
    case = models.Case
    with services.ledger.read() as session:
        oldest = session.exec(select(func.min(case.next_due_at)).where(*_due(late))).one()
        return Pulse(
            due=_count(session, *_due(now)),
            overdue=_count(session, *_due(late)),
            late_timelines=_count(session, *_due(late), col(case.driver) == TIMELINE),
            oldest_overdue=(now - oldest).total_seconds() if oldest is not None else 0.0,
            intended=session.exec(
                select(func.count()).select_from(models.Step).where(models.Step.status == StepStatus.INTENDED)
            ).one(),
            work_items=session.exec(
                select(func.count()).select_from(models.WorkItem).where(col(models.WorkItem.done_at).is_(None))
            ).one(),
            stopped=stopped_why(session) is not None,
            last_sweep=last_sweep(session),
            totals=sweep_totals(session),
        )


def census(services: Services) -> Census:
    """Count every account, step and text: seconds in a ledger of millions, so ask seldom."""
    portfolio = status(services)
    step, delivery = models.Step, models.Delivery
    with services.ledger.read() as session:
        steps = session.exec(
            select(step.channel, step.status, func.count()).group_by(col(step.channel), col(step.status))
        ).all()
        deliveries = session.exec(select(delivery.status, func.count()).group_by(col(delivery.status))).all()
        errors = session.exec(
            select(delivery.error_code, func.count())
            .where(delivery.error_code != "")
            .group_by(col(delivery.error_code))
        ).all()
    return Census(
        by_status=portfolio.by_status,
        by_stage=portfolio.by_stage,
        steps={(channel, standing): count for channel, standing, count in steps},
        deliveries=dict(deliveries),
        errors=dict(errors),
    )


def _due(moment: datetime) -> tuple[ColumnElement[bool] | Any, ...]:
    return (col(models.Case.next_due_at) <= moment, col(models.Case.status).not_in(_NOT_WAITING))


def _count(session: Session, *conditions: Any) -> int:
    return session.exec(select(func.count()).select_from(models.Case).where(*conditions)).one()
