"""What the provider reports about texts, in any order, maybe before we know that it took them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

import models
from arrears.engine.vocabulary import StepStatus
from arrears.ledger.cases import file_of, lock_person
from arrears.ledger.events import log_event
from arrears.operations.services import Services, instant
from arrears.operations.told import told_after_all
from arrears.operations.undelivered import delivered_after_all, follow
from arrears.operations.wake import make_due, raise_stage

# How far a text or a call has come. A report that says less than is known comes late and changes nothing.
_RANK: Final = {
    **dict.fromkeys(("accepted", "scheduled", "queued", "initiated"), 0),
    **dict.fromkeys(("sending", "ringing"), 1),
    **dict.fromkeys(("sent", "in-progress"), 2),
    **dict.fromkeys(("undelivered", "failed", "canceled", "busy", "no-answer"), 3),
    **dict.fromkeys(("delivered", "completed"), 4),
    "read": 5,
}
_SENT: Final = 2
FAILED: Final = ("undelivered", "failed", "canceled")
DELIVERED: Final = ("delivered", "read")


def report(
    services: Services, reference: str, *, sid: str, status: str, error_code: str, who: str = "provider"
) -> str | None:
    """Keep the furthest status of the text with this reference, and do what follows; whose it is, if that is new.

    It proves that the provider took the text: an intent cut short is settled by it without a look-up, and what
    follows from its failure then follows when it is settled.
    """
    if status not in _RANK:
        return None
    wall, at = services.clock.wall(), instant(services, None)
    with services.ledger.write() as session:
        found = session.exec(select(models.Step.account_id).where(models.Step.reference == reference)).first()
        if found is None:
            return None
        lock_person(session, found)
        query = select(models.Step).where(models.Step.reference == reference).with_for_update()
        step = session.exec(query.execution_options(populate_existing=True)).one()
        known = session.get(models.Delivery, reference)
        data: dict[str, object] = {"reference": reference, "rung": step.rung}
        told: dict[str, Any] = {"who": who, "at": at, "wall": wall, "account_id": step.account_id}
        if known is not None and known.sid != sid:
            why = "the provider names two texts with one reference"
            log_event(session, "for a person", why=why, data=data, **told)
            return found
        if known is not None and _rank(known.status) >= _rank(status):
            return None
        note(services, session, step, sid=sid, status=status, error_code=error_code, wall=wall)
        data |= {"status": status} | ({"error_code": error_code} if error_code else {})
        log_event(session, "delivery", data=data, **told)
        gone_after_all(session, step, sid, who=who, at=at, wall=wall)
        heed(services, session, step, who=who, at=at, wall=wall)
        return found


def note(
    services: Services,
    session: Session,
    step: models.Step,
    *,
    sid: str,
    status: str,
    error_code: str,
    wall: datetime,
) -> None:
    """Keep what the provider says of a text, if it says more than is known, in the caller's transaction."""
    row = session.get(models.Delivery, step.reference)
    if row is not None and (row.sid != sid or _rank(row.status) >= _rank(status)):
        return
    if row is None:
        row = models.Delivery(reference=step.reference, sid=sid, status=status, at=wall, since=wall)
    row.status, row.error_code, row.at = status, error_code, wall
    ask_after = services.delivery.unfinished.ask_after
    row.ask_at = None if status in (*FAILED, *DELIVERED) else row.since + ask_after
    session.add(row)


def heed(services: Services, session: Session, step: models.Step, *, who: str, at: datetime, wall: datetime) -> None:
    """Let the case follow what is known of a text: once, and not before its own outcome is committed.

    The caller has locked the person.
    """
    known = session.get(models.Delivery, step.reference)
    if known is None:
        return
    if known.status in FAILED and step.status == StepStatus.DONE:
        follow(services, session, _file(session, step), step, code=known.error_code, who=who, at=at, wall=wall)
    elif known.status in DELIVERED and step.status == StepStatus.FAILED and step.proof:
        delivered_after_all(services, session, _file(session, step), step, who=who, at=at, wall=wall)


def gone_after_all(session: Session, step: models.Step, sid: str, *, who: str, at: datetime, wall: datetime) -> None:
    """A text that was taken for never sent turns out to have gone: its step is done, and counts as what was sent.

    Nothing if the step is under way, in which case whoever has it finds the same. The caller has locked the person.
    """
    never_sent = step.status in (StepStatus.PLANNED, StepStatus.SKIPPED) and not step.proof
    if not never_sent or step.intended_wall is None:
        return
    step.status, step.proof, step.at, step.reason, step.not_before = StepStatus.DONE, sid, at, "", None
    step.unreached, step.again_at, step.needs_person = False, None, False
    session.add(step)
    case = session.get_one(models.Case, step.case_id)
    raise_stage(case, step)
    data: dict[str, object] = {"rung": step.rung, "attempt": step.attempt, "reference": step.reference, "proof": sid}
    why = "it was taken for never sent, and had gone"
    log_event(session, "done", who=who, at=at, wall=wall, case=case, why=why, data=data)
    make_due(session, case, at=at)
    told_after_all(session, step, who=who, at=at, wall=wall)


def has_left(status: str) -> bool:
    """Whether a text of this status is no longer the provider's to keep. One new to us may be anywhere: it has."""
    return not 0 <= _rank(status) < _SENT


def _rank(status: str) -> int:
    """How far a text of this status has come; below all others when the provider says what we do not know."""
    return _RANK.get(status, -1)


def _file(session: Session, step: models.Step):
    session.flush()
    return file_of(
        session, session.get_one(models.Account, step.account_id), session.get_one(models.Case, step.case_id)
    )


def proof_of(session: Session, reference: str) -> str | None:
    """The provider's name for the text, if it has reported on it."""
    return session.exec(select(models.Delivery.sid).where(models.Delivery.reference == reference)).first()


def deliveries_of(session: Session, references: list[str]) -> dict[str, models.Delivery]:
    """What is known of these texts, by reference."""
    rows = session.exec(select(models.Delivery).where(col(models.Delivery.reference).in_(references)))
    return {row.reference: row for row in rows}
