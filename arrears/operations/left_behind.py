"""Intents left open in a case that has closed, after another case of the account was opened.

Whoever advances an account looks at its newest case. What an earlier one still has under way is settled here, so that
it neither stays open for ever nor keeps another account waiting that is told about in it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from typing import Final

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

import models
from arrears.channels.effect import Intent
from arrears.engine.vocabulary import ChannelName, StepStatus
from arrears.ledger.cases import lock_person
from arrears.ledger.database import LedgerAway, LedgerBusy
from arrears.ledger.owner import is_free
from arrears.operations.moves import claim, intent_of
from arrears.operations.perform import reconcile
from arrears.operations.services import Services

logger = logging.getLogger(__name__)

_TRIES: Final = 3
_LOOKS_AGAIN: Final = timedelta(hours=1)
_LATER = aliased(models.Case)
IN_AN_EARLIER_CASE = (
    select(_LATER.id)
    .where(col(_LATER.account_id) == col(models.Case.account_id), col(_LATER.opened_at) > col(models.Case.opened_at))
    .exists()
)
_LEFT = (
    select(models.Step)
    .join(models.Case, col(models.Case.id) == col(models.Step.case_id))
    .where(col(models.Step.status) == StepStatus.INTENDED, col(models.Step.carried_by) == "", IN_AN_EARLIER_CASE)
    .order_by(col(models.Step.id))
)


def settle_what_was_left(services: Services, *, who: str) -> int:
    """Look up each that nobody can be carrying out any more, and commit what is found; how many were looked up.

    One that fails keeps no other waiting: it is looked up again in an hour. When several in a row cannot be looked up,
    the provider is left alone until the next sweep.
    """
    with services.ledger.read() as session:
        left = [step.reference for step in session.exec(_LEFT) if _is_free(services, step)]
    looked_up = in_a_row = 0
    for reference in left:
        try:
            taken = _take(services, reference)
            if taken is None:
                continue
            intent, channel = taken
            looked_up += 1
            in_a_row = in_a_row + 1 if reconcile(services, intent, channel, who=who) is StepStatus.INTENDED else 0
        except LedgerAway:
            raise
        except Exception as error:
            logger.error("the intent %s of an earlier case could not be settled: %s", reference, type(error).__name__)
            _leave(services, reference)
            in_a_row += 1
        if in_a_row == _TRIES:
            break
    return looked_up


def _leave(services: Services, reference: str) -> None:
    with suppress(LedgerBusy), services.ledger.write() as session:
        step = _read(session, reference)
        if step.status == StepStatus.INTENDED:
            step.lease_until = services.clock.wall() + _LOOKS_AGAIN
            session.add(step)


def _take(services: Services, reference: str) -> tuple[Intent, ChannelName] | None:
    with services.ledger.write() as session:
        step = _read(session, reference)
        lock_person(session, step.account_id)
        session.refresh(step)
        if step.status != StepStatus.INTENDED or not _is_free(services, step):
            return None
        just_taken = bool(step.owner)
        claim(services, step, services.clock.wall())
        session.add(step)
        return intent_of(step, just_taken=just_taken), ChannelName(step.channel)


def _read(session: Session, reference: str) -> models.Step:
    return session.exec(select(models.Step).where(models.Step.reference == reference)).one()


def _is_free(services: Services, step: models.Step) -> bool:
    return is_free(step.owner, step.lease_until, services.clock.wall())
