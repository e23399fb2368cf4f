"""The one inbox for what happens outside: each fact once, in any order, with its consequences in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import Session, col, select

import models
from arrears.clock import iso
from arrears.engine.ladder import Leftover
from arrears.engine.life.books import Books, Episode, reckon
from arrears.engine.life.events import RESTRICTIONS, LifeEvent
from arrears.engine.vocabulary import CaseStatus, StepStatus
from arrears.ledger.cases import UnknownAccount, file_of, lock_person
from arrears.ledger.events import log_event
from arrears.ledger.life import opening_of, to_event, to_row
from arrears.operations.call_queue import cancel_open_tasks
from arrears.operations.close import close_case
from arrears.operations.learn import learn
from arrears.operations.recall import BY_MONEY, hand_on_placements, recall_what_is_due
from arrears.operations.reconsider import reconsider
from arrears.operations.restrict import restrict
from arrears.operations.services import Services, find_ladder
from arrears.operations.standstill import waives
from arrears.operations.wake import mark_halted
from arrears.operations.work import route

# What the log says of an event besides its name: codes, never an amount, a number or anybody's words.
_TOLD = ("kind", "channel", "channels", "letter")
# Between two cases that are opened at one instant, so that they have an order.
_TICK = timedelta(microseconds=1)


class EventRefused(Exception):
    """The event was not taken; the message says why, and nothing has changed."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an event. `new` is False when it was known: nothing has changed. `books`: as they are now."""

    account_id: str
    new: bool
    closed: bool
    books: Books


def receive(
    services: Services,
    account_id: str,
    event: LifeEvent,
    *,
    received_at: datetime,
    via: str,
    who: str,
) -> Taken:
    """Take `event` in, once by its key, whenever it comes; `via` which door it came, and `who` brought it.

    What is owed, which delinquencies there were and what stands still is reckoned anew from all that is
    known, in the order in which it happened. Raises UnknownAccount and EventRefused.
    """
    with services.ledger.write() as session:
        return take(services, session, account_id, event, received_at=received_at, via=via, who=who)


def take(
    services: Services,
    session: Session,
    account_id: str,
    event: LifeEvent,
    *,
    received_at: datetime,
    via: str,
    who: str,
) -> Taken:
    """`receive` inside the caller's transaction."""
    row = to_row(event, account_id, received_at=received_at, via=via, who=who)
    if not row.external_id.strip():
        raise EventRefused("an event needs a reference, by which it is known again")
    others = lock_person(session, account_id)
    account = session.get(models.Account, account_id, with_for_update=True, populate_existing=True)
    if account is None:
        raise UnknownAccount(account_id)
    cases = cases_of(session, account)
    known = session.exec(
        select(models.LifeEvent).where(
            models.LifeEvent.source == row.source, models.LifeEvent.external_id == row.external_id
        )
    ).first()
    if known is not None and (known.account_id, known.kind, known.data) != (account_id, row.kind, row.data):
        raise EventRefused(f"reference {row.external_id!r} was already used for another {known.kind}")
    if known is None:
        session.add(row)
        session.flush()
        _log(services, session, row, cases)
        restrict(session, account, row, event)
        learn(session, account, row, event)
        route(session, row, event)
        # Money concerns its own debt; what is said about being contacted, all that the person has.
        touched = others if isinstance(event, RESTRICTIONS) else ()
        books = apply(services, session, account, cases, touched, at=received_at, who=who)
    else:
        books = _books(services, session, account, cases)
    closed = not cases or cases[-1].status == CaseStatus.CLOSED
    return Taken(account_id, known is None, closed, books)


def apply(
    services: Services,
    session: Session,
    account: models.Account,
    cases: list[models.Case],
    others: Sequence[str] = (),
    *,
    at: datetime,
    who: str,
) -> Books:
    """Let the account's rows say what its life events amount to. The caller holds the person's locks.

    Doing it again changes nothing. `cases` are the account's, the oldest first; new ones are added to it.
    `others`: accounts of the holder whose cases it concerns as well.
    """
    books = _books(services, session, account, cases)
    account.amount_due, account.balance = books.amount_due, books.balance
    session.add(account)
    _sync(services, session, account, cases, books, at=at, who=who)
    session.flush()
    if account.amount_due <= 0:
        # The case may have been closed before, by a referral, with a call still in the queue.
        cancel_open_tasks(session, account.id, who=who, at=at, wall=services.clock.wall())
    touched = [account.id, *others] if cases else others
    reconsider(services, session, touched, at=at, who=who)
    return books


def _books(services: Services, session: Session, account: models.Account, cases: list[models.Case]) -> Books:
    rows = session.exec(select(models.LifeEvent).where(models.LifeEvent.account_id == account.id)).all()
    by_began = {case.began: case for case in cases}

    def waived(began: date) -> bool:
        """Each delinquency by the ladder of its own case: by the newest's, what was waived once would be owed anew."""
        if case := by_began.get(began):
            return waives(services, case)
        return find_ladder(services.ladders, services.settings.ladder).terms.leftover_charges is Leftover.WAIVE

    zone = account.zones[0] if account.zones else ""
    return reckon(opening_of(account), [to_event(row) for row in rows], zone=zone, waives=waived)


def cases_of(session: Session, account: models.Account) -> list[models.Case]:
    """The account's cases, the oldest first, locked."""
    return list(
        session.exec(
            select(models.Case)
            .where(models.Case.account_id == account.id)
            .order_by(col(models.Case.opened_at), col(models.Case.began))
            .with_for_update()
            .execution_options(populate_existing=True)
        ).all()
    )


def _sync(
    services: Services,
    session: Session,
    account: models.Account,
    cases: list[models.Case],
    books: Books,
    *,
    at: datetime,
    who: str,
) -> None:
    """A case for each delinquency the books know, open or closed as they say; what never was one is merged."""
    wall = services.clock.wall()
    by_began = {case.began: case for case in cases}
    over = [e for e in books.episodes if e.closed_at is not None]
    stood = next((case for case in cases if case.status != CaseStatus.CLOSED), None)
    last = _answering(cases, books)
    lasts = last.id if last is not None and books.episode is not None else ""
    own = books.episode if last is None or last.began == books.episodes[-1].began else None
    wanted = {episode.began for episode in books.episodes if episode.closed_at is not None or episode is own}
    if stood is not None and last is not None and last.outcome == "merged":
        _hand_on(services, session, account, stood, last)
    # Closed first: an account has one open case.
    for case in cases:
        if case.began in wanted:
            continue
        if case.status != CaseStatus.CLOSED:
            close_case(session, file_of(session, account, case), "merged", who=who, at=at, wall=wall)
        if case.outcome in BY_MONEY:
            case.outcome, case.next_reason = "merged", "closed: merged"
            session.add(case)
    for episode in over:
        case = by_began.get(episode.began) or _open(services, session, account, cases, episode, at=at, who=who)
        if case.status != CaseStatus.CLOSED:
            file = file_of(session, account, case)
            close_case(session, file, episode.outcome, lasts=lasts, who=who, at=at, wall=wall)
            recall_what_is_due(services, session, file_of(session, account, case), at=at, who=who)
        if case.outcome in BY_MONEY:
            case.closed_at, case.outcome, case.due_date = episode.closed_at, episode.outcome, episode.due_on
            case.next_reason = f"closed: {episode.outcome}"
        session.add(case)
    session.flush()
    if own is not None:
        case = _of_what_lasts(services, session, account, cases, own, at=at, who=who)
        session.add(case)
    if (last := _answering(cases, books)) is not None:
        if stood is not None and stood.outcome == "merged":
            _hand_on(services, session, account, stood, last)
            if last.halted_why and last.status != CaseStatus.CLOSED:
                mark_halted(last, last.halted_why)
                log_event(session, "halted", who=who, at=at, wall=wall, case=last, why=last.halted_why)
        _make_newest(session, cases, last, at=at)


def _answering(cases: Sequence[models.Case], books: Books) -> models.Case | None:
    """The case that answers for the last delinquency: its own, if it has one, unless a later one came to its end.

    What is before a court, or at the ladder's end, stays there when it turns out to have begun earlier.
    """
    if not books.episodes:
        return None
    began = books.episodes[-1].began
    ended = [c for c in cases if c.began > began and c.status == CaseStatus.CLOSED and c.outcome not in BY_MONEY]
    return ended[-1] if ended else next((case for case in cases if case.began == began), None)


def _hand_on(
    services: Services, session: Session, account: models.Account, stood: models.Case, last: models.Case
) -> None:
    """Two cases turn out to be one, or not to be: whichever answers for what is owed stays halted, and placed."""
    if stood.halted_why:
        last.halted_why, stood.halted_why = stood.halted_why, ""
    if stood.flow_run_id is not None and last.flow_run_id is None:
        # A timeline goes by its account, so it drives this case from now on; cancelled, it halts this one.
        last.flow_run_id, stood.flow_run_id = stood.flow_run_id, None
    hand_on_placements(services, session, file_of(session, account, stood), last)
    session.add_all((last, stood))


def _of_what_lasts(
    services: Services,
    session: Session,
    account: models.Account,
    cases: list[models.Case],
    episode: Episode,
    *,
    at: datetime,
    who: str,
) -> models.Case:
    """The case of the delinquency that lasts, open and with the due date that the books say."""
    case = next((each for each in cases if each.began == episode.began), None)
    if case is None:
        case = _open(services, session, account, cases, episode, at=at, who=who)
    elif case.status == CaseStatus.CLOSED and case.outcome in BY_MONEY:
        _reopen(session, services, account, case, at=at, who=who)
    if case.due_date != episode.due_on:
        data: dict[str, object] = {"from": case.due_date.isoformat(), "to": episode.due_on.isoformat()}
        case.due_date = episode.due_on
        log_event(session, "re-aged", who=who, at=at, wall=services.clock.wall(), case=case, data=data)
    return case


def _make_newest(session: Session, cases: list[models.Case], newest: models.Case, *, at: datetime) -> None:
    """Let the last delinquency's case be the one that stands for the account.

    It need not have been opened last: what is heard of late opens a case for a delinquency that is over, or one that
    was merged into an earlier one goes on by itself again.
    """
    others = [case for case in cases if case is not newest]
    # A ledger of before may have two of one instant.
    if any(case.opened_at >= newest.opened_at for case in others):
        newest.opened_at, newest.driver = _after(others, newest.opened_at), cases[-1].driver
        if newest.status not in (CaseStatus.CLOSED, CaseStatus.HALTED):
            newest.next_due_at = at
    for earlier in others:
        # Whoever drives the account looks at the newest case: an earlier one would stay due for ever.
        earlier.next_due_at = None
    session.add_all(cases)
    cases.sort(key=lambda case: case.opened_at)
    session.flush()


def _after(cases: Sequence[models.Case], moment: datetime) -> datetime:
    """`moment`, or just after the last of `cases` was opened: by these instants they are told apart for good.

    The clock may have been set back since, and a virtual one may stand still.
    """
    return max((moment, *(case.opened_at + _TICK for case in cases)))


def _open(
    services: Services,
    session: Session,
    account: models.Account,
    cases: list[models.Case],
    episode: Episode,
    *,
    at: datetime,
    who: str,
) -> models.Case:
    """A case of the delinquency, closed at once if that is over: the open one may be another's."""
    ladder = find_ladder(services.ladders, services.settings.ladder)
    is_over = episode.closed_at is not None
    case = models.Case(
        account_id=account.id,
        status=CaseStatus.CLOSED if is_over else CaseStatus.DELINQUENT,
        began=episode.began,
        due_date=episode.due_on,
        ladder=ladder.name,
        ladder_version=ladder.version,
        driver=cases[-1].driver if cases else "sweep",
        next_due_at=None if is_over else at,
        next_reason=f"closed: {episode.outcome}" if is_over else "to be decided",
        outcome=episode.outcome,
        opened_at=_after(cases, at),
        closed_at=episode.closed_at,
    )
    session.add(case)
    session.flush()
    cases.append(case)
    data: dict[str, object] = {"ladder": ladder.id, "began": episode.began.isoformat()}
    wall = services.clock.wall()
    log_event(session, "opened", who=who, at=at, wall=wall, case=case, data=data)
    if is_over:
        log_event(session, "closed", who=who, at=at, wall=wall, case=case, why=episode.outcome)
    return case


def _reopen(
    session: Session, services: Services, account: models.Account, case: models.Case, *, at: datetime, who: str
) -> None:
    """The payment that closed the case did not stay: it goes on where it was, halted if it was."""
    was = case.outcome
    # What closed it may have had another name then: what was cured was paid in full since.
    left_out = {f"case closed: {outcome}" for outcome in BY_MONEY}
    for step in file_of(session, account, case).steps:
        if step.status == StepStatus.SKIPPED and step.reason in left_out:
            step.status, step.at, step.reason = StepStatus.PLANNED, None, ""
            session.add(step)
    case.status, case.outcome, case.closed_at = CaseStatus.DELINQUENT, "", None
    case.next_due_at, case.next_reason = at, "to be decided"
    if case.halted_why:
        mark_halted(case, case.halted_why)
    log_event(session, "reopened", who=who, at=at, wall=services.clock.wall(), case=case, why=f"was closed: {was}")


def _log(services: Services, session: Session, row: models.LifeEvent, cases: list[models.Case]) -> None:
    """Who brought it, by what door, and when it happened; amounts and words stay in the inbox."""
    data: dict[str, object] = {"reference": row.external_id, "happened_at": iso(row.happened_at)}
    data |= {name: row.data[name] for name in _TOLD if row.data.get(name)}
    log_event(
        session,
        row.kind,
        who=row.recorded_by,
        at=row.received_at,
        wall=services.clock.wall(),
        case=cases[-1] if cases else None,
        account_id=row.account_id,
        why=row.via,
        data=data,
    )
