"""Requests from the provider: kept raw, each handled once; and whom a text is from."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from sqlalchemy import case as case_when
from sqlmodel import Session, col, select

import models
from arrears.engine.vocabulary import CaseStatus, ChannelName, StepStatus
from arrears.ledger.events import log_event
from arrears.operations.replies import Received, receive_text
from arrears.operations.services import Services, instant


class Replayed(Exception):
    """This very request was handled before."""


def keep(services: Services, path: str, fields: Mapping[str, str]) -> str:
    """Keep an authentic request as it came, before anything is done about it; its digest.

    One that was kept but not handled, because the process ended, may come again. Raises Replayed.
    """
    digest = sha256("\x00".join((path, *(f"{name}\x01{fields[name]}" for name in sorted(fields)))).encode()).hexdigest()
    with services.ledger.write() as session:
        known = session.get(models.WebhookRequest, digest)
        if known is not None and known.handled_at is not None:
            raise Replayed
        if known is None:
            wall = services.clock.wall()
            session.add(models.WebhookRequest(digest=digest, path=path, fields=dict(fields), at=wall))
    return digest


def handled(services: Services, digest: str) -> None:
    """What a kept request asked for is done."""
    with services.ledger.write() as session:
        row = session.get_one(models.WebhookRequest, digest)
        row.handled_at = services.clock.wall()
        session.add(row)


def hear(services: Services, *, sid: str, number: str, text: str) -> tuple[str, Received] | None:
    """Do what a text from `number` asks for, once by its `sid`; whose account it was taken for.

    None when no account names the number: the raw request is all there is.
    """
    with services.ledger.read() as session:
        account_id = _account_of(session, number)
    at = instant(services, None)
    if account_id is None:
        with services.ledger.write() as session:
            why = "a text from a number that no account names"
            log_event(session, "unknown number", who="provider", at=at, wall=services.clock.wall(), why=why)
        return None
    received = receive_text(
        services,
        account_id,
        text,
        number=number,
        at=at,
        reference=f"twilio:{sid}",
        source="twilio",
        who="holder",
    )
    return account_id, received


def _account_of(session: Session, number: str) -> str | None:
    """The account that was last texted there, else one that is past due, else any that names the number."""
    texted = session.exec(
        select(models.Step.account_id)
        .where(
            models.Step.number == number,
            col(models.Step.channel) == ChannelName.SMS,
            col(models.Step.status).in_((StepStatus.DONE, StepStatus.INTENDED, StepStatus.UNKNOWN)),
        )
        .order_by(col(models.Step.at).desc())
        .limit(1)
    ).first()
    if texted is not None:
        return texted
    is_open = case_when((col(models.Case.status) != CaseStatus.CLOSED, 0), else_=1)
    return session.exec(
        select(models.AccountNumber.account_id)
        .outerjoin(models.Case, col(models.Case.account_id) == col(models.AccountNumber.account_id))
        .where(models.AccountNumber.number == number)
        .order_by(is_open, col(models.AccountNumber.account_id))
        .limit(1)
    ).first()
