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
        """Account for one intent; `spend` below does, for the day as well."""
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
        if _made_since(session, midnight, budget, per_day) >= per_day:
            return Brake(f"the ceiling of {per_day} effects for this day is reached", midnight + timedelta(days=1))
    return None


def spend(session: Session, budget: Budget) -> None:
    """Account for one intent that is committed with `session`'s transaction."""
    budget.spend()
    if (today := _today(session)) is not None:
        today.row.value = f"{today.midnight.isoformat()} {today.made(budget)} {today.exact}"
        session.add(today.row)


@dataclass(frozen=True, slots=True)
class _Today:
    """The effects of the day from `midnight` on, as a transaction found them: `exact` when they were last counted."""

    midnight: datetime
    before: int
    exact: int
    mine: int
    row: models.LedgerState

    def made(self, budget: Budget) -> int:
        return self.before + budget.made - self.mine


def _made_since(session: Session, midnight: datetime, budget: Budget, per_day: int) -> int:
    """Effects since `midnight`. The first look in a transaction keeps all others from adding to them meanwhile."""
    today = _today(session)
    if today is None or today.midnight != midnight:
        today = session.info[_COUNTED] = _look(session, midnight, budget, per_day)
    return today.made(budget)


def _today(session: Session) -> _Today | None:
    return session.info.get(_COUNTED)


def _look(session: Session, midnight: datetime, budget: Budget, per_day: int) -> _Today:
    """What the ledger has noted, or what there is of the day's steps.

    To count them takes the longer the more there are, so it is done for a new day, after each fiftieth of the ceiling,
    and every time within the last one. In between the note is too high by what was put back, and too low by what
    people, and processes without the ceiling, have made.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CEILING_LOCK})
    row = session.get(models.LedgerState, state.EFFECTS_TODAY, populate_existing=True)
    row = row or models.LedgerState(name=state.EFFECTS_TODAY, value="")
    day, _, counts = row.value.partition(" ")
    before, exact = (int(count) for count in counts.split()) if day == midnight.isoformat() else (per_day, 0)
    fiftieth = per_day // 50
    if before >= per_day - fiftieth or before - exact >= fiftieth:
        before = exact = _count(session, midnight)
    return _Today(midnight, before, exact, budget.made, row)


def _count(session: Session, midnight: datetime) -> int:
    return session.exec(
        select(func.count())
        .select_from(models.Step)
        .where(
            col(models.Step.at) >= midnight,
            col(models.Step.status).in_(_WENT_OUT),
            models.Step.carried_by == "",
        )
    ).one()


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
