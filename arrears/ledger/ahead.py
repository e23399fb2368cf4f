"""What many persons' accounts need of the ledger, locked and read ahead in a dozen queries instead of a dozen each.

A transaction carries what was read for it. The functions of this floor that read one account or one person answer
from it where they can; since the rows are the transaction's own objects, they also say what it has changed so far.
Whoever changes more than rows that were read (sets a hold, say) calls `forget`, and the person is read anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, func, text
from sqlalchemy import select as select_columns
from sqlalchemy.orm import defer
from sqlmodel import Session, col, or_, select

import models
from arrears.engine.life.events import LifeEvent
from arrears.ledger import state
from arrears.ledger.among import among
from arrears.ledger.life import to_event
from models.types import UTCDateTime

_KEY: Final = "ahead"
_WHEN = func.coalesce(col(models.Step.disposed_at), col(models.Step.at), type_=UTCDateTime)
_EARLIER = select_columns(
    col(models.Step.account_id),
    col(models.Step.channel),
    col(models.Step.status),
    col(models.Step.proof),
    _WHEN.label("at"),
    col(models.Step.disposition),
    col(models.Step.number),
    col(models.Step.actor),
    col(models.Step.carried_by),
)


@dataclass(frozen=True, slots=True)
class Made:
    """One step as the person's counters see it; `at`: when a call was made, else when the step was."""

    account_id: str
    channel: str
    status: str
    proof: str
    at: datetime | None
    disposition: str | None
    number: str
    actor: str
    carried_by: str


@dataclass(slots=True)
class Ahead:
    """Everything about the persons in `people` (their accounts that have a case, by holder), since `since`."""

    since: datetime
    people: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    holder_of: dict[str, str] = field(default_factory=dict[str, str])
    newest: dict[str, tuple[models.Case, models.Account]] = field(
        default_factory=dict[str, tuple[models.Case, models.Account]]
    )
    steps: defaultdict[str, list[models.Step]] = field(default_factory=lambda: defaultdict(list))
    approvals: defaultdict[str, list[models.Approval]] = field(default_factory=lambda: defaultdict(list))
    holds: list[models.Hold] = field(default_factory=list[models.Hold])
    life: defaultdict[str, list[LifeEvent]] = field(default_factory=lambda: defaultdict(list))
    earlier: defaultdict[str, list[Made]] = field(default_factory=lambda: defaultdict(list))
    contacts: defaultdict[str, list[models.Contact]] = field(default_factory=lambda: defaultdict(list))
    consents: defaultdict[str, list[models.Consent]] = field(default_factory=lambda: defaultdict(list))
    reported: frozenset[str] = frozenset()
    step_ids: list[int] = field(default_factory=list[int])
    stopped: str | None = None

    def holds_of(self, account: models.Account) -> list[models.Hold]:
        """Open holds of the person and of the account's numbers."""
        return [hold for hold in self.holds if hold.holder_id == account.holder_id or hold.number in account.phones]

    def made(self, holder_id: str) -> Iterable[Made]:
        """Every step of the person's accounts, whatever became of it."""
        for account_id in self.people[holder_id]:
            case, _ = self.newest[account_id]
            for step in self.steps[case.id]:
                yield Made(
                    account_id,
                    step.channel,
                    step.status,
                    step.proof,
                    step.disposed_at or step.at,
                    step.disposition,
                    step.number,
                    step.actor,
                    step.carried_by,
                )
        yield from self.earlier[holder_id]


def whole_of(session: Session) -> Ahead | None:
    """What was read ahead for this transaction, if anything was."""
    return session.info.get(_KEY)


def ahead_of(session: Session, *, holder_id: str = "", account_id: str = "") -> Ahead | None:
    """What was read ahead for this transaction, if it covers the person or the account."""
    ahead = whole_of(session)
    if ahead is None:
        return None
    return ahead if (holder_id or ahead.holder_of.get(account_id, "")) in ahead.people else None


def forget(session: Session, holder_id: str) -> None:
    """Read this person from the database from now on: more has changed than what was read ahead."""
    ahead = whole_of(session)
    if ahead is not None:
        ahead.people.pop(holder_id, None)


def read_ahead(session: Session, account_ids: Sequence[str], *, since: datetime, wait: bool) -> list[str]:
    """Lock the persons of these accounts for the transaction and read all that deciding about them takes.

    `since`: how far back contacts count. With `wait=False`, persons of whom anything is locked by somebody else are
    left out; which accounts are in is returned, in the order given. Locks are taken in the order in which
    `lock_person` takes them: the rows of cases by account, then the persons' counters.
    """
    holders = _holders(session, account_ids)
    ahead = Ahead(since=since)
    _lock(session, ahead, set(holders.values()), wait=wait)
    session.info[_KEY] = ahead
    _read(session, ahead)
    ahead.stopped = state.get(session, state.STOPPED)
    ahead.step_ids = _some_ids(session, len(ahead.newest))
    return [account_id for account_id in account_ids if account_id in ahead.newest]


def _holders(session: Session, account_ids: Sequence[str]) -> dict[str, str]:
    query = select(models.Account.id, models.Account.holder_id).where(
        among(session, col(models.Account.id), account_ids)
    )
    return dict(session.exec(query).all())


def _lock(session: Session, ahead: Ahead, holders: set[str], *, wait: bool) -> None:
    of_persons = among(session, col(models.Account.holder_id), holders)
    rows = session.exec(
        select(models.Case, models.Account)
        .join(models.Account, col(models.Account.id) == col(models.Case.account_id))
        .where(of_persons)
        .order_by(col(models.Case.account_id), col(models.Case.id))
        .with_for_update(of=models.Case, skip_locked=not wait)
    ).all()
    got: defaultdict[str, list[tuple[models.Case, models.Account]]] = defaultdict(list)
    for case, account in rows:
        got[account.holder_id].append((case, account))
    whole = set(got) if wait else _not_shared(session, of_persons, got)
    for holder_id in sorted(_counters(session, whole, wait=wait)):
        ahead.people[holder_id] = list(dict.fromkeys(case.account_id for case, _ in got[holder_id]))
        for case, account in got[holder_id]:
            ahead.holder_of[account.id] = holder_id
            known = ahead.newest.get(account.id)
            if known is None or known[0].opened_at < case.opened_at:
                ahead.newest[account.id] = (case, account)


def _not_shared(session: Session, of_persons: ColumnElement[bool], got: Mapping[str, Sequence[Any]]) -> set[str]:
    """The persons of whom every case is ours."""
    if session.get_bind().dialect.name == "sqlite":
        return set(got)
    counts = session.connection().execute(
        select_columns(col(models.Account.holder_id), func.count())
        .join(models.Case, col(models.Case.account_id) == col(models.Account.id))
        .where(of_persons)
        .group_by(col(models.Account.holder_id))
    )
    return {holder_id for holder_id, count in counts if len(got.get(holder_id, ())) == count}


def _counters(session: Session, holders: set[str], *, wait: bool) -> set[str]:
    """Take the persons' counters, as `lock_holder` does; whose were free."""
    if session.get_bind().dialect.name != "postgresql" or not holders:
        return holders
    take = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    rows = session.connection().execute(
        text(f"SELECT id, {take}(hashtextextended(id, 0)) FROM unnest(CAST(:ids AS text[])) AS id"),
        {"ids": sorted(holders)},
    )
    return {holder_id for holder_id, taken in rows if wait or taken}


def _read(session: Session, ahead: Ahead) -> None:
    accounts, holders = list(ahead.newest), list(ahead.people)
    cases = [case.id for case, _ in ahead.newest.values()]
    numbers = {number for _, account in ahead.newest.values() for number in account.phones}
    if not cases:
        return
    # Only evidence and explanations need the verdict's text.
    steps = select(models.Step).options(defer(models.Step.verdict))  # pyright: ignore[reportArgumentType]
    for step in session.exec(
        steps.where(among(session, col(models.Step.case_id), cases)).order_by(col(models.Step.id))
    ):
        ahead.steps[step.case_id].append(step)
    of_cases = among(session, col(models.Approval.case_id), cases)
    for approval in session.exec(select(models.Approval).where(of_cases)):
        ahead.approvals[approval.case_id].append(approval)
    concerned = or_(
        among(session, col(models.Hold.holder_id), holders), among(session, col(models.Hold.number), numbers)
    )
    ahead.holds = list(session.exec(select(models.Hold).where(concerned, col(models.Hold.released_at).is_(None))))
    lived = among(session, col(models.LifeEvent.account_id), accounts)
    for row in session.exec(select(models.LifeEvent).where(lived)):
        ahead.life[row.account_id].append(to_event(row))
    in_force = select(models.Consent).where(
        among(session, col(models.Consent.account_id), accounts), col(models.Consent.withdrawn_at).is_(None)
    )
    for consent in session.exec(in_force):
        ahead.consents[consent.account_id].append(consent)
    _read_contacts(session, ahead, cases, holders)


def _read_contacts(session: Session, ahead: Ahead, cases: list[str], holders: list[str]) -> None:
    of_persons = among(session, col(models.Account.holder_id), holders)
    earlier = (
        _EARLIER.add_columns(col(models.Account.holder_id))
        .join(models.Account, col(models.Account.id) == col(models.Step.account_id))
        .where(of_persons, ~among(session, col(models.Step.case_id), cases), ahead.since <= _WHEN)
    )
    for *made, holder_id in session.connection().execute(earlier):
        ahead.earlier[holder_id].append(Made(*made))
    by_hand = (
        select(models.Contact, models.Account.holder_id)
        .join(models.Account, col(models.Account.id) == col(models.Contact.account_id))
        .where(of_persons, or_(col(models.Contact.at) >= ahead.since, col(models.Contact.notice) != ""))
    )
    for contact, holder_id in session.exec(by_hand):
        ahead.contacts[holder_id].append(contact)


def _some_ids(session: Session, count: int) -> list[int]:
    """Ids for new steps: rows that bring theirs along are written without asking for each what it became."""
    if session.get_bind().dialect.name != "postgresql":
        return []
    query = text("SELECT nextval(pg_get_serial_sequence('steps', 'id')) FROM generate_series(1, :count)")
    return list(session.connection().execute(query, {"count": count}).scalars())


def next_step_id(session: Session) -> int | None:
    """The id of the transaction's next new step, if any were drawn ahead."""
    ahead = whole_of(session)
    return ahead.step_ids.pop(0) if ahead is not None and ahead.step_ids else None


def read_reports(session: Session, references: Sequence[str]) -> None:
    """Note which of these texts the provider has reported on already."""
    ahead = whole_of(session)
    if ahead is not None and references:
        found = select(models.Delivery.reference).where(among(session, col(models.Delivery.reference), references))
        ahead.reported = frozenset(session.exec(found).all())


def is_reported(session: Session, account_id: str, reference: str) -> bool:
    """Whether the provider may have reported on this text: False only where it was looked for and not found."""
    ahead = ahead_of(session, account_id=account_id)
    return ahead is None or reference in ahead.reported
