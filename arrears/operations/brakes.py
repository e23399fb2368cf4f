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

_COUNTED, _ALONE = "effects counted", "no effects of others"
# Any constant does, as long as every process that keeps the ceiling takes the same one.
_CEILING_LOCK = 7_310_472_016
# So far from the day's ceiling, in effects, several processes may decide at once: more than they make in one go.
_NEAR = 4_000
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


def braked(
    session: Session, budget: Budget, *, per_day: int | None, now: datetime, shared: bool = False
) -> Brake | None:
    """What keeps intents from being made at this moment, if anything does. A day is one of UTC.

    `shared`: others may decide at the same time, as far as that is safe, and the caller calls `note_made`.
    """
    stopped = stopped_why(session)
    if stopped is not None:
        return Brake(f"stopped: {stopped}")
    if budget.spent:
        return Brake("the ceiling of effects for this run is reached")
    if per_day is not None:
        midnight = datetime.combine(now.astimezone(UTC).date(), time(0), tzinfo=UTC)
        if _made_since(session, midnight, budget, per_day, shared=shared) >= per_day:
            return Brake(f"the ceiling of {per_day} effects for this day is reached", midnight + timedelta(days=1))
    return None


def spend(session: Session, budget: Budget) -> None:
    """Account for one intent that is committed with `session`'s transaction."""
    budget.spend()
    if (today := _today(session)) is not None and today.row is not None:
        _note(session, today.row, today.midnight, today.made(budget), today.exact)


class CeilingPassed(Exception):
    """Others have made so much in the meantime that this transaction would carry the day over its ceiling."""


def keep_others_off(session: Session) -> None:
    """Whatever the transaction decides, nobody else decides meanwhile where a day's ceiling has a say."""
    session.info[_ALONE] = True


def note_made(session: Session, budget: Budget) -> None:
    """Add to the day what the transaction has made so far, if it began far from the ceiling and kept nobody waiting.

    For who has read ahead, when all rows are written: others wait from here to the commit. Raises CeilingPassed.
    """
    today = _today(session)
    if today is None or today.row is not None or not (mine := budget.made - today.mine):
        return
    row, before, exact = _locked(session, today.midnight, today.per_day)
    made = before + mine
    if _is_inexact(made, exact, today.per_day):
        made = exact = _count(session, today.midnight)
    if made > today.per_day:
        raise CeilingPassed
    _note(session, row, today.midnight, made, exact)


@dataclass(frozen=True, slots=True)
class _Today:
    """The effects of the day from `midnight` on, as a transaction found them: `exact` when they were last counted.

    `row`: their note, which nobody else reads until the commit; None where nobody is kept from it before `note_made`.
    """

    midnight: datetime
    per_day: int
    before: int
    exact: int
    mine: int
    row: models.LedgerState | None

    def made(self, budget: Budget) -> int:
        return self.before + budget.made - self.mine


def _made_since(session: Session, midnight: datetime, budget: Budget, per_day: int, *, shared: bool) -> int:
    """Effects since `midnight`. Unless it is `shared`, the first look keeps all others from adding to them."""
    today = _today(session)
    if today is None or today.midnight != midnight or (today.row is None and not shared):
        # What was made before another day began, or before others had to be kept off, was made in their company.
        note_made(session, budget)
        found = _shared_look(session, midnight, budget, per_day) if shared else None
        today = session.info[_COUNTED] = found or _look(session, midnight, budget, per_day)
    return today.made(budget)


def _today(session: Session) -> _Today | None:
    return session.info.get(_COUNTED)


def _look(session: Session, midnight: datetime, budget: Budget, per_day: int) -> _Today:
    """What the ledger has noted, or what there is of the day's steps, those of this transaction included.

    To count them takes the longer the more there are, so it is done for a new day, after each fiftieth of the ceiling,
    and every time within the last one. In between the note is too high by what was put back, and too low by what
    people, and processes without the ceiling, have made.
    """
    row, before, exact = _locked(session, midnight, per_day)
    if _is_inexact(before, exact, per_day):
        before = exact = _count(session, midnight)
    return _Today(midnight, per_day, before, exact, budget.made, row)


def _shared_look(session: Session, midnight: datetime, budget: Budget, per_day: int) -> _Today | None:
    """What the ledger has noted, without a lock; None where that would not do."""
    if whole_of(session) is None or _ALONE in session.info or not _has_several_writers(session):
        return None
    before, exact = _noted(_row(session), midnight, per_day)
    return _Today(midnight, per_day, before, exact, budget.made, None) if before + _NEAR < per_day else None


def _locked(session: Session, midnight: datetime, per_day: int) -> tuple[models.LedgerState, int, int]:
    """The note, what it says was made, and what was when it was last counted; nobody else gets it meanwhile."""
    if _has_several_writers(session):
        session.connection().execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CEILING_LOCK})
    row = _row(session)
    return row, *_noted(row, midnight, per_day)


def _has_several_writers(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def _row(session: Session) -> models.LedgerState:
    row = session.get(models.LedgerState, state.EFFECTS_TODAY, populate_existing=True)
    return row or models.LedgerState(name=state.EFFECTS_TODAY, value="")


def _noted(row: models.LedgerState, midnight: datetime, per_day: int) -> tuple[int, int]:
    day, _, counts = row.value.partition(" ")
    if day != midnight.isoformat():
        return per_day, 0
    before, exact = counts.split()
    return int(before), int(exact)


def _is_inexact(before: int, exact: int, per_day: int) -> bool:
    """Whether it is time to count."""
    fiftieth = per_day // 50
    return before >= per_day - fiftieth or before - exact >= fiftieth


def _note(session: Session, row: models.LedgerState, midnight: datetime, made: int, exact: int) -> None:
    row.value = f"{midnight.isoformat()} {made} {exact}"
    session.add(row)


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
