"""What holders see and do on their own page, at any hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import select

import models
from arrears.engine.contact.facts import ContactChannel
from arrears.engine.delinquency import local_date
from arrears.engine.life.arrangements import Kept
from arrears.engine.money import Money
from arrears.engine.vocabulary import CaseStatus
from arrears.ledger.cases import CaseFile, read_case_file
from arrears.operations.arrange import promise
from arrears.operations.consent import revoke, still_open
from arrears.operations.hold import hold
from arrears.operations.services import Services, instant
from arrears.operations.standstill import arranged, terms_of
from arrears.operations.work import Work, open_item
from arrears.policies.hold_kinds import HoldKind

_SOURCE = "holder's page"
_WHO = "holder"
# What a holder may close by themselves; letters that the law prescribes go out all the same.
OPTIONAL_CHANNELS = (ContactChannel.SMS, ContactChannel.CALL, ContactChannel.EMAIL)
# Time is given at once when it is asked for, but not again and again: a person answers the second time.
_TIME_AGAIN_AFTER = timedelta(days=180)


class UnknownLink(LookupError):
    """No text of ours bears this reference."""


@dataclass(frozen=True, slots=True)
class HolderView:
    """What the page shows: no name, no number, no address.

    `promised`: the open promise or plan, its amount and day. `paused`: nothing goes out for now.
    `latest`: the last day that may be promised.
    """

    creditor: str
    creditor_phone: str
    locale: str
    closed: bool
    amount_due: Money
    balance: Money
    due_date: date
    promised: tuple[Money, date] | None
    disputed: bool
    paused: bool
    closed_channels: tuple[ContactChannel, ...]
    today: date
    latest: date
    payment_url: str


def look(services: Services, reference: str) -> HolderView:
    """The account that the text with this reference was about. Raises UnknownLink."""
    now = instant(services, None)
    account_id = account_behind(services, reference)
    with services.ledger.read() as session:
        file = read_case_file(session, account_id)
        still = still_open(session, account_id, OPTIONAL_CHANNELS, lock=False)
        return _view(services, file, [c for c in OPTIONAL_CHANNELS if c not in still], now)


def account_behind(services: Services, reference: str) -> str:
    """The account that the text with this reference was about. Raises UnknownLink."""
    with services.ledger.read() as session:
        found = session.exec(select(models.Step.account_id).where(models.Step.reference == reference)).first()
    if found is None:
        raise UnknownLink(reference)
    return found


def promise_on_page(services: Services, reference: str, amount: str, due_on: date, *, nonce: str) -> None:
    """The holder promises to pay. Raises UnknownLink, MoneyError and EventRefused."""
    promise(
        services,
        account_behind(services, reference),
        amount,
        due_on,
        reference=f"page/{reference}/{nonce}",
        at=instant(services, None),
        source=_SOURCE,
        who=_WHO,
    )


def dispute(services: Services, reference: str, words: str, *, nonce: str) -> None:
    """The holder says that it is not owed: nothing goes out about this debt until a person has looked.

    Raises UnknownLink and EventRefused.
    """
    _stop_for(services, reference, HoldKind.DISPUTE_OPEN, words, nonce)


def ask_for_time(services: Services, reference: str, words: str, *, nonce: str) -> None:
    """The holder cannot pay now: a pause at once where none was given lately, and a person looks in any case.

    Raises UnknownLink and EventRefused.
    """
    account_id = account_behind(services, reference)
    since = instant(services, None) - _TIME_AGAIN_AFTER
    with services.ledger.read() as session:
        asked = session.exec(
            select(models.Hold).where(
                models.Hold.account_id == account_id,
                models.Hold.kind == HoldKind.HARDSHIP,
                models.Hold.since > since,
            )
        ).first()
    if asked is None:
        _stop_for(services, reference, HoldKind.HARDSHIP, words, nonce)
        return
    with services.ledger.write() as session:
        key, at = f"page/{reference}/{nonce}", instant(services, None)
        open_item(session, account_id, Work.HARDSHIP, key=key, note=words, at=at)


def opt_out(services: Services, reference: str, channels: list[ContactChannel], *, nonce: str) -> None:
    """The holder closes channels, for all their accounts. Raises UnknownLink and EventRefused."""
    revoke(
        services,
        account_behind(services, reference),
        channels,
        at=instant(services, None),
        how="on the holder's page",
        reference=f"page/{reference}/{nonce}",
        source=_SOURCE,
        who=_WHO,
    )


def _stop_for(services: Services, reference: str, kind: HoldKind, words: str, nonce: str) -> None:
    hold(
        services,
        account_behind(services, reference),
        kind,
        at=instant(services, None),
        until=None,
        channel=None,
        evidence=f"on the holder's page: {words}",
        reference=f"page/{reference}/{nonce}",
        source=_SOURCE,
        who=_WHO,
    )


def _view(services: Services, file: CaseFile, closed: list[ContactChannel], now: datetime) -> HolderView:
    account, case = file.account, file.case
    today = local_date(now, file.zone)
    open_ones = [each for each in arranged(services, file, now=now) if each.status is Kept.OPEN]
    return HolderView(
        creditor=account.creditor or services.settings.creditor,
        creditor_phone=services.settings.creditor_phone,
        locale=account.locale,
        closed=case.status == CaseStatus.CLOSED,
        amount_due=Money(account.amount_due, account.currency),
        balance=Money(account.balance, account.currency),
        due_date=case.due_date,
        promised=(Money(open_ones[-1].amount, account.currency), open_ones[-1].due_on) if open_ones else None,
        disputed=any(hold.kind == HoldKind.DISPUTE_OPEN for hold in file.holds),
        paused=case.status == CaseStatus.HELD,
        closed_channels=tuple(closed),
        today=today,
        latest=today + timedelta(days=terms_of(services, case).furthest_days),
        payment_url=services.settings.payment_url,
    )
