"""A text that did not arrive, and what follows: again later, another number, another channel, or a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session

import models
from arrears.engine.contact.facts import ContactChannel
from arrears.engine.delivery import SPOILS, FollowUp, Spoils, follow_up
from arrears.engine.life.events import LifeEvent, NumberChecked, Untextable
from arrears.engine.vocabulary import StepStatus
from arrears.ledger.cases import CaseFile
from arrears.ledger.events import log_event
from arrears.ledger.life import key_of
from arrears.operations.consent import forbid
from arrears.operations.inbox import take
from arrears.operations.numbers import NUMBERS
from arrears.operations.services import Services
from arrears.operations.told import told_with
from arrears.operations.wake import make_due
from arrears.operations.work import Work, open_item

_VIA = "delivery"
# What was to be said so long ago is not said again by text: its letter goes, where it has one.
_STALE = timedelta(days=3)


def follow(
    services: Services,
    session: Session,
    file: CaseFile,
    step: models.Step,
    *,
    code: str,
    who: str,
    at: datetime,
    wall: datetime,
) -> None:
    """What follows from the provider's `code` for a text that did not arrive, in the caller's transaction.

    `step` is one of `file`'s; one that was refused keeps its status. The other accounts told about in the same text
    share its fate. The caller has locked the person.
    """
    meaning = services.delivery.meaning(code)
    others = [number for number in file.text_numbers if number != step.number]
    tried = sum(s.again_at is not None for s in file.steps if s.rung == step.rung and s is not step)
    then = follow_up(meaning, tried=tried, another_number=bool(others), at=at)
    if step.verdict.get("answers"):
        # What answers the holder's own message is sent at once or not at all.
        then = FollowUp(spoils=then.spoils, opts_out=then.opts_out, needs_person=then.needs_person)
    if step.at is not None and at - step.at > _STALE:
        then = replace(then, again_at=None, unreached=then.unreached or then.again_at is not None)
    steps = [step, *told_with(session, step)]
    for each in steps:
        if each.status == StepStatus.DONE:
            each.status = StepStatus.FAILED
            each.reason = f"{meaning.code}: {meaning.means}"
        each.again_at, each.unreached = then.again_at, then.unreached
        session.add(each)
        data: dict[str, object] = {"rung": each.rung, "attempt": each.attempt, "reference": each.reference}
        data |= {"code": meaning.code, "consequence": str(meaning.consequence)}
        case = session.get_one(models.Case, each.case_id)
        log_event(session, "undelivered", who=who, at=at, wall=wall, case=case, why=each.reason, data=data)
        make_due(session, case, at=at)
    if then.needs_person:
        # One for all the texts of a day that fail for this reason: it is ours, and not this account's.
        key = f"{meaning.code}/{at.date()}"
        see = f"; https://www.twilio.com/docs/api/errors/{meaning.code}" if is_a_code(meaning.code) else ""
        note = f"texts fail with {meaning.code}: {meaning.means}{see}"
        open_item(session, step.account_id, Work.TEXTS, key=key, note=note, at=at)
    session.flush()
    for each in steps:
        for event in _facts(then.spoils, each, step.number, f"{meaning.code}: {meaning.means}", at):
            take(services, session, each.account_id, event, received_at=at, via=_VIA, who=who)
    if then.opts_out:
        forbid(
            services,
            session,
            step.account_id,
            [ContactChannel.SMS],
            at=at,
            received_at=at,
            how=f"at the provider ({meaning.code})",
            number=step.number,
            reference=f"twilio:{step.reference}/{meaning.code}",
            source=_VIA,
            who=who,
        )


def delivered_after_all(
    services: Services,
    session: Session,
    file: CaseFile,
    step: models.Step,
    *,
    who: str,
    at: datetime,
    wall: datetime,
) -> None:
    """The provider said that a text had failed, and then that it arrived: what has not followed yet does not."""
    why = "delivered after all"
    told = told_with(session, step)
    for each in (step, *told):
        spoiled = each.reason.partition(":")[0]
        each.status, each.reason, each.again_at, each.unreached = StepStatus.DONE, "", None, False
        session.add(each)
        data: dict[str, object] = {"rung": each.rung, "attempt": each.attempt, "reference": each.reference}
        case = session.get_one(models.Case, each.case_id)
        log_event(session, "delivered", who=who, at=at, wall=wall, case=case, why=why, data=data)
        make_due(session, case, at=at)
        follows = file.step(each.rung, each.attempt + 1) if each is step else None
        if follows is not None and follows.status == StepStatus.PLANNED:
            follows.status, follows.at, follows.reason = StepStatus.SKIPPED, at, f"{each.reference} was {why}"
            session.add(follows)
        session.flush()
        if services.delivery.meaning(spoiled).consequence in SPOILS:
            key = key_of(NUMBERS, f"{each.reference}/delivered")
            event = NumberChecked(key=key, at=at, number=step.number, good=True, why=why)
            take(services, session, each.account_id, event, received_at=at, via=_VIA, who=who)


def _facts(spoils: Spoils | None, step: models.Step, number: str, why: str, at: datetime) -> list[LifeEvent]:
    """What the inbox is told about the number that was texted."""
    key = key_of(NUMBERS, f"{step.reference}/text")
    match spoils:
        case None:
            return []
        case Spoils.CALLS_AND_TEXTS:
            return [NumberChecked(key=key, at=at, number=number, good=False, why=why)]
        case Spoils.TEXTS:
            return [Untextable(key=key, at=at, number=number, why=why)]


def is_a_code(code: str) -> bool:
    """Whether a text was refused for a reason of the provider's, from which something follows."""
    return code.isdecimal() and len(code) == 5
