"""Any letter template with the facts of any account, as it would read today: a specimen, and nothing is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import models
from arrears.engine.contact.disclosures import required_words
from arrears.engine.contact.facts import ContactChannel, Proposal
from arrears.ledger.cases import read_case_file
from arrears.operations.prepare import contact_context
from arrears.operations.services import Services
from arrears.rendering.catalog import Kind
from arrears.rendering.letters import render_pdf, render_pictures

REFERENCE = "SPECIMEN"
# As long as most notices run: a specimen gives none, so no rule says how long.
_NOTICE = timedelta(days=14)


def letter_specimen(
    services: Services, account_id: str, template: str, *, locale: str = "", now: datetime, ppi: float | None = None
) -> list[bytes]:
    """The letter as one PDF, or with `ppi` as a PNG a page.

    Raises UnknownAccount, and TemplateError for a template that is not there, is broken, or lacks a character.
    """
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
        facts = replace(file.facts(), limitation_ends=services.limitation_ends(file))
    proposal = Proposal(ContactChannel.LETTER, file.actor, debt=account_id)
    context = replace(
        context,
        locale=locale or context.locale,
        respond_by=context.today + _NOTICE,
        pay_link=context.payment_url,
        agency="(agency)",
    )
    parts = required_words(proposal, services.rulebook, facts, now=now)
    context = replace(context, required=services.catalog.words(parts, Kind.LETTERS, template, context))
    if ppi is None:
        return [render_pdf(services.catalog, Kind.LETTERS, template, context, specimen=True)]
    return render_pictures(services.catalog, Kind.LETTERS, template, context, ppi=ppi, specimen=True)
