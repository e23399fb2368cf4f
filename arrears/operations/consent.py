"""Consent given and taken back, and contacts that no rung made."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, select

import models
from arrears.engine.contact.facts import ContactChannel
from arrears.ledger.cases import CaseFile, lock_person, read_case_file
from arrears.ledger.events import log_event
from arrears.operations.hold import lift, place, reconsider
from arrears.operations.services import Services
from arrears.operations.wake import make_due
from arrears.policies.hold_kinds import HoldKind

OPT_OUT = HoldKind.CHANNEL_OPTOUT


class ContactRefused(Exception):
    """Nothing was recorded; the message says why."""


def channel_named(word: str) -> ContactChannel:
    """The channel of this name. Raises ContactRefused with the list of them."""
    reaching = [c for c in ContactChannel if c not in (ContactChannel.PLACEMENT, ContactChannel.REFERRAL)]
    if word not in reaching:
        raise ContactRefused(f"channel {word!r} is not known; expected one of {', '.join(reaching)}")
    return ContactChannel(word)


def give_consent(
    services: Services, account_id: str, channel: ContactChannel, *, at: datetime, evidence: str, who: str
) -> bool:
    """Record the holder's consent to `channel` for this account, which ends the person's opt-out from it.

    False when it is on file already, as of the same instant. Raises UnknownAccount.
    """
    with services.ledger.write() as session:
        others = lock_person(session, account_id)
        file = read_case_file(session, account_id, lock=True)
        new = allow(session, file, channel, at=at, evidence=evidence, who=who)
        if new:
            data: dict[str, object] = {"channel": str(channel)}
            wall = services.clock.wall()
            log_event(session, "consent", who=who, at=at, wall=wall, case=file.case, why=evidence, data=data)
            reconsider(services, session, file, others, at=at, who=who)
        return new


def revoke(
    services: Services, account_id: str, channels: Iterable[ContactChannel], *, at: datetime, how: str, who: str
) -> list[ContactChannel]:
    """Take consent back, by whatever reasonable means the holder said so; the channels that this closes now.

    It is the person who said so, for all their accounts. `how` says by which means and in which words.
    Raises UnknownAccount.
    """
    with services.ledger.write() as session:
        others = lock_person(session, account_id)
        file = read_case_file(session, account_id, lock=True)
        closed = forbid(session, file, channels, at=at, how=how, who=who)
        if closed:
            data: dict[str, object] = {"channels": [str(channel) for channel in closed]}
            wall = services.clock.wall()
            log_event(session, "opt-out", who=who, at=at, wall=wall, case=file.case, why=how, data=data)
            reconsider(services, session, file, others, at=at, who=who)
        return closed


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
    who: str,
) -> None:
    """Put a contact on record that no rung made: the caps count it, a conversation starts its cooldown.

    `notice` names the statutory notice that it gave. Raises UnknownAccount and ContactRefused.
    """
    kinds = sorted({rule.notice for pack in services.rulebook.packs.values() for rule in pack.notices})
    if notice and notice not in kinds:
        raise ContactRefused(f"notice {notice!r} is not known; expected one of {', '.join(kinds)}")
    with services.ledger.write() as session:
        file = read_case_file(session, account_id, lock=True)
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
            )
        )
        data: dict[str, object] = {"channel": str(channel), "direction": direction}
        data |= {name: value for name, value in (("outcome", outcome), ("notice", notice)) if value}
        log_event(session, "contact", who=who, at=at, wall=services.clock.wall(), case=file.case, data=data)
        make_due(session, file.case, at=at)


def allow(session: Session, file: CaseFile, channel: ContactChannel, *, at: datetime, evidence: str, who: str) -> bool:
    """`give_consent` inside the caller's transaction."""
    lift(session, file, opt_outs(file, channel), at=at, who=who)
    account_id = file.account.id
    on_file = session.exec(_in_force(file.account.holder_id, [channel])).all()
    if any((consent.account_id, consent.at) == (account_id, at) for consent in on_file):
        return False
    session.add(models.Consent(account_id=account_id, channel=channel, at=at, evidence=evidence, recorded_by=who))
    return True


def opt_outs(file: CaseFile, channel: ContactChannel) -> list[models.Hold]:
    """The person's and the number's open opt-outs from this channel."""
    return [h for h in (*file.holds, *file.holds_elsewhere) if h.kind == OPT_OUT and h.channel == channel]


def forbid(
    session: Session,
    file: CaseFile,
    channels: Iterable[ContactChannel],
    *,
    at: datetime,
    how: str,
    who: str,
    number: str = "",
) -> list[ContactChannel]:
    """`revoke` inside the caller's transaction; `number`: the one it was said from."""
    wanted = sorted(set(channels))
    for consent in session.exec(_in_force(file.account.holder_id, wanted)):
        consent.withdrawn_at, consent.withdrawn_how = at, how
        session.add(consent)
    closed: list[ContactChannel] = []
    for channel in wanted:
        said_before = (*file.holds, *file.holds_elsewhere)
        if any(hold.kind == OPT_OUT and hold.channel in (channel, None) for hold in said_before):
            continue
        place(session, file, OPT_OUT, channel, since=at, until=None, who=who, number=number)
        closed.append(channel)
    return closed


def _in_force(holder_id: str, channels: list[ContactChannel]):
    """The person's consents, for whichever account they gave them."""
    return (
        select(models.Consent)
        .join(models.Account, col(models.Account.id) == col(models.Consent.account_id))
        .where(
            models.Account.holder_id == holder_id,
            col(models.Consent.channel).in_(channels),
            col(models.Consent.withdrawn_at).is_(None),
        )
    )
