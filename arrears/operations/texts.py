"""Texts that nobody has reported the end of: the provider is asked, so that none stays queued for ever."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import col, select

import models
from arrears.channels.tracking import Fate, ProviderSilent, Tracked
from arrears.engine.vocabulary import ChannelName
from arrears.ledger.database import LedgerAway
from arrears.ledger.events import log_event
from arrears.operations.deliveries import DELIVERED, FAILED, has_left, report
from arrears.operations.services import Services

logger = logging.getLogger(__name__)

_TRIES: Final = 3


@dataclass(slots=True)
class Asked:
    """How many texts were asked about, and of how many that brought news; `silent`: what it last failed at."""

    asked: int = 0
    news: int = 0
    silent: str | None = None


def ask_what_became(services: Services, *, who: str, limit: int = 500) -> Asked:
    """Ask the provider about texts it has not reported the end of, by their SIDs, and let their cases follow.

    One that is still in the provider's own queue long after its time has failed: its case goes on without it. One
    that has left for the carrier by then is done: many carriers send no receipt. When the provider says nothing
    several times in a row it is left alone; one text that it cannot tell about does not keep the others waiting.
    """
    result = Asked()
    channel = services.channels[ChannelName.SMS]
    if not isinstance(channel, Tracked):
        return result
    wall = services.clock.wall()
    with services.ledger.read() as session:
        due = session.exec(
            select(models.Delivery)
            .where(col(models.Delivery.ask_at) <= wall)
            .order_by(col(models.Delivery.ask_at), col(models.Delivery.reference))
            .limit(limit)
        ).all()
    unanswered = 0
    for row in due:
        try:
            fate = channel.fate(row.sid)
        except ProviderSilent as error:
            result.silent = str(error)
            unanswered += 1
            if unanswered == _TRIES:
                break
            continue
        unanswered = 0
        result.asked += 1
        try:
            result.news += _learn(services, row, fate, who=who)
        except LedgerAway:
            raise
        except Exception as error:
            # Its case is locked, say: the next sweep asks again, and everybody else's goes on.
            logger.error("what became of text %s could not be kept: %s", row.reference, type(error).__name__)
    return result


def _learn(services: Services, row: models.Delivery, fate: Fate | None, *, who: str) -> bool:
    wall, policy = services.clock.wall(), services.delivery.unfinished
    if fate is None:
        _ask_again(services, row.reference, None, lost=True, who=who)
        return True
    status, code = fate.status, fate.error_code
    if status not in (*FAILED, *DELIVERED):
        is_over = wall >= row.since + policy.give_up_after
        if is_over and not has_left(status):
            status, code = "failed", policy.meaning.code
        else:
            new = report(services, row.reference, sid=row.sid, status=status, error_code=code, who=who)
            again = None if is_over else wall + policy.ask_again_after
            _ask_again(services, row.reference, again, lost=False, who=who)
            return new is not None
    return report(services, row.reference, sid=row.sid, status=status, error_code=code, who=who) is not None


def _ask_again(services: Services, reference: str, at: datetime | None, *, lost: bool, who: str) -> None:
    """When the provider is to be asked again, unless the end was reported meanwhile."""
    with services.ledger.write() as session:
        row = session.get_one(models.Delivery, reference, with_for_update=True)
        if row.ask_at is None:
            return
        row.ask_at = at
        session.add(row)
        if lost:
            step = session.exec(select(models.Step).where(models.Step.reference == reference)).one()
            why = "the provider does not know the text any more"
            data: dict[str, object] = {"reference": reference, "rung": step.rung}
            wall, at_ledger = services.clock.wall(), services.clock.now()
            account_id = step.account_id
            log_event(
                session, "for a person", who=who, at=at_ledger, wall=wall, account_id=account_id, why=why, data=data
            )
