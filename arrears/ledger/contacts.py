"""What the ledger remembers of contacts with a person, over all their accounts."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import String, bindparam, func, or_, text
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

import models
from arrears.engine.contact.facts import Consent, ContactChannel, NoticeGiven, PastContact, contact_channel
from arrears.engine.several import Elsewhere
from arrears.engine.vocabulary import ChannelName, Party, StepStatus
from arrears.ledger.ahead import Made, Person, person_of
from models.types import UTCDateTime

# An intent counts before its outcome is known: whoever would dial again must have paid for it.
_COUNTED = (StepStatus.INTENDED, StepStatus.DONE, StepStatus.UNKNOWN)
# What was sent and did not arrive was a contact attempted all the same.
_SENT = or_(
    col(models.Step.status).in_(_COUNTED),
    (col(models.Step.status) == StepStatus.FAILED) & (col(models.Step.proof) != ""),
)
_REACHING = tuple(channel for channel in ChannelName if channel.reaches_the_holder)
_HOLDER = bindparam("holder_id", type_=String)
_ACCOUNT = bindparam("account_id", type_=String)
_SINCE = bindparam("since", type_=UTCDateTime)
_WHEN = func.coalesce(col(models.Step.disposed_at), col(models.Step.at), type_=UTCDateTime)
_STEPS = (
    select_columns(
        col(models.Step.channel),
        _WHEN.label("at"),
        col(models.Step.disposition),
        col(models.Step.number),
        col(models.Step.account_id),
        col(models.Step.actor),
        col(models.Step.carried_by),
    )
    .join(models.Account, col(models.Account.id) == col(models.Step.account_id))
    .where(
        col(models.Account.holder_id) == _HOLDER,
        _SENT,
        col(models.Step.channel).in_(_REACHING),
        _WHEN >= _SINCE,
    )
)
_OTHERS = (
    select(models.Contact)
    .join(models.Account, col(models.Account.id) == col(models.Contact.account_id))
    .where(col(models.Account.holder_id) == _HOLDER, col(models.Contact.at) >= _SINCE)
)
_STEPS_ELSEWHERE = (
    select_columns(_WHEN.label("at"), col(models.Step.account_id))
    .join(models.Account, col(models.Account.id) == col(models.Step.account_id))
    .where(
        col(models.Account.holder_id) == _HOLDER,
        col(models.Step.account_id) != _ACCOUNT,
        _SENT,
        col(models.Step.channel).in_(_REACHING),
        _WHEN > _SINCE,
    )
    # Of one message, the account that it went out for.
    .order_by(_WHEN.desc(), col(models.Step.carried_by), col(models.Step.id))
    .limit(1)
)
_BY_HAND_ELSEWHERE = (
    select_columns(col(models.Contact.at), col(models.Contact.account_id))
    .join(models.Account, col(models.Account.id) == col(models.Contact.account_id))
    .where(
        col(models.Account.holder_id) == _HOLDER,
        col(models.Contact.account_id) != _ACCOUNT,
        col(models.Contact.direction) == "outbound",
        col(models.Contact.at) > _SINCE,
    )
    .order_by(col(models.Contact.at).desc())
    .limit(1)
)
_CONSENTS = select(models.Consent).where(
    col(models.Consent.account_id) == bindparam("account_id", type_=String), col(models.Consent.withdrawn_at).is_(None)
)
_NOTICES = select(models.Contact.notice, models.Contact.at).where(
    col(models.Contact.account_id) == bindparam("account_id", type_=String),
    col(models.Contact.notice) != "",
    col(models.Contact.at) >= _SINCE,
)


def lock_holder(session: Session, holder_id: str) -> None:
    """Nobody else counts this person's contacts until the transaction ends.

    Taken after the case's own lock and never before it, so that two accounts of one person cannot wait
    for each other. SQLite has one writer at a time and needs none.
    """
    if session.get_bind().dialect.name == "postgresql" and person_of(session, holder_id=holder_id) is None:
        session.connection().execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 0))"), {"id": holder_id})


def read_contacts(session: Session, holder_id: str, *, now: datetime, days: int) -> tuple[PastContact, ...]:
    """Contacts with the person in the last `days` days, about any of their accounts, oldest first.

    Reads what is in the database: intents of the same transaction that are not flushed yet do not show.
    """
    since = now - timedelta(days=days)
    if person := person_of(session, holder_id=holder_id):
        return _contacts_ahead(person, since)
    of_holder = {"holder_id": holder_id, "since": since}
    steps = session.connection().execute(_STEPS, of_holder)
    found = [
        PastContact(
            channel=contact_channel(ChannelName(channel)),
            at=at,
            outcome=disposition or "",
            number=number,
            debt=account_id,
            actor=Party(actor) if actor else None,
            carried=bool(carried_by),
        )
        for channel, at, disposition, number, account_id, actor, carried_by in steps
    ]
    found.extend(_by_hand(row) for row in session.exec(_OTHERS, params=of_holder))
    return tuple(sorted(found, key=lambda contact: contact.at))


def _by_hand(row: models.Contact) -> PastContact:
    return PastContact(
        channel=ContactChannel(row.channel),
        at=row.at,
        outcome=row.outcome,
        outbound=row.direction == "outbound",
        number=row.number,
        debt=row.account_id,
        actor=Party(row.actor) if row.actor else None,
    )


def _counts(made: Made) -> bool:
    """`_SENT` and `_REACHING`, of a step in memory."""
    sent = made.status in _COUNTED or (made.status == StepStatus.FAILED and made.proof != "")
    return sent and made.channel in _REACHING


def _contacts_ahead(person: Person, since: datetime) -> tuple[PastContact, ...]:
    found = [
        PastContact(
            channel=contact_channel(ChannelName(made.channel)),
            at=made.at,
            outcome=made.disposition or "",
            number=made.number,
            debt=made.account_id,
            actor=Party(made.actor) if made.actor else None,
            carried=bool(made.carried_by),
        )
        for made in person.made()
        if made.at is not None and made.at >= since and _counts(made)
    ]
    found.extend(_by_hand(row) for row in person.contacts if row.at >= since)
    return tuple(sorted(found, key=lambda contact: contact.at))


def last_elsewhere(session: Session, holder_id: str, account_id: str, *, since: datetime) -> Elsewhere | None:
    """The last contact that was made with the person about any other account of theirs, if it came after `since`."""
    if person := person_of(session, holder_id=holder_id):
        return _elsewhere_ahead(person, account_id, since)
    asked = {"holder_id": holder_id, "account_id": account_id, "since": since}
    steps = session.connection().execute(_STEPS_ELSEWHERE, asked).first()
    by_hand = session.connection().execute(_BY_HAND_ELSEWHERE, asked).first()
    found = [Elsewhere(at, account) for at, account in (row for row in (steps, by_hand) if row is not None)]
    return max(found, key=lambda contact: contact.at, default=None)


def _elsewhere_ahead(person: Person, account_id: str, since: datetime) -> Elsewhere | None:
    made = [
        (made.at, not made.carried_by, made.account_id)
        for made in person.made()
        if made.account_id != account_id and made.at is not None and made.at > since and _counts(made)
    ]
    by_hand = [
        (row.at, True, row.account_id)
        for row in person.contacts
        if row.account_id != account_id and row.direction == "outbound" and row.at > since
    ]
    # Of one message, the account that it went out for.
    last = max((*made, *by_hand), key=lambda contact: contact[:2], default=None)
    return Elsewhere(last[0], last[2]) if last is not None else None


def read_consents(session: Session, account_id: str) -> tuple[Consent, ...]:
    """Consents in force for the account."""
    person = person_of(session, account_id=account_id)
    rows = person.consents[account_id] if person else session.exec(_CONSENTS, params={"account_id": account_id})
    return tuple(Consent(ContactChannel(row.channel), row.at) for row in rows)


def read_notices(session: Session, account_id: str, *, since: datetime) -> tuple[NoticeGiven, ...]:
    """Statutory notices recorded as given outside the ladder, from `since` on."""
    if person := person_of(session, account_id=account_id):
        mine = (row for row in person.contacts if row.account_id == account_id and row.notice and row.at >= since)
        return tuple(NoticeGiven(row.notice, row.at) for row in mine)
    rows = session.exec(_NOTICES, params={"account_id": account_id, "since": since})
    return tuple(NoticeGiven(kind, at) for kind, at in rows)
