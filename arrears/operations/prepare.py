"""What a step will say and to whom, settled before the intent is committed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from operator import itemgetter
from typing import Any

from sqlmodel import Session

import models
from arrears.channels.agency import PlacementRow
from arrears.channels.legal import ReferralPackError
from arrears.clock import iso
from arrears.engine.contact.disclosures import required_words
from arrears.engine.contact.facts import Facts, Proposal
from arrears.engine.contact.gate import gate
from arrears.engine.contact.notices import expires
from arrears.engine.contact.verdict import Allow
from arrears.engine.delinquency import local_date
from arrears.engine.ladder import Rung
from arrears.engine.money import Money
from arrears.engine.partners import Choice
from arrears.engine.vocabulary import ChannelName
from arrears.ledger.cases import CaseFile
from arrears.operations.court import referral_pack
from arrears.operations.facts import proposal_of
from arrears.operations.links import holder_link
from arrears.operations.senders import sender_for
from arrears.operations.services import TEMPLATE_KINDS, Services
from arrears.operations.standstill import books_of
from arrears.rendering.context import AccountItem, Address, ContactContext, OtherAccount
from arrears.rendering.errors import RenderError, TemplateError
from arrears.rendering.segments import segments

logger = logging.getLogger(__name__)

# How long a text may wait at the provider, as the hours of contact allow.
_VALID_FOR = tuple(timedelta(seconds=seconds) for seconds in (14_400, 7_200, 3_600, 1_800, 600, 300, 120, 60, 30, 10))
_address = itemgetter("street", "city", "region", "postal_code", "country")
# An amount as most texts have it, in minor units.
_ORDINARY = 12_000


class CannotPrepare(Exception):
    """The step cannot be made as things are: it fails with this reason, and the ladder goes on."""


class PackIncomplete(CannotPrepare):
    """Something that a referral encloses is missing or changed: the step waits until a person has made it good."""


class TemplateUnusable(CannotPrepare):
    """The template is broken, for whomever it is filled in: the step waits until somebody has repaired it."""


def prepare(
    services: Services,
    session: Session,
    file: CaseFile,
    step: models.Step,
    rung: Rung,
    facts: Facts,
    *,
    others: Sequence[CaseFile] = (),
    agency: Choice | None = None,
    now: datetime,
) -> dict[str, Any]:
    """The step's payload: JSON values only, enough to carry it out and to look it up.

    The message tells about the accounts of `others` as well. `agency`: the one that was chosen for a placement.
    """
    partner = (agency.partner or "") if agency else ""
    context = contact_context(services, file, step, agency=partner, others=others, now=now)
    try:
        if rung.channel.reaches_the_holder:
            kind = TEMPLATE_KINDS[rung.channel]
            parts = required_words(proposal_of(file, rung), services.rulebook, facts, now=now)
            required = services.catalog.words(parts, kind, rung.template, context)
            if required or rung.gives:
                context = replace(context, required=required, respond_by=_respond_by(services, rung, facts, now))
        match rung.channel:
            case ChannelName.SMS:
                if link := holder_link(services.settings, step.reference, now=now):
                    context = replace(context, payment_url=link)
                body = services.catalog.text("sms", rung.template, context)
                payload = text_payload(services, file, number=_number(file, rung.channel), body=body)
                if "from" in payload:
                    payload["validity_seconds"] = _validity(services, proposal_of(file, rung), facts, now)
                return payload | {"segments": _segments(services, rung.template, context, body)}
            case ChannelName.CALL:
                return _call(services, file, rung, context)
            case ChannelName.LETTER:
                link = holder_link(services.settings, step.reference, now=now)
                context = replace(context, pay_link=link or context.payment_url, items=account_items(services, file))
                payload = services.letters.prepare(rung.template, context)
                return {**payload, "case_id": file.case.id}
            case ChannelName.AGENCY:
                assert agency is not None
                payload = {"agency": agency.partner, "chosen": agency.in_words(), "case_id": file.case.id}
                return {**payload, "row": _placement(file, step, context, now)}
            case ChannelName.LEGAL:
                pack = referral_pack(services, session, file, rung, context, facts, now=now)
                names = ", ".join(line.by for line in pack.facts.approvals)
                return {**services.legal.prepare(pack), "case_id": file.case.id, "approved_by": names}
    except RenderError as error:
        raise (CannotPrepare if error.code == "missing_glyph" else TemplateUnusable)(str(error)) from error
    except TemplateError as error:
        raise TemplateUnusable(str(error)) from error
    except ReferralPackError as error:
        raise PackIncomplete(str(error)) from error


def text_payload(services: Services, file: CaseFile, *, number: str, body: str) -> dict[str, Any]:
    """What a text says, to whom and from whom; the sender is the holder's for good."""
    payload = {"to": number, "body": body}
    if services.settings.twilio_configured:
        payload["from"] = sender_for(services.settings, number, file.account.holder_id)
    return payload


def _validity(services: Services, proposal: Proposal, facts: Facts, now: datetime) -> int:
    """How many seconds from now the provider may have the text in its queue: it must not go out in quiet hours.

    Never less than ten: one that is decided in the last seconds of the day may be that late.
    """
    for span in _VALID_FOR:
        if isinstance(gate(proposal, services.rulebook, facts, now=now + span), Allow):
            return int(span.total_seconds())
    return int(_VALID_FOR[-1].total_seconds())


def _segments(services: Services, template: str, context: ContactContext, body: str) -> dict[str, Any]:
    """How the text is counted and, where that is more than the template's ordinary text takes, how many those are."""
    counted = segments(body)
    found: dict[str, Any] = {"encoding": str(counted.encoding), "count": counted.count}
    if counted.count == 1:
        return found
    currency = context.amount_due.currency
    amounts = {"amount_due": Money(_ORDINARY, currency), "balance": Money(10 * _ORDINARY, currency)}
    ordinary = replace(context, others=(), creditor=services.settings.creditor, **amounts)
    usual = services.catalog.segments(template, _alike(services, ordinary))
    if counted.count > usual.count:
        found["usual"] = usual.count
        logger.warning(
            "account %s: template sms/%s takes %s instead of %s", context.account_id, template, counted, usual
        )
    return found


def _alike(services: Services, context: ContactContext) -> ContactContext:
    """The same for all texts that count the same: neither a reference nor the link that holds it differ in length."""
    url = context.payment_url
    link = url if url == services.settings.payment_url else "x" * len(url)
    return replace(context, reference="0" * len(context.reference), payment_url=link)


def _respond_by(services: Services, rung: Rung, facts: Facts, now: datetime) -> date | None:
    """The last day of the period that a notice sets, if it went out now; the longest of several rules'."""
    if not rung.gives:
        return None
    book = services.rulebook
    rules = [r for pack in book.matching(facts.jurisdictions) for r in pack.notices if r.notice == rung.gives]
    ends = [expires(rule, now, facts.zones, book.calendars) for rule in rules]
    return local_date(max(ends, default=now), facts.zones[0] if facts.zones else "") - timedelta(days=1)


def contact_context(
    services: Services,
    file: CaseFile,
    step: models.Step,
    *,
    agency: str = "",
    others: Sequence[CaseFile] = (),
    now: datetime,
) -> ContactContext:
    """The facts a template may use about this account, and `others` that the message is about as well, at `now`."""
    account, due_date, settings = vars(file.account), file.case.due_date, services.settings
    today = local_date(now, file.zone)
    return ContactContext(
        account_id=account["id"],
        holder_name=account["name"],
        address=Address(*_address(account)),
        locale=account["locale"],
        creditor=account["creditor"] or settings.creditor,
        creditor_phone=settings.creditor_phone,
        creditor_address=settings.creditor_address,
        payment_url=settings.payment_url,
        amount_due=Money(account["amount_due"], account["currency"]),
        balance=Money(account["balance"], account["currency"]),
        due_date=due_date,
        days_past_due=(today - due_date).days,
        today=today,
        reference=step.reference,
        rung=step.rung,
        attempt=step.attempt,
        agency=agency,
        email=account["email"],
        others=tuple(_other(other) for other in others),
    )


def _number(file: CaseFile, channel: ChannelName) -> str:
    number = file.number_for(channel)
    if not number:
        raise CannotPrepare("no number is known at which the holder can be reached")
    return number


def _other(file: CaseFile) -> OtherAccount:
    account = file.account
    return OtherAccount(account.id[-4:], Money(account.amount_due, account.currency), file.case.due_date)


def _call(services: Services, file: CaseFile, rung: Rung, context: ContactContext) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "number": _number(file, ChannelName.CALL),
        "script": services.catalog.text("calls", rung.template, context),
        "zone": file.zone,
        "best_from": rung.due.at.strftime("%H:%M"),
        "best_to": rung.due.at.replace(hour=min(rung.due.at.hour + 4, 20)).strftime("%H:%M"),
        "priority": context.days_past_due * 10 + min(file.account.balance // 10_000, 900),
    }
    if context.others:
        # What is left to say when one of the others must not be told about any more.
        payload["alone"] = services.catalog.text("calls", rung.template, replace(context, others=()))
    return payload


def _placement(file: CaseFile, step: models.Step, context: ContactContext, now: datetime) -> dict[str, Any]:
    return PlacementRow(
        placement_id=step.reference,
        account_id=context.account_id,
        reference=step.reference,
        holder_name=context.holder_name,
        phone=file.number,
        address=context.address,
        creditor=context.creditor,
        balance=context.balance,
        due_date=context.due_date,
        days_past_due=context.days_past_due,
        placed_at=iso(now),
    ).to_json()


_KINDS = {
    "billed": "statements",
    "fee": "fees",
    "interest": "interest",
    "payment": "payments",
    "reversal": "payments",
    "adjustment": "corrections",
    "waived": "corrections",
}


def account_items(services: Services, file: CaseFile) -> tuple[AccountItem, ...]:
    """The balance as the account came in and the sums of what has changed it since; none where nothing has."""
    account = file.account
    sums: dict[str, int] = dict.fromkeys(_KINDS.values(), 0)
    for entry in books_of(services, file).entries:
        sums[_KINDS[entry.what]] += entry.change
    changes = [AccountItem(k, account.due_date, Money(s, account.currency)) for k, s in sums.items() if s]
    opening = AccountItem("opening", account.due_date, Money(account.opening_balance, account.currency))
    return (opening, *changes) if changes else ()
