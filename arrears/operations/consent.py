"""Consent given and taken back, and contacts that no rung made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

import models
from arrears.engine.contact.facts import ContactChannel
from arrears.engine.life.events import ConsentGiven, ConsentRevoked
from arrears.ledger.cases import holds_of, lock_person, read_case_file
from arrears.ledger.events import log_event
from arrears.ledger.life import key_of, unused_name
from arrears.operations.inbox import EventRefused, Taken, take
from arrears.operations.restrict import OPT_OUT
from arrears.operations.services import Services, instant
from arrears.operations.wake import make_due

# The registers of what is said about being contacted, and of contacts.
CONSENTS, CONTACTS = "consents", "contacts"


class ContactRefused(EventRefused):
    """Nothing was recorded; the message says why."""


def channel_named(word: str) -> ContactChannel:
    """The channel of this name. Raises ContactRefused with the list of them."""
    reaching = [c for c in ContactChannel if c not in (ContactChannel.PLACEMENT, ContactChannel.REFERRAL)]
    if word not in reaching:
        raise ContactRefused(f"channel {word!r} is not known; expected one of {', '.join(reaching)}")
    return ContactChannel(word)


@dataclass(frozen=True, slots=True)
class Revoked:
    """The channels that closed. `new` is False when it was known: nothing has changed."""

    closed: tuple[ContactChannel, ...]
    new: bool


def give_consent(
    services: Services,
    account_id: str,
    channel: ContactChannel,
    *,
    at: datetime,
    evidence: str,
    reference: str = "",
    source: str = "cli",
    who: str,
) -> bool:
    """Record the holder's consent to `channel` for this account, which ends the person's opt-out from it.

    False when it is on file already, as of the same instant. Raises UnknownAccount and EventRefused.
    """
    with services.ledger.write() as session:
        lock_person(session, account_id)
        on_file = session.exec(
            select(models.Consent).where(
                models.Consent.account_id == account_id,
                models.Consent.channel == channel,
                models.Consent.at == at,
                col(models.Consent.withdrawn_at).is_(None),
            )
        ).first()
        if on_file is not None and not reference:
            return False
        return allow(
            services,
            session,
            account_id,
            channel,
            at=at,
            received_at=max(at, instant(services, None)),
            evidence=evidence,
            reference=reference,
            source=source,
            who=who,
        ).new


def allow(
    services: Services,
    session: Session,
    account_id: str,
    channel: ContactChannel,
    *,
    at: datetime,
    received_at: datetime,
    evidence: str,
    reference: str,
    source: str,
    who: str,
) -> Taken:
    """`give_consent` inside the caller's transaction, whatever is on file."""
    name = reference or unused_name(session, account_id, f"{channel}/yes", at)
    return take(
        services,
        session,
        account_id,
        ConsentGiven(key=key_of(CONSENTS, name), at=at, channel=channel, evidence=evidence),
        received_at=received_at,
        via=source,
        who=who,
    )


def revoke(
    services: Services,
    account_id: str,
    channels: Iterable[ContactChannel],
    *,
    at: datetime,
    how: str,
    reference: str = "",
    source: str = "cli",
    who: str,
) -> Revoked:
    """Take consent back, by whatever reasonable means the holder said so.

    It is the person who said so, for all their accounts. `how` says by which means and in which words.
    Raises UnknownAccount and EventRefused.
    """
    with services.ledger.write() as session:
        wanted = sorted(set(channels))
        closes = still_open(session, account_id, wanted)
        new = bool(closes or reference or _anything_to_withdraw(session, account_id, wanted))
        if new:
            new = forbid(
                services,
                session,
                account_id,
                wanted,
                at=at,
                received_at=max(at, instant(services, None)),
                how=how,
                reference=reference,
                source=source,
                who=who,
            ).new
        return Revoked(tuple(closes) if new else (), new)


def still_open(
    session: Session, account_id: str, channels: Sequence[ContactChannel], *, lock: bool = True
) -> list[ContactChannel]:
    """Which of these channels the holder has not closed yet; with `lock`, the person is locked.

    Raises UnknownAccount.
    """
    own, elsewhere = holds_of(session, account_id, lock=lock)
    closed = {hold.channel for hold in (*own, *elsewhere) if hold.kind == OPT_OUT}
    return [channel for channel in channels if not closed & {channel, None}]


def forbid(
    services: Services,
    session: Session,
    account_id: str,
    channels: Sequence[ContactChannel],
    *,
    at: datetime,
    received_at: datetime,
    how: str,
    number: str = "",
    reference: str,
    source: str,
    who: str,
) -> Taken:
    """`revoke` inside the caller's transaction, whatever is closed; `number`: the one it was said from."""
    name = reference or unused_name(session, account_id, "no", at)
    event = ConsentRevoked(key=key_of(CONSENTS, name), at=at, channels=tuple(channels), how=how, number=number)
    return take(
        services,
        session,
        account_id,
        event,
        received_at=received_at,
        via=source,
        who=who,
    )


def _anything_to_withdraw(session: Session, account_id: str, channels: Sequence[ContactChannel]) -> bool:
    """Whether the person gave consent to one of these channels, for whichever account."""
    holder = select(models.Account.holder_id).where(models.Account.id == account_id)
    given = (
        select(models.Consent.id)
        .join(models.Account, col(models.Account.id) == col(models.Consent.account_id))
        .where(
            col(models.Account.holder_id).in_(holder),
            col(models.Consent.channel).in_(channels),
            col(models.Consent.withdrawn_at).is_(None),
        )
    )
    return session.exec(given.limit(1)).first() is not None


def record_contact(
    services: Services,
    account_id: str,
    channel: ContactChannel,
    *,
    inbound: bool,
    at: datetime,
    outcome: str = "",
    number: str = "",
    notice: str = "",
    note: str = "",
    reference: str = "",
    who: str,
) -> bool:
    """Put a contact on record that no rung made: the caps count it, a conversation starts its cooldown.

    `notice` names the statutory notice that it gave. False when `reference` is known: it was recorded before.
    Raises UnknownAccount and ContactRefused.
    """
    kinds = sorted({rule.notice for pack in services.rulebook.packs.values() for rule in pack.notices})
    if notice and notice not in kinds:
        raise ContactRefused(f"notice {notice!r} is not known; expected one of {', '.join(kinds)}")
    with services.ledger.write() as session:
        file = read_case_file(session, account_id, lock=True)
        if known_contact(session, reference, account_id, note):
            return False
        direction = "inbound" if inbound else "outbound"
        session.add(
            models.Contact(
                account_id=account_id,
                channel=channel,
                direction=direction,
                at=at,
                outcome=outcome,
                number=number,
                actor=file.actor,
                notice=notice,
                note=note,
                recorded_by=who,
                external_id=reference or None,
            )
        )
        data: dict[str, object] = {"channel": str(channel), "direction": direction}
        data |= {name: value for name, value in (("outcome", outcome), ("notice", notice)) if value}
        log_event(session, "contact", who=who, at=at, wall=services.clock.wall(), case=file.case, data=data)
        make_due(session, file.case, at=at)
        return True


def known_contact(session: Session, external_id: str, account_id: str, note: str) -> bool:
    """Whether this very contact is on record. ContactRefused when another one is, under the same name."""
    if not external_id:
        return False
    known = session.exec(select(models.Contact).where(models.Contact.external_id == external_id)).first()
    if known is not None and (known.account_id, known.note) != (account_id, note):
        raise ContactRefused(f"reference {external_id!r} was already used for another contact")
    return known is not None
