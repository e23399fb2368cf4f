"""Work for people: what the holder says or asks for that no rule can answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlmodel import Session, col, or_, select

import models
from arrears.engine.life.events import AddressFound, HoldSet, LifeEvent, MailReturned
from arrears.engine.vocabulary import ReturnReason
from arrears.ledger.cases import address_of
from arrears.ledger.events import log_event
from arrears.operations.services import Services
from arrears.policies.hold_kinds import HoldKind


class Work(StrEnum):
    """Why a person must see to it."""

    REPLY = "reply"
    SAYS_PAID = "says_paid"
    CALLBACK = "callback"
    PROMISE = "promise"
    DISPUTE = "dispute"
    COMPLAINT = "complaint"
    HARDSHIP = "hardship"
    VULNERABLE = "vulnerable"
    LANGUAGE = "language"
    PLACEMENT = "placement"
    REFERRAL = "referral"
    TEXTS = "texts"
    ADDRESS = "address"
    LETTERS = "letters"
    DOCUMENTS = "documents"
    LIMITATION = "limitation"
    PARTNER_FILE = "partner_file"
    NO_AGENCY = "no_agency"


class WorkRefused(Exception):
    """Nothing was changed; the message says why."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What was seen to. `new` is False when it was before."""

    account_id: str | None
    kind: str
    new: bool


def open_item(
    session: Session,
    account_id: str | None,
    kind: Work,
    *,
    key: str,
    note: str = "",
    at: datetime,
    due_at: datetime | None = None,
) -> None:
    """Put it on the list, once by `kind` and `key`, in the caller's transaction. `note` may be the holder's words."""
    name = f"{kind}/{key}"
    if session.exec(select(models.WorkItem.id).where(models.WorkItem.key == name)).first() is None:
        session.add(models.WorkItem(key=name, account_id=account_id, kind=kind, note=note, at=at, due_at=due_at))


# Holds that a person must look into, whoever set them.
_ROUTED: Mapping[str, Work] = {
    HoldKind.DISPUTE_OPEN: Work.DISPUTE,
    HoldKind.COMPLAINT_OPEN: Work.COMPLAINT,
    HoldKind.HARDSHIP: Work.HARDSHIP,
    HoldKind.VULNERABLE: Work.VULNERABLE,
    HoldKind.MENTAL_HEALTH_CRISIS: Work.VULNERABLE,
}


def route(session: Session, row: models.LifeEvent, event: LifeEvent) -> None:
    """Put what needs a person's eyes on the list, and take off what no longer does, in the caller's transaction."""
    if isinstance(event, HoldSet) and event.kind in _ROUTED:
        key = f"{row.source}:{row.external_id}"
        open_item(session, row.account_id, _ROUTED[event.kind], key=key, note=event.evidence, at=row.received_at)
    account = session.get_one(models.Account, row.account_id)
    match event:
        case MailReturned(address=address, why=why) if _is_lost(address, why, account):
            note = f"letter {event.letter} came back ({why}): find the address, `arrears address {account.id}`"
            open_item(session, account.id, Work.ADDRESS, key=event.letter, note=note, at=row.received_at)
        case AddressFound() if address_of(account) == event.address:
            _found(session, account, by=row.recorded_by, at=row.received_at)
        case _:
            pass


def _is_lost(address: str, why: str, account: models.Account) -> bool:
    """Whether somebody must look for the holder; a death is looked into whatever address is known by now."""
    reason = ReturnReason(why)
    return reason is ReturnReason.DECEASED or (reason.spoils_the_address and address == address_of(account))


def _found(session: Session, account: models.Account, *, by: str, at: datetime) -> None:
    """The search for an address is over."""
    searches = select(models.WorkItem).where(
        models.WorkItem.account_id == account.id,
        models.WorkItem.kind == Work.ADDRESS,
        col(models.WorkItem.done_at).is_(None),
    )
    for item in session.exec(searches):
        item.done_at, item.done_by, item.answer = at, by, "an address is known"
        session.add(item)


def finish(services: Services, item_id: int, *, by: str, answer: str, at: datetime) -> Finished:
    """A person has seen to it; `answer` says what came of it. Raises WorkRefused."""
    if not by.strip():
        raise WorkRefused("the name of the person who saw to it is needed")
    with services.ledger.write() as session:
        item = session.get(models.WorkItem, item_id, with_for_update=True)
        if item is None:
            raise WorkRefused(f"there is no work item {item_id}")
        if item.done_at is not None:
            return Finished(item.account_id, item.kind, new=False)
        item.done_at, item.done_by, item.answer = at, by, answer
        session.add(item)
        data: dict[str, object] = {"item": item_id, "kind": item.kind}
        wall = services.clock.wall()
        log_event(session, "seen to", who=by, at=at, wall=wall, account_id=item.account_id, data=data)
        return Finished(item.account_id, item.kind, new=True)


def open_items(session: Session, *, now: datetime, limit: int) -> list[models.WorkItem]:
    """What is to be seen to at `now`, the oldest first."""
    due = or_(col(models.WorkItem.due_at).is_(None), col(models.WorkItem.due_at) <= now)
    return list(
        session.exec(
            select(models.WorkItem)
            .where(col(models.WorkItem.done_at).is_(None), due)
            .order_by(col(models.WorkItem.id))
            .limit(limit)
        ).all()
    )
