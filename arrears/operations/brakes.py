"""Brakes every driver obeys before each intent: the kill switch and the ceilings on effects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from sqlmodel import Session, col, func, select

import models
from arrears.engine.vocabulary import StepStatus
from arrears.ledger import state
from arrears.ledger.database import Ledger
from arrears.ledger.events import log_event

_WENT_OUT = (StepStatus.INTENDED, StepStatus.DONE, StepStatus.UNKNOWN)


@dataclass(slots=True)
class Budget:
    """Effects this run may still make; None is no limit. Shared by everything the run advances."""

    left: int | None = None

    def spend(self) -> None:
        """Account for one intent."""
        if self.left is not None:
            self.left -= 1

    @property
    def spent(self) -> bool:
        """Whether nothing may go out in this run any more."""
        return self.left is not None and self.left <= 0


@dataclass(frozen=True, slots=True)
class Brake:
    """Why no intent may be made, and when (ledger time) that ends by itself; None: never."""

    why: str
    until: datetime | None = None


def braked(session: Session, budget: Budget, *, per_day: int | None, now: datetime) -> Brake | None:
    """What keeps intents from being made at this moment, if anything does. A day is one of UTC."""
    stopped = state.get(session, state.STOPPED)
    if stopped is not None:
        return Brake(f"stopped: {stopped}")
    if budget.spent:
        return Brake("the ceiling of effects for this run is reached")
    if per_day is not None:
        midnight = datetime.combine(now.astimezone(UTC).date(), time(0), tzinfo=UTC)
        made = session.exec(
            select(func.count())
            .select_from(models.Step)
            .where(
                col(models.Step.at) >= midnight,
                col(models.Step.status).in_(_WENT_OUT),
                models.Step.carried_by == "",
            )
        ).one()
        if made >= per_day:
            return Brake(f"the ceiling of {per_day} effects for this day is reached", midnight + timedelta(days=1))
    return None


def stop(ledger: Ledger, *, why: str, who: str, at: datetime, wall: datetime) -> None:
    """Pull the kill switch: no driver makes another intent until `start`."""
    with ledger.write() as session:
        state.put(session, state.STOPPED, why)
        log_event(session, "stopped", who=who, at=at, wall=wall, why=why)


def start(ledger: Ledger, *, who: str, at: datetime, wall: datetime) -> bool:
    """Release the kill switch; False when it was not pulled."""
    with ledger.write() as session:
        if state.get(session, state.STOPPED) is None:
            return False
        state.put(session, state.STOPPED, None)
        log_event(session, "started", who=who, at=at, wall=wall)
        return True


def stopped_why(session: Session) -> str | None:
    """The kill switch's reason while it is pulled."""
    return state.get(session, state.STOPPED)
