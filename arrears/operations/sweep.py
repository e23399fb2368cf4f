"""Advance whatever is due, batch after batch; an account that fails never stops the others."""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlmodel import Session, and_, col, or_, select

import models
from arrears.clock import VirtualClock, iso
from arrears.engine.vocabulary import CaseStatus, StepStatus
from arrears.ledger import state
from arrears.ledger.owner import is_free
from arrears.operations.advance import Advanced
from arrears.operations.batch import Batch, advance_many
from arrears.operations.brakes import Budget
from arrears.operations.hand_over import HandedOver, hand_over
from arrears.operations.left_behind import IN_AN_EARLIER_CASE, settle_what_was_left
from arrears.operations.limits import tell_of_limits
from arrears.operations.moves import Closed, Standstill
from arrears.operations.place import write_agency_files
from arrears.operations.services import Services
from arrears.operations.texts import Asked, ask_what_became

_LONG = timedelta(seconds=10)
logger = logging.getLogger(__name__)

# Where so many accounts came to rest is kept to be shown; of a million it would be a gigabyte.
_KEPT = 1_000

TIMELINE, SWEEP = "timeline", "sweep"


class ClockStandsLater(ValueError):
    """The ledger's virtual clock is past the instant asked for: time does not go back."""


@dataclass(frozen=True, slots=True)
class Share:
    """With which part of what is due a sweep begins: `number` (from 0) of `of`."""

    number: int = 0
    of: int = 1

    @property
    def suffix(self) -> str:
        """`-2` for the second of several."""
        return f"-{self.number + 1}" if self.of > 1 else ""


WHOLE = Share()


@dataclass(slots=True)
class Swept:
    """What one sweep did: accounts looked at, effects made, who failed, what stopped it early.

    `due`: the accounts that it was about. `unwritten`: placement files that are owed and could not be written, a line
    each. `handed`: files that went to partners, and those that could not. `asked`: texts whose end nobody had
    reported, which the provider was asked about. `more`: it was about as many as it may be, so that others may be due.
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
    due: list[str] = field(default_factory=list[str])
    more: bool = False

    def add(self, batch: Batch, *, most_kept: int | None = None) -> None:
        """Count what a batch did, and keep where its accounts came to rest, up to so many in all."""
        self.failed.extend(batch.failed)
        for account_id, advanced in batch.rested.items():
            self.effects += advanced.effects
            self.by_channel.update(advanced.by_channel)
            if most_kept is None or len(self.rested) < most_kept:
                self.rested[account_id] = advanced
            if isinstance(advanced.rest, Closed):
                self.closed += 1
            elif advanced.rest.braked:
                self.braked = advanced.rest.reason


def sweep(
    services: Services,
    *,
    who: str,
    budget: Budget,
    accounts: Iterable[str] | None = None,
    limit: int = 10_000,
    share: Share = WHOLE,
    progress: Callable[[Swept, int], None] | None = None,
) -> Swept:
    """Advance every account that is due (or just `accounts`, due or not), at the services' clock.

    Cases that a timeline drives are left to it until they are late by the sweep's grace. Several sweeps may be at it
    at once, in this process or others: each leaves out what another has taken, and begins with its own `share`.
    """
    result = Swept()
    # First, so that what follows from it is decided in this very sweep.
    if share.number == 0:
        result.asked = ask_what_became(services, who=who)
        settle_what_was_left(services, who=who)
    if result.asked.silent:
        logger.warning("%s; the next sweep asks again", result.asked.silent)
    if accounts is not None:
        result.due, still_due = list(accounts), None
    else:
        abandoned = _abandoned(services)
        due = _due(services, limit=limit)
        result.due, result.more = _first(abandoned, due), len(due) >= limit
        still_due = or_(_is_due(services), col(models.Case.account_id).in_(abandoned))
    with pool_of(services) as pool:
        for some in _batches(result.due, services.settings.sweep_batch, share):
            batch = advance_many(services, some, who=who, budget=budget, due=still_due, pool=pool)
            result.add(batch, most_kept=_KEPT)
            result.looked_at += len(some)
            if progress is not None:
                progress(result, len(result.due))
            if result.braked:
                break
    # One look over all cases, whoever else shares the sweep.
    if share.number == 0:
        _tell_of_limits(services)
    _write_files(services, result)
    return result


def _tell_of_limits(services: Services) -> None:
    """What is told of a case that somebody has locked is told by the next sweep; files and timelines do not wait."""
    for account_id in tell_of_limits(services).failed:
        logger.error("account %s: whether its limit is near could not be told", account_id)


def pool_of(services: Services) -> ThreadPoolExecutor:
    """The threads in which a driver makes effects that take their time: letters, texts over the network."""
    return ThreadPoolExecutor(services.settings.effects_at_once, thread_name_prefix="effects")


def _batches(accounts: list[str], size: int, share: Share) -> Iterator[list[str]]:
    """All of `accounts` in batches, from the beginning of the share on."""
    batches = [accounts[start : start + size] for start in range(0, len(accounts), size)]
    first = len(batches) * share.number // share.of
    yield from (*batches[first:], *batches[:first])


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
    return _first(_abandoned(services), _due(services, limit=limit))


def late_timelines(services: Services, *, limit: int) -> list[str]:
    """The flow runs of cases that a sweep would advance though a timeline drives them, longest due first."""
    case = models.Case
    late = select(case.flow_run_id).where(_rung_is_due(services), case.driver == TIMELINE)
    with services.ledger.read() as session:
        found = session.exec(late.order_by(col(case.next_due_at)).limit(limit)).all()
    return [run_id for run_id in found if run_id is not None]


def _first(abandoned: Iterable[str], due: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((*abandoned, *due)))


def _is_due(services: Services) -> ColumnElement[bool]:
    return or_(_rung_is_due(services), _recall_is_due(services))


def _rung_is_due(services: Services) -> ColumnElement[bool]:
    now = services.clock.now()
    grace = services.clock.lasts(timedelta(seconds=services.settings.sweep_grace_seconds))
    case = models.Case
    return and_(
        # One bound for both drivers, by which an index finds the few that are due among all that wait.
        col(case.next_due_at) <= now,
        or_(col(case.driver) != TIMELINE, col(case.next_due_at) <= now - grace),
        _may_go(services),
    )


def _recall_is_due(services: Services) -> ColumnElement[bool]:
    # Nobody waits for this to the minute: the sweep calls back for timelines, too.
    return and_(col(models.Case.recall_at) <= services.clock.now(), _may_go(services))


def _may_go(services: Services) -> ColumnElement[bool]:
    case = models.Case
    retries = or_(col(case.retry_at).is_(None), col(case.retry_at) <= services.clock.wall())
    return and_(col(case.status) != CaseStatus.HALTED, retries)


def _due(services: Services, *, limit: int) -> list[str]:
    """Longest due first. Asked as two: of one question with an `or` PostgreSQL reads all that wait, in order of it."""
    columns = select(models.Case.next_due_at, models.Case.account_id)
    longest_due_first = (col(models.Case.next_due_at), col(models.Case.account_id))
    with services.ledger.read() as session:
        rungs = session.exec(columns.where(_rung_is_due(services)).order_by(*longest_due_first).limit(limit)).all()
        recalls = session.exec(columns.where(_recall_is_due(services)).order_by(*longest_due_first).limit(limit)).all()
    # A case whose recall alone is due may wait for nothing else: those come last, as NULLs do.
    found = sorted({*rungs, *recalls}, key=lambda row: (row[0] is None, row[0] or services.clock.now(), row[1]))
    return [account_id for _, account_id in found[:limit]]


def _abandoned(services: Services) -> list[str]:
    wall = services.clock.wall()
    with services.ledger.read() as session:
        in_flight = session.exec(
            select(models.Step.account_id, models.Step.owner, models.Step.lease_until)
            .join(models.Case, col(models.Case.id) == col(models.Step.case_id))
            .where(models.Step.status == StepStatus.INTENDED, ~IN_AN_EARLIER_CASE)
        ).all()
    return [account for account, owner, lease in in_flight if is_free(owner, lease, wall)]


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
    clock = VirtualClock(min(queue[0][0], until) if queue else until, services.clock)
    if start is not None:
        clock.moment = max(clock.moment, datetime.fromisoformat(start))
        if until < datetime.fromisoformat(start):
            raise ClockStandsLater(f"the ledger already stands at {start}; --until must not lie before it")
    virtual = services.at(clock)
    with pool_of(services) as pool:
        while queue:
            clock.moment = max(clock.moment, queue[0][0])
            together = _due_together(queue, clock.moment, services.settings.sweep_batch)
            result.add(advance_many(virtual, together, who=who, budget=budget, pool=pool))
            result.looked_at += len(together)
            held_back = _held_back(result, together)
            if any(lifts is None or lifts > until for lifts in held_back.values()):
                break
            result.braked = None
            for account_id in together:
                again = held_back.get(account_id) or _next_due(virtual, account_id, result, clock.moment)
                if again is not None and again <= until:
                    heapq.heappush(queue, (again, account_id))
            if progress is not None:
                progress(clock.moment, result)
    settle_what_was_left(virtual, who=who)
    stands_at = clock.moment if result.braked else until
    _tell_of_limits(virtual.at(replace(clock, moment=stands_at)))
    _write_files(virtual, result)
    with services.ledger.write() as session:
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


def _due_together(queue: list[tuple[datetime, str]], moment: datetime, most: int) -> list[str]:
    """Take what is due at one moment, up to so many; an account that is queued twice comes once."""
    found: dict[str, None] = {}
    while queue and queue[0][0] <= moment and len(found) < most:
        found[heapq.heappop(queue)[1]] = None
    return list(found)


def _held_back(result: Swept, account_ids: Iterable[str]) -> dict[str, datetime | None]:
    """Accounts that a brake held back, and when it ends by itself: a day's ceiling does, at the end of the day."""
    rests = {account_id: result.rested[account_id].rest for account_id in account_ids if account_id in result.rested}
    held = {key: rest.until for key, rest in rests.items() if isinstance(rest, Standstill) and rest.braked}
    for account_id in held:
        del result.rested[account_id]
    return held


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
