"""Many accounts brought as far as they can go now, with few transactions: the sweep's way through `advance`.

One transaction decides for all and commits their intents, the effects are made, the next one commits their outcomes
and decides again. Each account goes through the same moves as by itself, and nothing is made before its intent is
committed. Whatever fails unforeseen while many are decided together is done again one by one, so that it fails alone.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

import models
from arrears.channels.effect import Bulk, Done, Finding, Intent, Outcome
from arrears.engine.vocabulary import ChannelName, StepStatus
from arrears.ledger.ahead import forget, read_ahead, read_reports, whole_of
from arrears.ledger.among import among
from arrears.ledger.cases import lock_person, read_case_file
from arrears.ledger.database import LedgerAway
from arrears.operations.advance import Advanced, advance, record_failure
from arrears.operations.brakes import Budget
from arrears.operations.collecting import seldom_collecting
from arrears.operations.moves import Closed, InDoubt, Intended, Move, Ready, Standstill, look
from arrears.operations.perform import attempt, attempt_all, look_up, settle, settle_in
from arrears.operations.services import Services
from arrears.operations.told import CARRIES

logger = logging.getLogger(__name__)

# An account may have waited for its turn after another of its person, or for hours between contacts.
_LEAST_MEMORY = timedelta(days=3)
_Result = Outcome | Finding | StepStatus | Exception


@dataclass(slots=True)
class Batch:
    """Where the accounts came to rest, and which failed. Those that somebody else was at are in neither."""

    rested: dict[str, Advanced] = field(default_factory=dict[str, Advanced])
    failed: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class _Round:
    """What is under way between two transactions.

    `later`: accounts that wait until another of their person has come to rest, so that what becomes of its contact is
    known when they are decided.
    """

    effects: defaultdict[str, Counter[str]]
    open: list[Intended | InDoubt] = field(default_factory=list[Intended | InDoubt])
    later: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def copy(self) -> _Round:
        """What to go back to when a transaction fails."""
        effects = {account_id: Counter(counted) for account_id, counted in self.effects.items()}
        later = {holder_id: list(waiting) for holder_id, waiting in self.later.items()}
        return _Round(defaultdict(Counter, effects), list(self.open), defaultdict(list, later))


@seldom_collecting()
def advance_many(
    services: Services,
    account_ids: Sequence[str],
    *,
    who: str,
    budget: Budget,
    due: ColumnElement[bool] | None = None,
    pool: ThreadPoolExecutor,
) -> Batch:
    """Decide, perform and reconcile for all of `account_ids` until there is nothing to do now.

    With `due`, only the cases that it still holds of, and nobody who is being advanced by somebody else; without it,
    others are waited for. Effects that cannot be made in bulk are made in `pool`.
    """
    batch = Batch()
    under_way = _Round(defaultdict(Counter))
    began = (budget.left, budget.made)
    try:
        with services.ledger.write() as session:
            mine = account_ids if due is None else _still_due(session, account_ids, due)
            mine = _one_of_each_person(session, _read(services, session, mine, wait=due is None), under_way)
            _decide(services, session, mine, under_way, batch, who=who, budget=budget)
    except Exception as error:
        budget.left, budget.made = began
        return _one_by_one(services, account_ids, error, who=who, budget=budget)
    while under_way.open:
        results = _make(services, under_way.open, pool)
        under_way.open = []
        _go_on(services, results, under_way, batch, who=who, budget=budget)
    for account_id in itertools.chain(*under_way.later.values()):
        # The one that they waited for failed.
        _alone(services, account_id, batch, who=who, budget=budget)
    return batch


def _still_due(session: Session, account_ids: Sequence[str], due: ColumnElement[bool]) -> list[str]:
    """Those that nobody has advanced since they were listed, and nobody is advancing."""
    query = (
        select(models.Case.account_id)
        .where(among(session, col(models.Case.account_id), account_ids), due)
        .with_for_update(skip_locked=True)
    )
    found = set(session.exec(query))
    return [account_id for account_id in account_ids if account_id in found]


def _read(services: Services, session: Session, account_ids: Sequence[str], *, wait: bool) -> list[str]:
    memory = max(timedelta(days=services.rulebook.days_of_memory), _LEAST_MEMORY)
    return read_ahead(session, account_ids, since=services.clock.now() - memory, wait=wait)


def _one_of_each_person(session: Session, account_ids: Iterable[str], under_way: _Round) -> list[str]:
    ahead = whole_of(session)
    assert ahead is not None
    firsts: dict[str, str] = {}
    for account_id in account_ids:
        holder_id = ahead.holder_of[account_id]
        if firsts.setdefault(holder_id, account_id) != account_id:
            under_way.later[holder_id].append(account_id)
    return list(firsts.values())


def _decide(
    services: Services,
    session: Session,
    account_ids: Iterable[str],
    under_way: _Round,
    batch: Batch,
    *,
    who: str,
    budget: Budget,
) -> None:
    """The next move of each account, in the caller's transaction; of one at rest, the next account of its person."""
    todo = deque(account_ids)
    while todo:
        account_id = todo.popleft()
        others = lock_person(session, account_id)
        file = read_case_file(session, account_id, lock=True)
        move: Move = look(services, session, file, others, who=who, budget=budget, intend=True)
        match move:
            case Intended() | InDoubt():
                under_way.open.append(move)
            case Standstill() | Closed():
                batch.rested[account_id] = Advanced(move, under_way.effects[account_id])
                if waiting := under_way.later[file.account.holder_id]:
                    todo.appendleft(waiting.pop(0))
            case Ready():
                raise AssertionError("what may go is intended")


def _make(
    services: Services, moves: Sequence[Intended | InDoubt], pool: ThreadPoolExecutor
) -> list[tuple[Intended | InDoubt, _Result]]:
    """The effects of what is intended, and what the evidence says of what is in doubt; a channel at a time in bulk."""
    results: dict[str, _Result] = {}
    singly: list[Intended | InDoubt] = []
    in_bulk: defaultdict[ChannelName, list[Intent]] = defaultdict(list)
    for move in moves:
        if isinstance(move, Intended) and isinstance(services.channels[move.channel], Bulk):
            in_bulk[move.channel].append(move.intent)
        else:
            singly.append(move)
    slow = [(move, pool.submit(_one, services, move)) for move in singly]
    for channel, intents in in_bulk.items():
        results.update(_all(services, channel, intents))
    results.update({move.intent.key: made.result() for move, made in slow})
    return [(move, results[move.intent.key]) for move in moves]


def _all(services: Services, channel: ChannelName, intents: Sequence[Intent]) -> dict[str, _Result]:
    bulk = services.channels[channel]
    assert isinstance(bulk, Bulk)
    try:
        made = attempt_all(services, intents, bulk)
    except Exception as error:
        return {intent.key: error for intent in intents}
    return {intent.key: result for intent, result in zip(intents, made, strict=True)}


def _one(services: Services, move: Intended | InDoubt) -> _Result:
    try:
        do = attempt if isinstance(move, Intended) else look_up
        return do(services, move.intent, move.channel)
    except Exception as error:
        return error


def _go_on(
    services: Services,
    results: Sequence[tuple[Intended | InDoubt, _Result]],
    under_way: _Round,
    batch: Batch,
    *,
    who: str,
    budget: Budget,
) -> None:
    """Commit the outcomes, and with them what each account does next."""
    known: list[tuple[Intended | InDoubt, Outcome | Finding | StepStatus]] = []
    for move, result in results:
        if isinstance(result, Exception):
            _fail(services, move.intent.account_id, result, batch, who=who)
        else:
            known.append((move, result))
    began = (budget.left, budget.made)
    before = under_way.copy()
    try:
        with services.ledger.write() as session:
            again = _settle_all(services, session, known, under_way, who=who)
            _decide(services, session, again, under_way, batch, who=who, budget=budget)
    except Exception as error:
        budget.left, budget.made = began
        under_way.open, under_way.effects, under_way.later = [], before.effects, before.later
        logger.warning("%d outcomes are committed one by one: %s", len(known), type(error).__name__)
        _go_on_one_by_one(services, known, under_way, batch, who=who, budget=budget)


def _settle_all(
    services: Services,
    session: Session,
    known: Sequence[tuple[Intended | InDoubt, Outcome | Finding | StepStatus]],
    under_way: _Round,
    *,
    who: str,
) -> list[str]:
    """Commit what became of the moves; the accounts to look at again."""
    told = [other for move, _ in known for other in move.intent.payload.get(CARRIES, ())]
    again = list(dict.fromkeys((*(move.intent.account_id for move, _ in known), *told)))
    again = _read(services, session, again, wait=True)
    texts = [move.intent.reference for move, _ in known if move.channel is ChannelName.SMS]
    read_reports(session, texts)
    for move, result in known:
        account_id = move.intent.account_id
        if isinstance(result, StepStatus):
            continue
        status = settle_in(services, session, move.intent, move.channel, result, who=who)
        if status is StepStatus.DONE and isinstance(move, Intended):
            under_way.effects[account_id][str(move.channel)] += 1
        ahead = whole_of(session)
        if ahead is not None and (not isinstance(result, Done) or move.intent.reference in ahead.reported):
            # More may have followed from it than its own row: holds, a bad number, an item of work.
            forget(session, ahead.holder_of[account_id])
    return again


def _go_on_one_by_one(
    services: Services,
    known: Sequence[tuple[Intended | InDoubt, Outcome | Finding | StepStatus]],
    under_way: _Round,
    batch: Batch,
    *,
    who: str,
    budget: Budget,
) -> None:
    for move, result in known:
        account_id = move.intent.account_id
        try:
            status = result
            if not isinstance(result, StepStatus):
                status = settle(services, move.intent, move.channel, result, who=who)
            if status is StepStatus.DONE and isinstance(move, Intended):
                under_way.effects[account_id][str(move.channel)] += 1
            rest = advance(services, account_id, who=who, budget=budget)
            batch.rested[account_id] = Advanced(rest.rest, under_way.effects[account_id] + rest.by_channel)
        except Exception as error:
            _fail(services, account_id, error, batch, who=who)


def _one_by_one(services: Services, account_ids: Sequence[str], error: Exception, *, who: str, budget: Budget) -> Batch:
    logger.warning("%d accounts are advanced one by one: %s", len(account_ids), type(error).__name__)
    batch = Batch()
    for account_id in account_ids:
        _alone(services, account_id, batch, who=who, budget=budget)
    return batch


def _alone(services: Services, account_id: str, batch: Batch, *, who: str, budget: Budget) -> None:
    try:
        batch.rested[account_id] = advance(services, account_id, who=who, budget=budget)
    except Exception as error:
        _fail(services, account_id, error, batch, who=who)


def _fail(services: Services, account_id: str, error: Exception, batch: Batch, *, who: str) -> None:
    if isinstance(error, LedgerAway):
        # None of the account's doing, and the others would fare no better: the next sweep finds all as it is.
        raise error
    logger.error("account %s failed: %s", account_id, type(error).__name__)
    record_failure(services, account_id, error, who=who)
    batch.rested.pop(account_id, None)
    if account_id not in batch.failed:
        batch.failed.append(account_id)
