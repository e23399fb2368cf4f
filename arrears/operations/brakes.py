"""Brakes every driver obeys before each intent: the kill switch and the ceilings on effects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from sqlalchemy import text
from sqlmodel import Session, col, func, select

import models
from arrears.engine.vocabulary import StepStatus
from arrears.ledger import state
from arrears.ledger.ahead import whole_of
from arrears.ledger.database import Ledger
from arrears.ledger.events import log_event

_COUNTED = "effects counted"
# Any constant does, as long as every process that keeps the ceiling takes the same one.
_CEILING_LOCK = 7_310_472_016
_WENT_OUT = (StepStatus.INTENDED, StepStatus.DONE, StepStatus.UNKNOWN)


@dataclass(slots=True)
class Budget:
    """Effects this run may still make; None is no limit. Shared by everything the run advances."""

    left: int | None = None
    made: int = 0

    def spend(self) -> None:
        """Account for one intent."""
        self.made += 1
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
    stopped = stopped_why(session)
    if stopped is not None:
        return Brake(f"stopped: {stopped}")
    if budget.spent:
        return Brake("the ceiling of effects for this run is reached")
    if per_day is not None:
        midnight = datetime.combine(now.astimezone(UTC).date(), time(0), tzinfo=UTC)
        if _made_since(session, midnight, budget) >= per_day:
            return Brake(f"the ceiling of {per_day} effects for this day is reached", midnight + timedelta(days=1))
    return None


def _made_since(session: Session, midnight: datetime, budget: Budget) -> int:
    """Effects since `midnight`. Counted once in a transaction, which keeps all others from adding to them meanwhile."""
    counted: tuple[datetime, int] | None = session.info.get(_COUNTED)
    if counted is None or counted[0] != midnight:
        if session.get_bind().dialect.name == "postgresql":
            session.connection().execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CEILING_LOCK})
        made = session.exec(
            select(func.count())
            .select_from(models.Step)
            .where(
                col(models.Step.at) >= midnight,
                col(models.Step.status).in_(_WENT_OUT),
                models.Step.carried_by == "",
            )
        ).one()
        counted = session.info[_COUNTED] = (midnight, made - budget.made)
    return counted[1] + budget.made


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
    ahead = whole_of(session)
    return ahead.stopped if ahead is not None else state.get(session, state.STOPPED)
