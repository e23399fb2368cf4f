"""Mail that came back, and where the holder gets it instead."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

import models
from arrears.engine.life.events import AddressFound, MailReturned, one_line
from arrears.engine.vocabulary import ReturnReason
from arrears.ledger.cases import UnknownAccount, address_of
from arrears.ledger.life import key_of
from arrears.operations.inbox import EventRefused, take
from arrears.operations.pay import Posted, post
from arrears.operations.services import Services, instant

# The registers of what the post brought back, by letter, and of addresses that were found.
RETURNS, ADDRESSES = "returns", "addresses"
# A letter's day counts where its holder is, a return's where the post is.
_ZONES_APART = timedelta(days=1)


def returned(
    services: Services,
    letter: str,
    reason: ReturnReason,
    *,
    account_id: str = "",
    at: datetime,
    source: str,
    who: str,
) -> Posted:
    """The post brought `letter` (its reference) back at `at`; once by the letter, whichever way it is told.

    Unless it was refused or not collected, no letter goes to that address any more, about any of the holder's accounts
    that have it, until another is known or this one is found good. Raises EventRefused for a letter that is not known,
    is not that account's, or had not been sent by then; UnknownAccount.
    """
    with services.ledger.write() as session:
        if account_id and session.get(models.Account, account_id) is None:
            raise UnknownAccount(account_id)
        sent = session.get(models.Letter, letter)
        if sent is None or (account_id and sent.account_id != account_id):
            whose = f"account {account_id} has" if account_id else "there is"
            raise EventRefused(f"{whose} no letter with the reference {letter!r}")
        if at < sent.at - _ZONES_APART:
            raise EventRefused(f"letter {letter} was sent on {sent.at.date()}, after it is said to have come back")
        address = _sent_to(session, letter)
        received_at = max(at, instant(services, None))
        told: dict[str, Any] = {"received_at": received_at, "via": source, "who": who}
        event = MailReturned(key=key_of(RETURNS, letter), at=at, letter=letter, address=address, why=str(reason))
        taken = take(services, session, sent.account_id, event, **told)
        for other in _living_there(session, sent.account_id, address):
            event = MailReturned(
                key=key_of(RETURNS, f"{letter}/{other}"), at=at, letter=letter, address=address, why=str(reason)
            )
            take(services, session, other, event, **told)
    return Posted(sent.account_id, letter, taken.new, taken.closed)


def _sent_to(session: Session, letter: str) -> str:
    step = session.exec(select(models.Step).where(models.Step.reference == letter)).one()
    address = step.payload["context"]["address"]
    return one_line(*(address[part] for part in ("street", "city", "region", "postal_code", "country")))


def _living_there(session: Session, account_id: str, address: str) -> list[str]:
    """The holder's other accounts for which that address is known, in order."""
    holder = select(models.Account.holder_id).where(models.Account.id == account_id)
    accounts = session.exec(
        select(models.Account).where(col(models.Account.holder_id).in_(holder)).order_by(col(models.Account.id))
    )
    return [other.id for other in accounts if other.id != account_id and address_of(other) == address]


def found(
    services: Services,
    account_id: str,
    *,
    street: str,
    city: str,
    region: str,
    postal_code: str,
    country: str,
    why: str,
    reference: str,
    at: datetime,
    source: str,
    who: str,
) -> Posted:
    """The holder gets mail at this address from `at` on; the latest of several counts. Letters that waited go there.

    The law of the new place and its time zone count from now on, beside those of the old. Raises UnknownAccount and
    EventRefused.
    """
    event = AddressFound(
        key=key_of(ADDRESSES, reference),
        at=at,
        street=street,
        city=city,
        region=region.upper(),
        postal_code=postal_code,
        country=country,
        why=why,
    )
    return post(services, account_id, event, source=source, who=who)
