"""A text message that the holder sent: opt-outs take effect at once, and are confirmed once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

import models
from arrears.channels.effect import Intent
from arrears.engine.contact.facts import ContactChannel
from arrears.engine.contact.replies import Meaning, Wish, read_reply
from arrears.engine.contact.rules import Keywords
from arrears.engine.vocabulary import ChannelName, Stage, StepStatus
from arrears.ledger.cases import CaseFile, lock_person, read_case_file
from arrears.ledger.events import log_event
from arrears.ledger.references import free_reference
from arrears.operations.brakes import stopped_why
from arrears.operations.consent import allow, forbid, opt_outs
from arrears.operations.hold import reconsider
from arrears.operations.moves import claim, intent_of
from arrears.operations.perform import carry_out
from arrears.operations.prepare import contact_context
from arrears.operations.services import Services

# Answers to a holder's own message, by what was asked: the text's template, and the purpose holds except.
_ANSWERS = {
    Wish.STOP: ("opt-out-confirmation", "opt_out_confirmation"),
    Wish.START: ("opt-in-confirmation", "reply_to_debtor_query"),
    Wish.HELP: ("help", "reply_to_debtor_query"),
}
_ANSWER_WITHIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Received:
    """What a text was understood to mean and what came of it; `answered` is the answer's reference, or empty."""

    meaning: Meaning
    closed: tuple[ContactChannel, ...]
    opened: tuple[ContactChannel, ...]
    answered: str


def receive_text(
    services: Services, account_id: str, text: str, *, number: str = "", at: datetime, who: str
) -> Received:
    """Record a text received at `at`, and do at once what it asks for.

    STOP closes the channels it names and takes consent for them back; START, by keyword only, opens
    texts again; both and HELP are answered by one text within five minutes (47 CFR 64.1200(a)(12)),
    none when the same is asked again, and none rather than two after a crash. Anything else is on
    record for a person to read. Raises UnknownAccount.
    """
    with services.ledger.write() as session:
        others = lock_person(session, account_id)
        file = read_case_file(session, account_id, lock=True)
        words = keywords(services, file)
        meaning = read_reply(text, words)
        session.add(
            models.Contact(
                account_id=account_id,
                channel=ContactChannel.SMS,
                direction="inbound",
                at=at,
                number=number,
                actor=file.actor,
                note=text,
                recorded_by=who,
            )
        )
        closed: list[ContactChannel] = []
        opened: list[ContactChannel] = []
        if meaning.wish is Wish.STOP:
            closed = forbid(session, file, meaning.channels, at=at, how="by text message", who=who, number=number)
        elif meaning.wish is Wish.START and opt_outs(file, ContactChannel.SMS):
            # Only then is there anything to end: `yes` may answer some other question.
            allow(session, file, ContactChannel.SMS, at=at, evidence="a text message", who=who)
            opened = [ContactChannel.SMS]
        data: dict[str, object] = {"wish": str(meaning.wish), "keyword": meaning.by_keyword}
        data |= {"channels": sorted(meaning.channels)} if meaning.channels else {}
        what = "reply for a person" if meaning.wish is Wish.OTHER else f"reply: {meaning.wish}"
        wall = services.clock.wall()
        log_event(session, what, who=who, at=at, wall=wall, case=file.case, data=data)
        reconsider(services, session, file, others, at=at, who=who)
        anything_new = meaning.wish is Wish.HELP or bool(closed or opened)
        intent = _answer(services, session, file, meaning, words, at=at, who=who) if anything_new else None
    if intent is None:
        return Received(meaning, tuple(closed), tuple(opened), "")
    status = carry_out(services, intent, ChannelName.SMS, who=who)
    answered = intent.reference if status is StepStatus.DONE else ""
    return Received(meaning, tuple(closed), tuple(opened), answered)


def keywords(services: Services, file: CaseFile) -> list[Keywords]:
    """The keyword sets of every place that may apply, the house's included."""
    packs = services.rulebook.matching(tuple(file.account.jurisdictions))
    return [rule for pack in packs for rule in pack.keywords if file.actor in rule.applies_to]


def _answer(
    services: Services,
    session: Session,
    file: CaseFile,
    meaning: Meaning,
    words: list[Keywords],
    *,
    at: datetime,
    who: str,
) -> Intent | None:
    """The intent of the one answer, committed with what it answers; None when none is due."""
    if ContactChannel.SMS not in meaning.channels or not file.number or stopped_why(session) is not None:
        return None
    limits = [rule.confirm_within for rule in words if rule.confirm_within is not None]
    now = services.clock.now()
    if now - at > min(limits, default=_ANSWER_WITHIN) or any(s.status == StepStatus.INTENDED for s in file.steps):
        return None
    wall = services.clock.wall()
    template, purpose = _ANSWERS[meaning.wish]
    attempt = 1 + max((step.attempt for step in file.steps if step.rung == template), default=0)
    step = models.Step(
        case_id=file.case.id,
        account_id=file.account.id,
        rung=template,
        attempt=attempt,
        stage=Stage.SMS,
        channel=ChannelName.SMS,
        status=StepStatus.INTENDED,
        reference=free_reference(session, file.case.id, template, attempt),
        due_at=at,
        at=at,
        number=file.number,
        actor=file.actor,
        rules=sorted(rule.id for rule in words),
        verdict={"verdict": "allow", "purpose": purpose, "answers": True},
        intended_wall=wall,
    )
    context = contact_context(services, file, step, now=at)
    step.payload = {"to": step.number, "body": services.catalog.text("sms", template, context)}
    claim(services, session, step, wall)
    data: dict[str, object] = {"rung": template, "attempt": attempt, "reference": step.reference}
    log_event(session, "intended", who=who, at=at, wall=wall, case=file.case, data=data)
    return intent_of(step)
