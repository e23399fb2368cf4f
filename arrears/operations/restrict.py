"""Holds and consents as the holder's life makes them: the same rows whatever the order in which the facts came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from sqlmodel import Session, col, or_, select

import models
from arrears.engine.contact.facts import ContactChannel
from arrears.engine.life.events import ConsentGiven, ConsentRevoked, HoldReleased, HoldSet, LifeEvent
from arrears.policies.hold_kinds import HoldKind

OPT_OUT = HoldKind.CHANNEL_OPTOUT
# Said for a number as much as by a person: whoever else's accounts name the number.
_OF_THE_NUMBER = (OPT_OUT, HoldKind.TCPA_REVOCATION)
_TO_A_NUMBER = (ContactChannel.CALL, ContactChannel.CALL_AUTO, ContactChannel.SMS, ContactChannel.VOICEMAIL)

# When something was said: of one instant, what was told first came first.
_Moment = tuple[datetime, int]


def restrict(session: Session, account: models.Account, row: models.LifeEvent, event: LifeEvent) -> None:
    """Let holds and consents say what `event`, kept as `row`, means. The caller has locked the person.

    What ends a hold or a consent ends those that were set before it happened; what sets one looks for what has
    already been told to have ended it since.
    """
    match event:
        case HoldSet():
            _set(session, account, row, event.kind, event.channel, event)
        case HoldReleased(kind=kind):
            _end_holds(session, row, [col(models.Hold.account_id) == account.id, col(models.Hold.kind) == kind])
        case ConsentGiven(channel=channel):
            _end_opt_outs(session, account, row, channel)
            _consent(session, account, row, event)
        case ConsentRevoked(channels=channels, number=number):
            _withdraw(session, account, row, event)
            for channel in channels:
                _set(session, account, row, OPT_OUT, channel, HoldSet(key="", at=event.at, kind=OPT_OUT, number=number))
        case _:
            pass


def _set(
    session: Session, account: models.Account, row: models.LifeEvent, kind: str, channel: str | None, event: HoldSet
) -> None:
    number = event.number
    if kind in _OF_THE_NUMBER and (channel is None or channel in _TO_A_NUMBER):
        number = number or (account.phones[0] if account.phones else "")
    hold = models.Hold(
        account_id=account.id,
        holder_id=account.holder_id,
        number=number,
        event_id=row.id,
        kind=kind,
        channel=channel,
        since=event.at,
        until=event.until,
        set_by=row.recorded_by,
        evidence=event.evidence,
        review_on=event.review_on,
    )
    ends = _first_after(row, _releases(session, hold))
    if ends is not None:
        hold.released_at, hold.released_by = ends.happened_at, ends.recorded_by
    session.add(hold)


def _releases(session: Session, hold: models.Hold) -> Iterator[models.LifeEvent]:
    """What was told that ends holds of this kind."""
    told = models.LifeEvent
    for row in session.exec(select(told).where(told.account_id == hold.account_id, told.kind == "release")):
        if row.data["kind"] == hold.kind:
            yield row
    if hold.kind != OPT_OUT or hold.channel is None:
        return
    naming = select(models.AccountNumber.account_id).where(models.AccountNumber.number == hold.number)
    theirs = select(models.Account.id).where(
        or_(col(models.Account.holder_id) == hold.holder_id, col(models.Account.id).in_(naming))
    )
    for row in session.exec(select(told).where(col(told.account_id).in_(theirs), told.kind == "consent")):
        if row.data["channel"] == hold.channel:
            yield row


def _end_opt_outs(session: Session, account: models.Account, row: models.LifeEvent, channel: str) -> None:
    theirs = or_(
        col(models.Hold.holder_id) == account.holder_id,
        col(models.Hold.number).in_(account.phones) & (col(models.Hold.number) != ""),
    )
    _end_holds(session, row, [theirs, col(models.Hold.kind) == OPT_OUT, col(models.Hold.channel) == channel])


def _end_holds(session: Session, row: models.LifeEvent, which: list[object]) -> None:
    for hold in session.exec(select(models.Hold).where(*which)):  # pyright: ignore[reportArgumentType]
        if _before(hold.since, hold.event_id, row) and _sooner(row, hold.released_at):
            hold.released_at, hold.released_by = row.happened_at, row.recorded_by
            session.add(hold)


def _consent(session: Session, account: models.Account, row: models.LifeEvent, event: ConsentGiven) -> None:
    consent = models.Consent(
        account_id=account.id,
        event_id=row.id,
        channel=event.channel,
        at=event.at,
        evidence=event.evidence,
        recorded_by=row.recorded_by,
    )
    told = models.LifeEvent
    revoked = session.exec(
        select(told).where(col(told.account_id).in_(_accounts_of(account.holder_id)), told.kind == "revocation")
    )
    ends = _first_after(row, (other for other in revoked if event.channel in other.data["channels"]))
    if ends is not None:
        consent.withdrawn_at, consent.withdrawn_how = ends.happened_at, ends.data["how"]
    session.add(consent)


def _withdraw(session: Session, account: models.Account, row: models.LifeEvent, event: ConsentRevoked) -> None:
    consents = select(models.Consent).where(
        col(models.Consent.account_id).in_(_accounts_of(account.holder_id)),
        col(models.Consent.channel).in_(event.channels),
    )
    for consent in session.exec(consents):
        if _before(consent.at, consent.event_id, row) and _sooner(row, consent.withdrawn_at):
            consent.withdrawn_at, consent.withdrawn_how = event.at, event.how
            session.add(consent)


def _accounts_of(holder_id: str):
    return select(models.Account.id).where(models.Account.holder_id == holder_id)


def _moment(row: models.LifeEvent) -> _Moment:
    return row.happened_at, row.id or 0


def _before(since: datetime, event_id: int | None, row: models.LifeEvent) -> bool:
    return (since, event_id or 0) < _moment(row)


def _sooner(row: models.LifeEvent, known: datetime | None) -> bool:
    return known is None or row.happened_at < known


def _first_after(row: models.LifeEvent, others: Iterable[models.LifeEvent]) -> models.LifeEvent | None:
    return min((other for other in others if _moment(other) > _moment(row)), key=_moment, default=None)
