"""Many accounts brought as far as they can go now, with few transactions: the sweep's way through `advance`.

One transaction decides for all and commits their intents, the effects are made, the next one commits their outcomes
and decides again. Each account goes through the same moves as by itself, and nothing is made before its intent is
committed. Whatever fails unforeseen while many are decided together is done again one by one, so that it fails alone.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

import models
from arrears.channels.effect import Absent, Bulk, Done, Finding, Intent, Outcome
from arrears.engine.vocabulary import ChannelName, StepStatus
from arrears.ledger.ahead import forget, read_ahead, read_reports, whole_of
from arrears.ledger.among import among
from arrears.ledger.cases import lock_person, read_case_file
from arrears.ledger.database import LedgerAway
from arrears.ledger.events import write_log
from arrears.ledger.writing import write_rows
from arrears.operations.advance import Advanced, advance, record_failure
from arrears.operations.brakes import Budget, CeilingPassed, keep_others_off, note_made
from arrears.operations.collecting import seldom_collecting
from arrears.operations.moves import Closed, InDoubt, Intended, Move, Ready, Standstill, look
from arrears.operations.perform import attempt, attempt_all, look_up, settle, settle_in
from arrears.operations.services import Services
from arrears.operations.told import CARRIES

logger = logging.getLogger(__name__)

# An account may have waited for its turn after another of its person, or for hours between contacts.
_LEAST_MEMORY = timedelta(days=3)
_Result = Outcome | Finding | StepStatus | Exception
_Known = tuple[Intended | InDoubt, Outcome | Finding | StepStatus]


@dataclass(slots=True)
class Batch:
    """Where the accounts came to rest, and which failed. Those that somebody else was at are in neither."""

    rested: dict[str, Advanced] = field(default_factory=dict[str, Advanced])
    failed: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class _UnderWay:
    """What is not at rest between two transactions: moves to be made, and effects so far by account and channel.

    `later`: accounts that wait until another of their person has come to rest, so that what becomes of its contact is
    known when they are decided.
    """

    effects: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    open: list[Intended | InDoubt] = field(default_factory=list[Intended | InDoubt])
    later: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def copy(self) -> _UnderWay:
        """What to go back to when a transaction fails."""
        effects = {account_id: Counter(counted) for account_id, counted in self.effects.items()}
        later = {holder_id: list(waiting) for holder_id, waiting in self.later.items()}
        return _UnderWay(defaultdict(Counter, effects), list(self.open), defaultdict(list, later))

    def count(self, move: Intended | InDoubt, status: StepStatus) -> None:
        """Note the effect, if there was one."""
        if status is StepStatus.DONE and isinstance(move, Intended):
            self.effects[move.intent.account_id][str(move.channel)] += 1


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
    with services.ledger.session() as session:
        work = _Work(services, session, who, budget)
        work.begin(account_ids, due)
        while work.under_way.open:
            moves, work.under_way.open = work.under_way.open, []
            work.go_on(_make(services, moves, pool))
    for account_id in itertools.chain(*work.under_way.later.values()):
        # The one that they waited for failed.
        work.alone(account_id)
    return work.batch


@dataclass(slots=True)
class _Work:
    """A batch on its way. What `session` has read of its persons serves one transaction after the other."""

    services: Services
    session: Session
    who: str
    budget: Budget
    batch: Batch = field(default_factory=Batch)
    under_way: _UnderWay = field(default_factory=_UnderWay)

    def begin(self, account_ids: Sequence[str], due: ColumnElement[bool] | None) -> None:
        """Commit what each account does first."""
        try:
            self._together(lambda: self._first_of_all(account_ids, due))
        except Exception as error:
            logger.warning("%d accounts are advanced one by one: %s", len(account_ids), type(error).__name__)
            for account_id in account_ids:
                self.alone(account_id)

    def go_on(self, results: Sequence[tuple[Intended | InDoubt, _Result]]) -> None:
        """Commit the outcomes, and with them what each account does next."""
        known: list[_Known] = []
        for move, result in results:
            if isinstance(result, Exception):
                self._fail(move.intent.account_id, result)
            else:
                known.append((move, result))
        try:
            self._together(lambda: self._decide(self._settle(known)))
        except Exception as error:
            logger.warning("%d outcomes are committed one by one: %s", len(known), type(error).__name__)
            for move, result in known:
                self._settle_alone(move, result)

    def alone(self, account_id: str) -> None:
        """Bring one account to rest by itself."""
        try:
            rest = advance(self.services, account_id, who=self.who, budget=self.budget)
            self.batch.rested[account_id] = Advanced(rest.rest, self.under_way.effects[account_id] + rest.by_channel)
        except Exception as error:
            self._fail(account_id, error)

    def _first_of_all(self, account_ids: Sequence[str], due: ColumnElement[bool] | None) -> None:
        mine = account_ids if due is None else _still_due(self.session, account_ids, due)
        self._decide(self._one_of_each_person(self._read(mine, wait=due is None)))

    def _together(self, do: Callable[[], None]) -> None:
        """One transaction for all; if it would pass the day's ceiling, another in which nobody else decides."""
        try:
            with self._transaction():
                do()
        except CeilingPassed:
            with self._transaction():
                keep_others_off(self.session)
                do()

    @contextmanager
    def _transaction(self) -> Generator[None]:
        """One for all; when it fails, everything is as it was before."""
        left, made = self.budget.left, self.budget.made
        rested, under_way = dict(self.batch.rested), self.under_way.copy()
        try:
            with self.services.ledger.writing(self.session):
                yield
                write_rows(self.session)
                # All there is to write is written before others may have to wait.
                self.session.flush()
                write_log(self.session)
                note_made(self.session, self.budget)
        except Exception:
            self.budget.left, self.budget.made = left, made
            self.batch.rested, self.under_way = rested, under_way
            raise

    def _read(self, account_ids: Sequence[str], *, wait: bool) -> list[str]:
        memory = max(timedelta(days=self.services.rulebook.days_of_memory), _LEAST_MEMORY)
        return read_ahead(self.session, account_ids, since=self.services.clock.now() - memory, wait=wait)

    def _one_of_each_person(self, account_ids: Iterable[str]) -> list[str]:
        ahead = whole_of(self.session)
        assert ahead is not None
        firsts: dict[str, str] = {}
        for account_id in account_ids:
            holder_id = ahead.holder_of[account_id]
            if firsts.setdefault(holder_id, account_id) != account_id:
                self.under_way.later[holder_id].append(account_id)
        return list(firsts.values())

    def _decide(self, account_ids: Iterable[str]) -> None:
        """The next move of each account; of one at rest, the next account of its person."""
        todo = deque(account_ids)
        while todo:
            account_id = todo.popleft()
            others = lock_person(self.session, account_id)
            file = read_case_file(self.session, account_id, lock=True)
            move: Move = look(self.services, self.session, file, others, who=self.who, budget=self.budget, intend=True)
            match move:
                case Intended() | InDoubt():
                    self.under_way.open.append(move)
                case Standstill() | Closed():
                    self.batch.rested[account_id] = Advanced(move, self.under_way.effects[account_id])
                    if waiting := self.under_way.later[file.account.holder_id]:
                        todo.appendleft(waiting.pop(0))
                case Ready():
                    raise AssertionError("what may go is intended")

    def _settle(self, known: Sequence[_Known]) -> list[str]:
        """What became of the moves; the accounts to look at again."""
        told = [other for move, _ in known for other in move.intent.payload.get(CARRIES, ())]
        again = list(dict.fromkeys((*(move.intent.account_id for move, _ in known), *told)))
        again = self._read(again, wait=True)
        read_reports(self.session, [move.intent.reference for move, _ in known if move.channel is ChannelName.SMS])
        ahead = whole_of(self.session)
        for move, result in known:
            if isinstance(result, StepStatus):
                continue
            status = settle_in(self.services, self.session, move.intent, move.channel, result, who=self.who)
            self.under_way.count(move, status)
            if ahead is not None and (not isinstance(result, Done) or move.intent.reference in ahead.reported):
                # More may have followed from it than its own row: holds, a bad number, an item of work.
                forget(self.session, ahead.holder_of[move.intent.account_id])
        return again

    def _settle_alone(self, move: Intended | InDoubt, result: Outcome | Finding | StepStatus) -> None:
        """The outcome by itself, so that it stands even if what follows from it fails."""
        try:
            if not isinstance(result, StepStatus):
                result = settle(self.services, move.intent, move.channel, result, who=self.who)
        except Exception as error:
            self._fail(move.intent.account_id, error)
        else:
            self.under_way.count(move, result)
            self.alone(move.intent.account_id)

    def _fail(self, account_id: str, error: Exception) -> None:
        if isinstance(error, LedgerAway):
            # None of the account's doing, and the others would fare no better: the next sweep finds all as it is.
            raise error
        logger.error("account %s failed: %s", account_id, type(error).__name__)
        try:
            record_failure(self.services, account_id, error, who=self.who)
        except LedgerAway:
            raise
        except Exception as another:
            # Somebody has its case locked, say. It is as it was, and the next sweep finds it so.
            logger.error("account %s: that could not be kept: %s", account_id, type(another).__name__)
        self.batch.rested.pop(account_id, None)
        if account_id not in self.batch.failed:
            self.batch.failed.append(account_id)


def _still_due(session: Session, account_ids: Sequence[str], due: ColumnElement[bool]) -> list[str]:
    """Those that nobody has advanced since they were listed, and nobody is advancing."""
    query = (
        select(models.Case.account_id)
        .where(among(session, col(models.Case.account_id), account_ids), due)
        .with_for_update(skip_locked=True)
    )
    found = set(session.exec(query))
    return [account_id for account_id in account_ids if account_id in found]


def _make(
    services: Services, moves: Sequence[Intended | InDoubt], pool: ThreadPoolExecutor
) -> list[tuple[Intended | InDoubt, _Result]]:
    """The effects of what is intended, and what the evidence says of what is in doubt; a channel at a time in bulk."""
    results: dict[str, _Result] = {}
    singly: list[Intended | InDoubt] = []
    in_bulk: defaultdict[ChannelName, list[Intent]] = defaultdict(list)
    # Asked of each channel once: what a protocol wants is looked up anew every time.
    at_once = {name for name, channel in services.channels.items() if isinstance(channel, Bulk)}
    for move in moves:
        if isinstance(move, Intended) and move.channel in at_once:
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
    except LedgerAway as error:
        return {intent.key: error for intent in intents}
    except Exception as error:
        logger.warning("%d effects are made one by one: %s", len(intents), type(error).__name__)
        return {intent.key: _one_after_all(services, intent, channel) for intent in intents}
    return {intent.key: result for intent, result in zip(intents, made, strict=True)}


def _one_after_all(services: Services, intent: Intent, channel: ChannelName) -> _Result:
    """Of an intent whose bulk failed: what is there of it already, or else its effect by itself."""
    try:
        found = look_up(services, intent, channel)
        return attempt(services, intent, channel) if isinstance(found, Absent) else found
    except Exception as error:
        return error


def _one(services: Services, move: Intended | InDoubt) -> _Result:
    try:
        do = attempt if isinstance(move, Intended) else look_up
        return do(services, move.intent, move.channel)
    except Exception as error:
        return error
