"""What each collector's calls came to, by definitions that are printed with the figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session, col, select

import models
from arrears.engine.life.arrangements import Kept
from arrears.engine.money import Money
from arrears.engine.vocabulary import Disposition
from arrears.ledger.cases import read_case_file
from arrears.ledger.life import key_of
from arrears.operations.arrange import ARRANGEMENTS
from arrears.operations.services import Services
from arrears.operations.standstill import arranged

_ATTRIBUTED_FOR: Final = timedelta(days=14)

DEFINITIONS: Final[Mapping[str, str]] = {
    "attempts": "calls whose outcome the collector recorded in the period",
    "contacts": "those of them in which the holder was spoken to: "
    + ", ".join(word.value for word in Disposition if word.reached_the_holder),
    "promises": "those of them with the outcome promise",
    "kept": "promises of these that have been kept by now; open ones are not counted",
    "broken": "promises of these that have been broken by now, in part or whole",
    "cash": f"payments on an account within {_ATTRIBUTED_FOR.days} days after the collector's contact with the holder "
    "and before anybody else's, less what was taken back",
    "hours": "the time between claiming a task and its outcome, release or lapse",
    "per_hour": "attempts and contacts divided by hours; empty without any",
}


@dataclass(slots=True)
class Collector:
    """One collector's period. `cash` by currency; `time` worked on claims."""

    name: str
    attempts: int = 0
    contacts: int = 0
    promises: int = 0
    kept: int = 0
    broken: int = 0
    cash: dict[str, Money] = field(default_factory=dict[str, Money])
    time: timedelta = timedelta()

    @property
    def hours(self) -> float:
        """Hours on claims."""
        return self.time.total_seconds() / 3600

    def per_hour(self, amount: float) -> float | None:
        """`amount` an hour; None without time."""
        return amount / self.hours if self.time else None


def performance(services: Services, *, since: datetime, until: datetime, now: datetime) -> list[Collector]:
    """Every collector who worked in [since, until), by name; promises and payments as they stand at `now`."""
    found: defaultdict[str, Collector] = defaultdict(lambda: Collector(""))
    with services.ledger.read() as session:
        worked = session.exec(
            select(models.CallTask)
            .where(col(models.CallTask.disposition).is_not(None), col(models.CallTask.worked_at) >= since)
            .order_by(col(models.CallTask.worked_at), col(models.CallTask.key))
        ).all()
        for task in worked:
            if task.worked_at is None or task.worked_at >= until:
                continue
            mine = found[task.worked_by]
            disposition = Disposition(task.disposition or "")
            mine.attempts += 1
            mine.contacts += disposition.reached_the_holder
            mine.promises += disposition is Disposition.PROMISE
        _add_what_came_of_it(services, session, found, list(worked), until=until, now=now)
        claims = select(models.CallClaim).where(
            col(models.CallClaim.ended_at).is_not(None),
            col(models.CallClaim.began_at) >= since,
            col(models.CallClaim.began_at) < until,
        )
        for claim in session.exec(claims):
            if claim.ended_at is not None:
                found[claim.collector].time += claim.ended_at - claim.began_at
    for name, mine in found.items():
        mine.name = name
    return [found[name] for name in sorted(found)]


def _add_what_came_of_it(
    services: Services,
    session: Session,
    found: Mapping[str, Collector],
    worked: list[models.CallTask],
    *,
    until: datetime,
    now: datetime,
) -> None:
    """Promises kept and payments made, account by account."""
    contacts: defaultdict[str, list[tuple[datetime, models.CallTask]]] = defaultdict(list)
    for task in worked:
        if task.worked_at is not None and Disposition(task.disposition or "").reached_the_holder:
            contacts[task.account_id].append((task.worked_at, task))
    for account_id, calls in contacts.items():
        file = read_case_file(session, account_id)
        currency = file.account.currency
        made = {each.key: each for each in arranged(services, file, now=now)}
        receipts = file.books().receipts
        for place, (at, task) in enumerate(calls):
            if at >= until:
                continue
            mine = found[task.worked_by]
            promise = made.get(key_of(ARRANGEMENTS, f"{task.key}/{Disposition.PROMISE}"))
            if promise is not None:
                mine.kept += promise.status is Kept.KEPT
                mine.broken += promise.status in (Kept.BROKEN, Kept.PARTLY_KEPT)
            ends = min([at + _ATTRIBUTED_FOR, *(later for later, _ in calls[place + 1 :])])
            cash = sum(receipt.kept for receipt in receipts if at <= receipt.at < ends)
            if cash:
                mine.cash[currency] = mine.cash.get(currency, Money(0, currency)) + Money(cash, currency)
