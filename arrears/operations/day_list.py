"""The day list: whom the floor calls, in what order, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import ColumnElement
from sqlmodel import Session, and_, col, select

import models
from arrears.engine.contact.facts import ContactChannel
from arrears.engine.delinquency import days_past_due, local_date, zone_of
from arrears.engine.floor import Dealable, Hand, HourTried, Prospect, Score, deal, score
from arrears.engine.life.arrangements import Kept
from arrears.engine.money import Money
from arrears.engine.vocabulary import ChannelName, Disposition
from arrears.ledger.cases import read_case_file
from arrears.operations.services import Services
from arrears.operations.standstill import arranged

# How far back a person's own history says at which hour they answer.
_MEMORY = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Listed:
    """A task in the day list. `claimed_by`: the collector who has the person just now."""

    task: models.CallTask
    holder_id: str
    score: Score
    worked_today: int
    claimed_by: str = ""


def day_list(services: Services, *, now: datetime) -> list[Listed]:
    """Every open task by its score, the highest first; of equals, the one that was queued first."""
    with services.ledger.read() as session:
        return _listed(services, session, now=now)


def share_out(services: Services, collectors: Sequence[str], *, now: datetime, dry_run: bool) -> tuple[Hand, ...]:
    """Deal what is open and nobody's yet into day lists of like worth, a person always to one collector.

    Nothing is written by a dry run.
    """
    with services.ledger.write() as session:
        listed = _listed(services, session, now=now)
        free = [one for one in listed if not one.claimed_by]
        hands = deal((Dealable(one.task.key, one.holder_id, one.score.points) for one in free), collectors)
        if not dry_run:
            by_key = {one.task.key: one.task for one in free}
            for hand in hands:
                for key in hand.keys:
                    by_key[key].dealt_to = hand.collector
                    session.add(by_key[key])
        return hands


def in_turn(listed: Iterable[Listed], collector: str) -> list[Listed]:
    """The list as one collector works it: their own hand first, then what nobody has, then the rest of the others'.

    Of another's hand the end comes first, so that nobody's best is taken while nobody stands idle.
    """
    of_whom: defaultdict[str, list[Listed]] = defaultdict(list)
    for one in listed:
        of_whom[one.task.dealt_to].append(one)
    own, free = of_whom.pop(collector, []), of_whom.pop("", [])
    others = sorted(of_whom.values(), key=lambda hand: (-len(hand), hand[0].task.dealt_to))
    return [*own, *free, *(one for hand in others for one in reversed(hand))]


def _listed(services: Services, session: Session, *, now: datetime) -> list[Listed]:
    rows = session.exec(
        select(models.CallTask, models.Account, models.Case)
        .join(models.Account, col(models.Account.id) == col(models.CallTask.account_id))
        .join(models.Step, _task_of_step())
        .join(models.Case, col(models.Case.id) == col(models.Step.case_id))
        .where(models.CallTask.status == "open")
    ).all()
    tried = _tried(session, {account.holder_id for _, account, _ in rows}, since=now - _MEMORY)
    promised, claimed = _promised(services, session, now=now), _claimed(session, now)
    found: list[Listed] = []
    for task, account, case in rows:
        local_now = now.astimezone(zone_of(task.zone))
        theirs = tried.get(account.holder_id, [])
        prospect = Prospect(
            balance=Money(account.balance, account.currency),
            days_past_due=days_past_due(case.due_date, now, task.zone),
            promised=promised.get(account.id),
            best_from=time.fromisoformat(task.best_from),
            best_to=time.fromisoformat(task.best_to),
            tried=tuple(HourTried(call.at.astimezone(zone_of(task.zone)).hour, call.reached) for call in theirs),
        )
        found.append(
            Listed(
                task=task,
                holder_id=account.holder_id,
                score=score(prospect, services.floor.weights, local_now=local_now),
                worked_today=sum(
                    call.account_id == account.id and local_date(call.at, task.zone) == local_now.date()
                    for call in theirs
                ),
                claimed_by=claimed.get(account.holder_id, ""),
            )
        )
    return sorted(found, key=lambda one: (-one.score.points, one.task.created_at, one.task.key))


def _task_of_step() -> ColumnElement[bool]:
    return and_(
        col(models.Step.account_id) == col(models.CallTask.account_id),
        col(models.Step.rung) == col(models.CallTask.rung),
        col(models.Step.attempt) == col(models.CallTask.attempt),
        # An account that was cured and is behind again has such a step in each of its cases.
        col(models.CallTask.key).startswith(col(models.Step.case_id).concat("/")),
    )


@dataclass(frozen=True, slots=True)
class _Call:
    account_id: str
    at: datetime
    reached: bool


def _tried(session: Session, holders: set[str], *, since: datetime) -> dict[str, list[_Call]]:
    """Calls that were made to each person, by the ladder or by hand."""
    spoke = {str(word) for word in Disposition if word.reached_the_holder} | {"conversation"}
    steps = session.exec(
        select(models.Account.holder_id, models.Step.account_id, models.Step.disposed_at, models.Step.disposition)
        .join(models.Account, col(models.Account.id) == col(models.Step.account_id))
        .where(
            col(models.Step.channel) == ChannelName.CALL,
            col(models.Step.disposition).is_not(None),
            models.Step.carried_by == "",
            col(models.Step.disposed_at) >= since,
        )
    ).all()
    by_hand = session.exec(
        select(models.Account.holder_id, models.Contact.account_id, models.Contact.at, models.Contact.outcome)
        .join(models.Account, col(models.Account.id) == col(models.Contact.account_id))
        .where(
            col(models.Contact.channel) == ContactChannel.CALL,
            models.Contact.direction == "outbound",
            col(models.Contact.at) >= since,
        )
    ).all()
    found: defaultdict[str, list[_Call]] = defaultdict(list)
    for holder_id, account_id, at, outcome in (*steps, *by_hand):
        if holder_id in holders and at is not None:
            found[holder_id].append(_Call(account_id, at, outcome in spoke))
    return found


def _promised(services: Services, session: Session, *, now: datetime) -> dict[str, date]:
    """The day of each account's last promise, unless it was kept, or is not to be kept any more."""
    accounts = session.exec(
        select(models.LifeEvent.account_id)
        .join(models.CallTask, col(models.CallTask.account_id) == col(models.LifeEvent.account_id))
        .where(models.LifeEvent.kind == "promise", models.CallTask.status == "open")
        .distinct()
    ).all()
    found: dict[str, date] = {}
    for account_id in accounts:
        made = arranged(services, read_case_file(session, account_id), now=now)
        standing = [each for each in made if each.status not in (Kept.REPLACED, Kept.WITHDRAWN)]
        if standing and standing[-1].kind == "promise" and standing[-1].status is not Kept.KEPT:
            found[account_id] = standing[-1].due_on
    return found


def _claimed(session: Session, now: datetime) -> dict[str, str]:
    """Who has whom just now."""
    standing = select(models.CallClaim).where(
        col(models.CallClaim.ended_at).is_(None), col(models.CallClaim.until) > now
    )
    return {claim.holder_id: claim.collector for claim in session.exec(standing)}
