"""A text message that the holder sent: opt-outs take effect at once, and are confirmed once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

import models
from arrears.channels.effect import Intent
from arrears.engine.contact.facts import ContactChannel
from arrears.engine.contact.replies import Meaning, Wish, read_reply
from arrears.engine.contact.rules import Keywords
from arrears.engine.vocabulary import ChannelName, Party, Stage, StepStatus
from arrears.ledger.cases import UnknownAccount, has_case, lock_person, read_case_file
from arrears.ledger.events import log_event
from arrears.ledger.life import unused_name
from arrears.ledger.references import free_reference
from arrears.operations.brakes import stopped_why
from arrears.operations.consent import allow, forbid, known_contact, still_open
from arrears.operations.moves import claim, intent_of
from arrears.operations.perform import carry_out
from arrears.operations.prepare import contact_context, text_payload
from arrears.operations.reconsider import reconsider
from arrears.operations.services import Services
from arrears.operations.work import Work, open_item

# Answers to a holder's own message, by what was asked: the text's template, and the purpose holds except.
_ANSWERS = {
    Wish.STOP: ("opt-out-confirmation", "opt_out_confirmation"),
    Wish.START: ("opt-in-confirmation", "reply_to_debtor_query"),
    Wish.HELP: ("help", "reply_to_debtor_query"),
}
_WORK = {Wish.PAID: Work.SAYS_PAID, Wish.CALL: Work.CALLBACK, Wish.PROMISE: Work.PROMISE}
_AMBIGUOUS = ("yes", "y", "ok")
_ANSWER_WITHIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Received:
    """What a text was understood to mean and what came of it; `answered` is the answer's reference, or empty.

    `new` is False when it was known: nothing has changed.
    """

    meaning: Meaning
    closed: tuple[ContactChannel, ...]
    opened: tuple[ContactChannel, ...]
    answered: str
    new: bool = True


def receive_text(
    services: Services,
    account_id: str,
    text: str,
    *,
    number: str = "",
    at: datetime,
    reference: str = "",
    source: str = "cli",
    who: str,
) -> Received:
    """Record a text received at `at`, and do at once what it asks for; once by its `reference`, if it has one.

    STOP closes the channels it names and takes consent for them back; START, by keyword only, opens
    texts again; both and HELP are answered by one text within five minutes (47 CFR 64.1200(a)(12)),
    none when the same is asked again, and none rather than two after a crash. Anything else is work for a
    person. Raises UnknownAccount.
    """
    with services.ledger.write() as session:
        others = lock_person(session, account_id)
        account = session.get(models.Account, account_id)
        if account is None:
            raise UnknownAccount(account_id)
        words = keywords(services, session, account)
        meaning = read_reply(text, words)
        if known_contact(session, reference, account_id, text):
            return Received(meaning, (), (), "", new=False)
        session.add(
            models.Contact(
                account_id=account_id,
                channel=ContactChannel.SMS,
                direction="inbound",
                at=at,
                number=number,
                actor=_actor(session, account),
                note=text,
                recorded_by=who,
                external_id=reference or None,
            )
        )
        session.flush()
        data: dict[str, object] = {"wish": str(meaning.wish), "keyword": meaning.by_keyword}
        data |= {"channels": sorted(meaning.channels)} if meaning.channels else {}
        wall = services.clock.wall()
        what = f"reply: {meaning.wish}"
        log_event(session, what, who=who, at=at, wall=wall, account_id=account_id, why=source, data=data)
        closed, opened = _heed(
            services, session, account_id, meaning, text, number=number, at=at, reference=reference, who=who
        )
        touched = [account_id, *others] if has_case(session, account_id) else others
        reconsider(services, session, touched, at=at, who=who)
        anything_new = meaning.wish is Wish.HELP or bool(closed or opened)
        intent = _answer(services, session, account_id, meaning, words, at=at, who=who) if anything_new else None
    answered = ""
    if intent is not None and carry_out(services, intent, ChannelName.SMS, who=who) is StepStatus.DONE:
        answered = intent.reference
    return Received(meaning, tuple(closed), tuple(opened), answered)


def _heed(
    services: Services,
    session: Session,
    account_id: str,
    meaning: Meaning,
    text: str,
    *,
    number: str,
    at: datetime,
    reference: str,
    who: str,
) -> tuple[list[ContactChannel], list[ContactChannel]]:
    """Do what the text asks for; the channels that this closes and opens."""
    told: dict[str, Any] = {"at": at, "received_at": at, "source": "text message", "who": who}
    match meaning.wish:
        case Wish.STOP:
            wanted = sorted(meaning.channels)
            closed = still_open(session, account_id, wanted)
            how = "by text message"
            forbid(services, session, account_id, wanted, how=how, number=number, reference=reference, **told)
            return closed, []
        case Wish.START:
            opens = not still_open(session, account_id, [ContactChannel.SMS])
            # `yes` may answer some other question: it starts texts again only where they were stopped.
            if opens or _plainly_starts(text):
                evidence = "a text message"
                sms = ContactChannel.SMS
                allow(services, session, account_id, sms, evidence=evidence, reference=reference, **told)
            return [], [ContactChannel.SMS] if opens else []
        case Wish.HELP:
            return [], []
        case wish:
            key = reference or unused_name(session, account_id, "text", at)
            open_item(session, account_id, _WORK.get(wish, Work.REPLY), key=key, note=text, at=at)
            return [], []


def _plainly_starts(text: str) -> bool:
    return text.strip().casefold() not in _AMBIGUOUS


def keywords(services: Services, session: Session, account: models.Account) -> list[Keywords]:
    """The keyword sets of every place that may apply, the house's included."""
    actor = _actor(session, account)
    packs = services.rulebook.matching(tuple(account.jurisdictions))
    return [rule for pack in packs for rule in pack.keywords if actor in rule.applies_to]


def _actor(session: Session, account: models.Account) -> Party:
    return read_case_file(session, account.id).actor if has_case(session, account.id) else Party.FIRST


def _answer(
    services: Services,
    session: Session,
    account_id: str,
    meaning: Meaning,
    words: list[Keywords],
    *,
    at: datetime,
    who: str,
) -> Intent | None:
    """The intent of the one answer, committed with what it answers; None when none is due."""
    if ContactChannel.SMS not in meaning.channels or not has_case(session, account_id):
        return None
    file = read_case_file(session, account_id, lock=True)
    if not file.number or stopped_why(session) is not None:
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
        reference=free_reference(session, file.case, template, attempt),
        due_at=at,
        at=at,
        number=file.number,
        actor=file.actor,
        rules=sorted(rule.id for rule in words),
        verdict={"verdict": "allow", "purpose": purpose, "answers": True},
        intended_wall=wall,
    )
    context = contact_context(services, file, step, now=at)
    body = services.catalog.text("sms", template, context)
    step.payload = text_payload(services, file, number=step.number, body=body)
    session.add(step)
    claim(services, step, wall)
    data: dict[str, object] = {"rung": template, "attempt": attempt, "reference": step.reference}
    log_event(session, "intended", who=who, at=at, wall=wall, case=file.case, data=data)
    return intent_of(step)
