"""Promises and plans: what the holder agreed to, and what ends it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise

from arrears.engine.delinquency import local_date
from arrears.engine.life.arrangements import Arrangement, Kept
from arrears.engine.life.events import Instalment, Plan, Promise, Withdrawn
from arrears.engine.money import Money
from arrears.engine.vocabulary import CaseStatus
from arrears.ledger.cases import CaseFile, read_case_file
from arrears.ledger.life import key_of
from arrears.operations.inbox import EventRefused
from arrears.operations.pay import Posted, in_currency, post
from arrears.operations.services import Services
from arrears.operations.standstill import arranged, terms_of

ARRANGEMENTS = "arrangements"


class ArrangementRefused(EventRefused):
    """Nothing was agreed upon; the message says why."""


def promise(
    services: Services,
    account_id: str,
    amount: Money | str,
    due_on: date,
    *,
    reference: str,
    at: datetime,
    late: bool = False,
    source: str,
    who: str,
) -> Posted:
    """Record the holder's promise to pay `amount` by the end of `due_on`; nothing goes out until it is judged.

    It takes the place of one that is still open. A `late` one is taken as a fact, whatever has become of the
    case since. Raises UnknownAccount, MoneyError and EventRefused.
    """
    money = in_currency(services, account_id, amount, what="promise")
    _must_be_possible(services, account_id, [due_on], at, "promise", late=late)
    event = Promise(key=key_of(ARRANGEMENTS, reference), at=at, amount=money.amount, due_on=due_on)
    return post(services, account_id, event, source=source, who=who)


def plan(
    services: Services,
    account_id: str,
    instalments: Sequence[tuple[date, Money | str]],
    *,
    misses_allowed: int,
    reference: str,
    at: datetime,
    late: bool = False,
    source: str,
    who: str,
) -> Posted:
    """Record a plan of instalments, each by the end of its day. More misses than allowed breach it.

    `late` as in `promise`. Raises UnknownAccount, MoneyError and EventRefused.
    """
    if not instalments:
        raise ArrangementRefused("a plan needs at least one instalment")
    days = [day for day, _ in instalments]
    if any(later <= earlier for earlier, later in pairwise(days)):
        raise ArrangementRefused("the instalments of a plan must come one after another")
    if not 0 <= misses_allowed < len(days):
        raise ArrangementRefused("a plan must allow fewer misses than it has instalments, and none below zero")
    _must_be_possible(services, account_id, days[:1], at, "first instalment", late=late)
    parts = tuple(
        Instalment(due_on=day, amount=in_currency(services, account_id, amount, what="plan").amount)
        for day, amount in instalments
    )
    event = Plan(key=key_of(ARRANGEMENTS, reference), at=at, instalments=parts, misses_allowed=misses_allowed)
    return post(services, account_id, event, source=source, who=who)


def withdraw(
    services: Services,
    account_id: str,
    of: str,
    *,
    reference: str = "",
    at: datetime,
    late: bool = False,
    source: str,
    who: str,
) -> Posted:
    """End the open promise or plan with reference `of`: made in error, or by agreement; the ladder goes on.

    A `late` one may come before what it ends. Raises UnknownAccount and EventRefused.
    """
    standing = {} if late else {each.key: each for each in arrangements_of(services, account_id, at=at)}
    found = standing.get(key_of(ARRANGEMENTS, of))
    if not late and (found is None or found.status is not Kept.OPEN):
        is_what = f"is {found.status.replace('_', ' ')}" if found else "is not known"
        raise ArrangementRefused(f"arrangement {of!r} of account {account_id} {is_what}; only an open one can end")
    reference = reference or f"{of}/withdrawn"
    event = Withdrawn(key=key_of(ARRANGEMENTS, reference), at=at, of=key_of(ARRANGEMENTS, of))
    return post(services, account_id, event, source=source, who=who)


def arrangements_of(services: Services, account_id: str, *, at: datetime) -> tuple[Arrangement, ...]:
    """The account's promises and plans as they stand at `at`. Raises UnknownAccount."""
    with services.ledger.read() as session:
        return arranged(services, read_case_file(session, account_id), now=at)


def _must_be_possible(
    services: Services, account_id: str, days: Sequence[date], at: datetime, what: str, *, late: bool
) -> None:
    if late:
        return
    with services.ledger.read() as session:
        file = read_case_file(session, account_id)
    must_be_possible(services, file, days, at, what)


def must_be_possible(services: Services, file: CaseFile, days: Sequence[date], at: datetime, what: str) -> None:
    """ArrangementRefused when nothing can be agreed upon for these days: past, too far, or the case is closed."""
    account_id = file.account.id
    if file.case.status == CaseStatus.CLOSED:
        raise ArrangementRefused(f"the case of account {account_id} is closed: {file.case.outcome}")
    today, furthest = local_date(at, file.zone), terms_of(services, file.case).furthest_days
    for day in days:
        if day < today:
            raise ArrangementRefused(f"the {what} is for {day}, which is past")
        if day > today + timedelta(days=furthest):
            raise ArrangementRefused(
                f"the {what} is for {day}; the ladder takes none further away than {furthest} days"
            )
