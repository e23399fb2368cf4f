"""What many persons' accounts need of the ledger, locked and read ahead in a dozen queries instead of a dozen each.

A transaction carries what was read for it. The functions of this floor that read one account or one person answer
from it where they can; since the rows are the transaction's own objects, they also say what it has changed so far.
Whoever changes more than rows that were read (sets a hold, say) calls `forget`, and the person is read anew.
The next transaction of the same session reads anew only persons of whom anything has changed in the meantime.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, Final, NamedTuple

from sqlalchemy import func, text
from sqlalchemy import select as select_columns
from sqlalchemy.orm import defer
from sqlmodel import Session, col, or_, select

import models
from arrears.engine.life.events import LifeEvent
from arrears.ledger import state
from arrears.ledger.among import among, array_of
from arrears.ledger.life import to_event
from arrears.ledger.since import Since, changed_since, this_instant
from models.types import UTCDateTime

_KEY: Final = "ahead"
_EARLIER: Final = "earlier"
_WHEN = func.coalesce(col(models.Step.disposed_at), col(models.Step.at), type_=UTCDateTime)
_MADE = select_columns(
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


class Made(NamedTuple):
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
class Person:
    """Everything about one person: cases by account (the newest), steps and approvals by case, the rest by account.

    `cases`: all there are, as (account, case). `earlier`: steps of cases that are not an account's newest. `holds`:
    the open ones of the person and of their accounts' numbers.
    """

    cases: list[tuple[str, str]]
    newest: dict[str, tuple[models.Case, models.Account]] = field(
        default_factory=dict[str, tuple[models.Case, models.Account]]
    )
    steps: defaultdict[str, list[models.Step]] = field(default_factory=lambda: defaultdict(list))
    approvals: defaultdict[str, list[models.Approval]] = field(default_factory=lambda: defaultdict(list))
    holds: list[models.Hold] = field(default_factory=list[models.Hold])
    life: defaultdict[str, list[LifeEvent]] = field(default_factory=lambda: defaultdict(list))
    earlier: list[Made] = field(default_factory=list[Made])
    contacts: list[models.Contact] = field(default_factory=list[models.Contact])
    consents: defaultdict[str, list[models.Consent]] = field(default_factory=lambda: defaultdict(list))

    def holds_of(self, account: models.Account) -> list[models.Hold]:
        """Open holds of the person and of the account's numbers."""
        return [hold for hold in self.holds if hold.holder_id == account.holder_id or hold.number in account.phones]

    def made(self) -> Iterable[Made]:
        """Every step of the person's accounts, whatever became of it."""
        for account_id, (case, _) in self.newest.items():
            for step in map(vars, self.steps[case.id]):
                yield Made(
                    account_id,
                    step["channel"],
                    step["status"],
                    step["proof"],
                    step["disposed_at"] or step["at"],
                    step["disposition"],
                    step["number"],
                    step["actor"],
                    step["carried_by"],
                )
        yield from self.earlier

    def rows(self) -> Iterator[object]:
        """All rows that stay in the session for the next transaction: holds are read anew in each."""
        yield from chain.from_iterable(self.newest.values())
        for lists in (self.steps, self.approvals, self.consents):
            yield from chain.from_iterable(lists.values())
        yield from self.contacts


@dataclass(slots=True)
class Ahead:
    """What was read of the persons in `people` (by holder), contacts from `since` on, as of `read_at`."""

    since: datetime
    read_at: Since | None = None
    people: dict[str, Person] = field(default_factory=dict[str, Person])
    holder_of: dict[str, str] = field(default_factory=dict[str, str])
    reported: frozenset[str] = frozenset()
    step_ids: list[int] = field(default_factory=list[int])
    stopped: str | None = None


def whole_of(session: Session) -> Ahead | None:
    """What was read ahead for this transaction, if anything was."""
    return session.info.get(_KEY)


def person_of(session: Session, *, holder_id: str = "", account_id: str = "") -> Person | None:
    """What was read ahead for this transaction of the person, or of the account's holder, if they were among them."""
    ahead = whole_of(session)
    return ahead.people.get(holder_id or ahead.holder_of.get(account_id, "")) if ahead is not None else None


def forget(session: Session, holder_id: str) -> None:
    """Read this person from the database from now on: more has changed than what was read ahead."""
    ahead = whole_of(session)
    if ahead is not None:
        ahead.people.pop(holder_id, None)


def begin_anew(session: Session) -> None:
    """A further transaction begins: of what the last one saw, only what was read ahead stays, to be looked at again."""
    ahead = whole_of(session)
    session.info.clear()
    if ahead is None:
        session.expunge_all()
    else:
        session.info[_EARLIER] = ahead


def read_ahead(session: Session, account_ids: Sequence[str], *, since: datetime, wait: bool) -> list[str]:
    """Lock the persons of these accounts for the transaction and read all that deciding about them takes.

    `since`: how far back contacts count. With `wait=False`, persons of whom anything is locked by somebody else are
    left out; which accounts are in is returned, in the order given. Locks are taken in the order in which
    `lock_person` takes them: the rows of cases by account, then the persons' counters. Once they are held, what
    an earlier transaction of this session knew of a person is kept if nothing has been written about them since.
    """
    earlier: Ahead | None = session.info.pop(_EARLIER, None)
    ahead = Ahead(since, this_instant(session, earlier.read_at if earlier is not None else None))
    locked = _locked(session, _persons(session, account_ids, earlier), wait=wait)
    kept = _kept(session, earlier, locked)
    _leave(session, kept.values())
    ahead.people = kept | _read(session, {key: cases for key, cases in locked.items() if key not in kept}, since)
    _read_holds(session, ahead.people)
    ahead.holder_of = {account_id: key for key, person in ahead.people.items() for account_id in person.newest}
    ahead.stopped = state.get(session, state.STOPPED)
    ahead.step_ids = earlier.step_ids if earlier is not None else _some_ids(session, len(ahead.holder_of))
    session.info[_KEY] = ahead
    return [account_id for account_id in account_ids if account_id in ahead.holder_of]


def _persons(session: Session, account_ids: Sequence[str], earlier: Ahead | None) -> set[str]:
    """Whose accounts these are, which never changes."""
    known = earlier.holder_of if earlier is not None else {}
    found = {known[account_id] for account_id in account_ids if account_id in known}
    if others := [account_id for account_id in account_ids if account_id not in known]:
        query = select(models.Account.holder_id).where(among(session, col(models.Account.id), others))
        found.update(session.exec(query))
    return found


def _locked(session: Session, persons: Collection[str], *, wait: bool) -> dict[str, list[tuple[str, str]]]:
    """All cases (account, case) of the persons that are ours now, by person."""
    of_persons = among(session, col(models.Account.holder_id), persons)
    rows = session.connection().execute(
        select_columns(col(models.Account.holder_id), col(models.Case.account_id), col(models.Case.id))
        .join(models.Account, col(models.Account.id) == col(models.Case.account_id))
        .where(of_persons)
        .order_by(col(models.Case.account_id), col(models.Case.id))
        .with_for_update(of=models.Case, skip_locked=not wait)
    )
    got: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for holder_id, account_id, case_id in rows:
        got[holder_id].append((account_id, case_id))
    whole = set(got) if wait else _not_shared(session, persons, got)
    return {holder_id: got[holder_id] for holder_id in sorted(_counters(session, whole, wait=wait))}


def _not_shared(session: Session, persons: Collection[str], got: Mapping[str, Sequence[Any]]) -> set[str]:
    """The persons of whom every case is ours."""
    if session.get_bind().dialect.name == "sqlite":
        return set(got)
    counts = session.connection().execute(
        select_columns(col(models.Account.holder_id), func.count())
        .join(models.Case, col(models.Case.account_id) == col(models.Account.id))
        .where(among(session, col(models.Account.holder_id), persons))
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
        {"ids": array_of(sorted(holders))},
    )
    return {holder_id for holder_id, taken in rows if wait or taken}


def _kept(session: Session, earlier: Ahead | None, locked: Mapping[str, list[tuple[str, str]]]) -> dict[str, Person]:
    """Of the persons that are locked, what an earlier transaction knew and is still so."""
    if earlier is None or earlier.read_at is None:
        return {}
    known = {key: earlier.people[key] for key in locked if key in earlier.people}
    changed = changed_since(session, earlier.read_at, known) if known else set[str]()
    return {key: person for key, person in known.items() if key not in changed and person.cases == locked[key]}


def _leave(session: Session, kept: Iterable[Person]) -> None:
    """No other row stays in the session, where it would be taken for what the database has."""
    known = {id(row) for person in kept for row in person.rows()}
    for row in session.identity_map.values():
        if id(row) not in known:
            session.expunge(row)


def _read(session: Session, locked: Mapping[str, list[tuple[str, str]]], since: datetime) -> dict[str, Person]:
    """All about these persons but their open holds."""
    people = {key: Person(cases) for key, cases in locked.items()}
    if not people:
        return people
    _read_cases(session, people)
    persons = {account_id: person for person in people.values() for account_id in person.newest}
    newest = {case.id: person for person in people.values() for case, _ in person.newest.values()}
    # Only evidence and explanations need the verdict's text.
    steps = select(models.Step).options(defer(models.Step.verdict))  # pyright: ignore[reportArgumentType]
    of_cases = among(session, col(models.Step.case_id), newest)
    for step in session.exec(steps.where(of_cases).order_by(col(models.Step.id))):
        newest[step.case_id].steps[step.case_id].append(step)
    for approval in session.exec(select(models.Approval).where(among(session, col(models.Approval.case_id), newest))):
        newest[approval.case_id].approvals[approval.case_id].append(approval)
    for row in session.exec(select(models.LifeEvent).where(among(session, col(models.LifeEvent.account_id), persons))):
        persons[row.account_id].life[row.account_id].append(to_event(row))
    given = among(session, col(models.Consent.account_id), persons)
    for consent in session.exec(select(models.Consent).where(given, col(models.Consent.withdrawn_at).is_(None))):
        persons[consent.account_id].consents[consent.account_id].append(consent)
    older = {case_id: person for person in people.values() for _, case_id in person.cases if case_id not in newest}
    _read_contacts(session, people, older, since)
    return people


def _read_cases(session: Session, people: Mapping[str, Person]) -> None:
    ids = [case_id for person in people.values() for _, case_id in person.cases]
    rows = session.exec(
        select(models.Case, models.Account)
        .join(models.Account, col(models.Account.id) == col(models.Case.account_id))
        .where(among(session, col(models.Case.id), ids))
        .order_by(col(models.Case.account_id), col(models.Case.id))
    )
    for case, account in rows:
        newest = people[account.holder_id].newest
        known = newest.get(account.id)
        if known is None or known[0].opened_at < case.opened_at:
            newest[account.id] = (case, account)


def _read_contacts(
    session: Session, people: Mapping[str, Person], older: Mapping[str, Person], since: datetime
) -> None:
    if older:
        earlier = _MADE.add_columns(col(models.Step.case_id)).where(
            among(session, col(models.Step.case_id), older), since <= _WHEN
        )
        for *made, case_id in session.connection().execute(earlier):
            older[case_id].earlier.append(Made(*made))
    by_hand = (
        select(models.Contact, models.Account.holder_id)
        .join(models.Account, col(models.Account.id) == col(models.Contact.account_id))
        .where(
            among(session, col(models.Account.holder_id), people),
            or_(col(models.Contact.at) >= since, col(models.Contact.notice) != ""),
        )
    )
    for contact, holder_id in session.exec(by_hand):
        people[holder_id].contacts.append(contact)


def _read_holds(session: Session, people: Mapping[str, Person]) -> None:
    """The persons' open holds. One may be set for their number by way of somebody else's account."""
    concerned: defaultdict[str, list[Person]] = defaultdict(list)
    for person in people.values():
        person.holds = []
        for number in {number for _, account in person.newest.values() for number in account.phones}:
            concerned[number].append(person)
    of_persons = among(session, col(models.Hold.holder_id), people)
    of_numbers = among(session, col(models.Hold.number), concerned)
    found = select(models.Hold).where(or_(of_persons, of_numbers), col(models.Hold.released_at).is_(None))
    for hold in session.exec(found.order_by(col(models.Hold.id))):
        mine = [people[hold.holder_id]] if hold.holder_id in people else []
        for person in (*mine, *(each for each in concerned.get(hold.number, ()) if each not in mine)):
            person.holds.append(hold)


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
    ahead = whole_of(session)
    return ahead is None or ahead.holder_of.get(account_id, "") not in ahead.people or reference in ahead.reported
