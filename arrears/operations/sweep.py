"""Advance whatever is due, one account after another; one that fails never stops the others."""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session, col, or_, select

import models
from arrears.clock import VirtualClock, iso
from arrears.engine.vocabulary import CaseStatus, StepStatus
from arrears.ledger import state
from arrears.ledger.owner import is_gone
from arrears.operations.advance import Advanced, advance, record_failure
from arrears.operations.brakes import Budget
from arrears.operations.hand_over import HandedOver, hand_over
from arrears.operations.limits import tell_of_limits
from arrears.operations.moves import Standstill
from arrears.operations.place import write_agency_files
from arrears.operations.services import Services
from arrears.operations.texts import Asked, ask_what_became

_LONG = timedelta(seconds=10)
logger = logging.getLogger(__name__)

TIMELINE, SWEEP = "timeline", "sweep"


class ClockStandsLater(ValueError):
    """The ledger's virtual clock is past the instant asked for: time does not go back."""


@dataclass(slots=True)
class Swept:
    """What one sweep did: accounts looked at, effects made, who failed, what stopped it early.

    `unwritten`: placement files that are owed and could not be written, a line each. `handed`: files that went to
    partners, and those that could not. `asked`: texts whose end
    nobody had reported, which the provider was asked about.
    """

    looked_at: int = 0
    effects: int = 0
    by_channel: Counter[str] = field(default_factory=Counter[str])
    closed: int = 0
    failed: list[str] = field(default_factory=list[str])
    unwritten: tuple[str, ...] = ()
    handed: HandedOver = field(default_factory=HandedOver)
    asked: Asked = field(default_factory=Asked)
    braked: str | None = None
    rested: dict[str, Advanced] = field(default_factory=dict[str, Advanced])


def sweep(
    services: Services,
    *,
    who: str,
    budget: Budget,
    accounts: Iterable[str] | None = None,
    limit: int = 10_000,
    progress: Callable[[int, int], None] | None = None,
    before: Callable[[], None] | None = None,
) -> Swept:
    """Advance every account that is due (or just `accounts`), at the services' clock.

    Cases that a timeline drives are left to it until they are late by the sweep's grace.
    """
    result = Swept()
    # First, so that what follows from it is decided in this very sweep.
    result.asked = ask_what_became(services, who=who)
    if result.asked.silent:
        logger.warning("%s; the next sweep asks again", result.asked.silent)
    ids = list(accounts) if accounts is not None else due_accounts(services, limit=limit)
    for account_id in ids:
        if before is not None:
            before()
        if not _one(services, account_id, result, who=who, budget=budget):
            break
        if progress is not None:
            progress(result.looked_at, len(ids))
    tell_of_limits(services)
    _write_files(services, result)
    return result


def _one(services: Services, account_id: str, result: Swept, *, who: str, budget: Budget) -> bool:
    """Advance one account into `result`; False when a brake says that the rest would be in vain."""
    result.looked_at += 1
    try:
        advanced = advance(services, account_id, who=who, budget=budget)
    except Exception as error:
        logger.error("account %s failed: %s", account_id, type(error).__name__)
        record_failure(services, account_id, error, who=who)
        result.failed.append(account_id)
        return True
    result.effects += advanced.effects
    result.by_channel.update(advanced.by_channel)
    result.rested[account_id] = advanced
    if isinstance(advanced.rest, Standstill):
        if advanced.rest.braked:
            result.braked = advanced.rest.reason
            return False
    else:
        result.closed += 1
    return True


def _write_files(services: Services, result: Swept) -> None:
    """What was placed leaves when everything due has been looked at: one file for all of a day's."""
    result.unwritten = write_agency_files(services.ledger, services.placements, services.clock, services.partners)
    for line in result.unwritten:
        logger.error("%s; the next sweep tries again", line)
    if services.live:
        result.handed = hand_over(services)
        for line in result.handed.problems:
            logger.error("%s", line)


def due_accounts(services: Services, *, limit: int) -> list[str]:
    """Accounts due now, longest due first, and those with an intent nobody can be carrying out any more."""
    now, wall = services.clock.now(), services.clock.wall()
    grace = services.clock.lasts(timedelta(seconds=services.settings.sweep_grace_seconds))
    with services.ledger.read() as session:
        due = session.exec(
            select(models.Case.account_id)
            .where(
                col(models.Case.status) != CaseStatus.HALTED,
                or_(
                    (col(models.Case.driver) != TIMELINE) & (col(models.Case.next_due_at) <= now),
                    (col(models.Case.driver) == TIMELINE) & (col(models.Case.next_due_at) <= now - grace),
                    # Nobody waits for this to the minute: the sweep calls back for timelines, too.
                    col(models.Case.recall_at) <= now,
                ),
                or_(col(models.Case.retry_at).is_(None), col(models.Case.retry_at) <= wall),
            )
            .order_by(col(models.Case.next_due_at), col(models.Case.account_id))
            .limit(limit)
        ).all()
        in_flight = session.exec(
            select(models.Step.account_id, models.Step.owner, models.Step.lease_until).where(
                models.Step.status == StepStatus.INTENDED
            )
        ).all()
    abandoned = (account for account, owner, lease in in_flight if lease is None or lease <= wall or is_gone(owner))
    return list(dict.fromkeys((*abandoned, *due)))


def catch_up(
    services: Services,
    until: datetime,
    *,
    who: str,
    budget: Budget,
    progress: Callable[[datetime, Swept], None] | None = None,
) -> Swept:
    """Drive the whole ledger on a virtual clock to `until`, jumping from due time to due time.

    The same `advance` as everywhere; drivers are ignored, so nothing is left to a timeline. An effect in
    doubt is looked up in real time before its account goes on. Raises ClockStandsLater when `until` lies before
    the ledger's own instant.
    """
    result = Swept()
    with services.ledger.read() as session:
        queue = _queue(session, until)
        start = state.get(session, state.VIRTUAL_NOW)
    clock = VirtualClock(min(queue[0][0], until) if queue else until)
    if start is not None:
        clock.moment = max(clock.moment, datetime.fromisoformat(start))
        if until < datetime.fromisoformat(start):
            raise ClockStandsLater(f"the ledger already stands at {start}; --until must not lie before it")
    virtual = services.at(clock)
    while queue:
        due, account_id = heapq.heappop(queue)
        clock.moment = max(clock.moment, due)
        if not _one(virtual, account_id, result, who=who, budget=budget):
            lifts = _brake_lifts(result, account_id)
            if lifts is None or lifts > until:
                break
            result.braked = None
            heapq.heappush(queue, (lifts, account_id))
            continue
        again = _next_due(virtual, account_id, result, clock.moment)
        if again is not None and again <= until:
            heapq.heappush(queue, (again, account_id))
        if progress is not None:
            progress(clock.moment, result)
    tell_of_limits(virtual.at(VirtualClock(clock.moment if result.braked else until)))
    _write_files(virtual, result)
    with services.ledger.write() as session:
        stands_at = clock.moment if result.braked else until
        state.put(session, state.VIRTUAL_NOW, iso(stands_at))
    return result


def _queue(session: Session, until: datetime) -> list[tuple[datetime, str]]:
    rows = session.exec(
        select(models.Case.next_due_at, models.Case.account_id).where(
            col(models.Case.status).in_((CaseStatus.DELINQUENT, CaseStatus.HELD)),
            col(models.Case.next_due_at) <= until,
        )
    ).all()
    # Whatever became of its case, an intent wants its outcome.
    in_flight = session.exec(
        select(models.Step.at, models.Step.account_id).where(
            models.Step.status == StepStatus.INTENDED, col(models.Step.at) <= until
        )
    ).all()
    recalls = session.exec(
        select(models.Case.recall_at, models.Case.account_id).where(col(models.Case.recall_at) <= until)
    ).all()
    dues: dict[str, datetime] = {}
    for due, account_id in (*recalls, *in_flight, *rows):
        if due is not None:
            dues[account_id] = min(due, dues.get(account_id, due))
    queue = [(due, account_id) for account_id, due in dues.items()]
    heapq.heapify(queue)
    return queue


def _brake_lifts(result: Swept, account_id: str) -> datetime | None:
    """When the brake that held the account back ends by itself: a day's ceiling does, at the end of the day."""
    rest = result.rested.pop(account_id).rest
    return rest.until if isinstance(rest, Standstill) else None


def _next_due(services: Services, account_id: str, result: Swept, now: datetime) -> datetime | None:
    """When the account wants to be looked at again, after whatever real time its last effect still needs."""
    advanced = result.rested.pop(account_id, None)
    if advanced is None:
        return None
    rest = advanced.rest
    if not isinstance(rest, Standstill):
        return None
    if rest.wall_until is not None:
        if rest.wall_until - services.clock.wall() > _LONG:
            logger.warning("account waits in real time until %s: %s", iso(rest.wall_until), rest.reason)
        services.clock.pause(rest.wall_until)
        return now
    return rest.until
