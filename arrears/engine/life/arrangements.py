"""Promises and plans: what was agreed, whether it is kept, and until when it holds the ladder back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from arrears.engine.case import Suspension
from arrears.engine.delinquency import at_local
from arrears.engine.life.books import Receipt
from arrears.engine.life.events import Instalment, LifeEvent, Plan, Promise, Withdrawn, in_order


class Kept(StrEnum):
    """How an arrangement stands. `replaced` by a later one, `withdrawn` by agreement or because it was an error."""

    OPEN = "open"
    KEPT = "kept"
    PARTLY_KEPT = "partly_kept"
    BROKEN = "broken"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A promise or plan as it stands.

    `amount`: all that was promised; `paid`: what came for it in time. `holds_until`: the first instant at which
    it no longer holds the ladder back, unless it is kept until then; None when it holds nothing back any
    more. `ended_at`: when it was decided.
    """

    key: str
    kind: str
    made_at: datetime
    amount: int
    due_on: date
    paid: int
    status: Kept
    missed: int = 0
    holds_until: datetime | None = None
    ended_at: datetime | None = None


def arrangements(
    events: Iterable[LifeEvent], receipts: Iterable[Receipt], *, zone: str, grace_days: int, now: datetime
) -> tuple[Arrangement, ...]:
    """Every promise and plan, the oldest first, as it stands at `now`.

    One is kept or missed at the end of its day and `grace_days` more, in `zone`. What was paid after it was
    made, and not taken back since, counts for it; of several, for the one that stood when it came.
    """
    ordered = [event for event in in_order(events) if event.at <= now]
    ends = {event.of: event.at for event in ordered if isinstance(event, Withdrawn)}
    made = [event for event in ordered if isinstance(event, Promise | Plan)]
    money = tuple(receipts)
    found: list[Arrangement] = []
    for place, event in enumerate(made):
        replaced_at = next((later.at for later in made[place + 1 :] if later.key not in ends), None)
        instalments = _instalments(event)
        allowed = event.misses_allowed if isinstance(event, Plan) else 0
        found.append(
            _judged(
                event,
                instalments,
                allowed,
                money,
                withdrawn_at=ends.get(event.key),
                replaced_at=replaced_at,
                deadlines=[_deadline(part.due_on, grace_days, zone) for part in instalments],
                now=now,
            )
        )
    return tuple(found)


def pause(found: Iterable[Arrangement]) -> Suspension | None:
    """Why and until when arrangements hold the case back."""
    holding = [each for each in found if each.holds_until is not None]
    if not holding:
        return None
    each = max(holding, key=lambda one: one.holds_until or one.made_at)
    return Suspension(f"{each.kind} until {each.due_on}", each.holds_until)


def last_broken(found: Iterable[Arrangement]) -> Arrangement | None:
    """The arrangement that broke last, if nothing was agreed upon since."""
    made = [each for each in found if each.status not in (Kept.REPLACED, Kept.WITHDRAWN)]
    last = made[-1] if made else None
    return last if last is not None and last.status in (Kept.BROKEN, Kept.PARTLY_KEPT) else None


def _instalments(event: Promise | Plan) -> tuple[Instalment, ...]:
    if isinstance(event, Plan):
        return event.instalments
    return (Instalment(due_on=event.due_on, amount=event.amount),)


def _deadline(day: date, grace_days: int, zone: str) -> datetime:
    return at_local(day + timedelta(days=grace_days + 1), time(0), zone)


def _judged(
    event: Promise | Plan,
    instalments: tuple[Instalment, ...],
    allowed: int,
    money: tuple[Receipt, ...],
    *,
    withdrawn_at: datetime | None,
    replaced_at: datetime | None,
    deadlines: list[datetime],
    now: datetime,
) -> Arrangement:
    """Go through the deadlines that have passed; what is met by the sum of all until then is met."""
    kind = "plan" if isinstance(event, Plan) else "promise"
    total = sum(part.amount for part in instalments)
    ended = min((moment for moment in (withdrawn_at, replaced_at) if moment is not None), default=None)

    def paid_by(moment: datetime) -> int:
        return sum(r.kept_by(now) for r in money if _came_after(event, r) and r.at < moment)

    def stands(status: Kept, at: datetime | None, due_on: date, holds: datetime | None = None) -> Arrangement:
        paid = total if status is Kept.KEPT else max(min(paid_by(at or now), total), 0)
        return Arrangement(event.key, kind, event.at, total, due_on, paid, status, missed, holds, at)

    missed, wanted = 0, 0
    for part, deadline in zip(instalments, deadlines, strict=True):
        wanted += part.amount
        done_at = _reached(total, event, money, min(deadline, ended or deadline), now)
        if done_at is not None:
            return stands(Kept.KEPT, done_at, instalments[-1].due_on)
        if ended is not None and ended < deadline:
            break
        if now < deadline:
            return stands(Kept.OPEN, None, part.due_on, deadline)
        if paid_by(deadline) < wanted:
            missed += 1
            last = deadline == deadlines[-1]
            if missed > allowed or last:
                status = Kept.PARTLY_KEPT if kind == "promise" and paid_by(deadline) > 0 else Kept.BROKEN
                return stands(status, deadline, part.due_on)
    assert ended is not None
    return stands(Kept.WITHDRAWN if ended == withdrawn_at else Kept.REPLACED, ended, instalments[-1].due_on)


def _reached(
    total: int, made: LifeEvent, money: tuple[Receipt, ...], before: datetime, now: datetime
) -> datetime | None:
    """When the money that came after `made` and before `before` added up to `total`."""
    paid = 0
    for receipt in sorted(money, key=lambda r: (r.at, r.key)):
        if _came_after(made, receipt) and receipt.at < before and receipt.at <= now:
            paid += receipt.kept_by(now)
            if paid >= total:
                return receipt.at
    return None


def _came_after(made: LifeEvent, receipt: Receipt) -> bool:
    return (receipt.at, receipt.seq) > (made.at, made.seq)
