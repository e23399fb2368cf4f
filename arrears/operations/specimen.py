"""Any letter template, with the facts of any account or of nobody, as it would read today: a specimen.

Nothing is written and no account changes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import models
from arrears.engine.contact.disclosures import required_words
from arrears.engine.contact.facts import ContactChannel, Facts, Party, Proposal
from arrears.ledger.cases import read_case_file
from arrears.operations.prepare import account_items, contact_context
from arrears.operations.services import Services
from arrears.rendering.catalog import Kind
from arrears.rendering.context import ContactContext
from arrears.rendering.formats import DEFAULT_LOCALE
from arrears.rendering.letters import render_pdf, render_pictures
from arrears.rendering.specimens import REFERENCE, specimen_context

# As long as most notices run: a specimen gives none, so no rule says how long.
_NOTICE = timedelta(days=14)


def letter_specimen(
    services: Services,
    template: str,
    *,
    account_id: str | None = None,
    locale: str = "",
    now: datetime,
    ppi: float | None = None,
) -> list[bytes]:
    """The letter as one PDF, or with `ppi` as a PNG a page; of an invented holder without an account.

    Raises UnknownAccount, and TemplateError for a template that is not there, is broken, or lacks a character.
    """
    context = (
        _of_account(services, template, account_id, locale, now) if account_id else _of_nobody(services, locale, now)
    )
    required = services.catalog.words(_parts(services, context, account_id, now), Kind.LETTERS, template, context)
    context = replace(context, required=required)
    if ppi is None:
        return [render_pdf(services.catalog, Kind.LETTERS, template, context, specimen=True)]
    return render_pictures(services.catalog, Kind.LETTERS, template, context, ppi=ppi, specimen=True)


def _of_account(services: Services, template: str, account_id: str, locale: str, now: datetime) -> ContactContext:
    with services.ledger.read() as session:
        file = read_case_file(session, account_id)
        step = models.Step(
            case_id=file.case.id,
            account_id=account_id,
            rung=template,
            attempt=1,
            stage="letter",
            channel="letter",
            status="planned",
            reference=REFERENCE,
            due_at=now,
        )
        context = contact_context(services, file, step, now=now)
        items = account_items(services, file)
    return replace(
        context,
        locale=locale or context.locale,
        respond_by=context.today + _NOTICE,
        pay_link=context.payment_url,
        agency="(agency)",
        items=items,
    )


def _of_nobody(services: Services, locale: str, now: datetime) -> ContactContext:
    settings = services.settings
    context = specimen_context(locale or DEFAULT_LOCALE)
    today = now.date()
    return replace(
        context,
        creditor=settings.creditor,
        creditor_phone=settings.creditor_phone,
        creditor_address=settings.creditor_address,
        payment_url=settings.payment_url,
        pay_link=settings.payment_url,
        today=today,
        due_date=today - timedelta(days=context.days_past_due),
        respond_by=today + _NOTICE,
        items=tuple(replace(item, on=today - timedelta(days=context.days_past_due)) for item in context.items),
    )


def _parts(services: Services, context: ContactContext, account_id: str | None, now: datetime) -> tuple[str, ...]:
    """The words that contact law wants of this letter."""
    if account_id is None:
        proposal = Proposal(ContactChannel.LETTER, Party.FIRST)
        places = (context.address.country, f"{context.address.country}-{context.address.region}")
        return required_words(proposal, services.rulebook, Facts(places, ()), now=now)
    with services.ledger.read() as session:
        file = read_case_file(session, account_id)
        facts = replace(file.facts(), limitation_ends=services.limitation_ends(file))
    proposal = Proposal(ContactChannel.LETTER, file.actor, debt=account_id)
    return required_words(proposal, services.rulebook, facts, now=now)
