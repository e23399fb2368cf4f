"""What a referral of a case holds: the papers' facts, the documents, and what is still lacking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from sqlmodel import Session, col, select

import models
from arrears.channels.legal import named_apart
from arrears.clock import iso
from arrears.engine.contact.facts import Facts
from arrears.engine.contact.notices import expires
from arrears.engine.delinquency import days_past_due, local_date
from arrears.engine.ladder import DaysPastDue, Ladder, Rung
from arrears.engine.life.itemisation import itemise, last_receipt
from arrears.engine.money import Money
from arrears.engine.referral import Assignment, DocumentNeed, breaks, chain_of_title, lacking
from arrears.engine.vocabulary import ChannelName, StepStatus
from arrears.ledger.cases import CaseFile
from arrears.operations.approvals import approval_of
from arrears.operations.services import Services
from arrears.operations.standstill import books_of
from arrears.policies.limitation import Reckoned
from arrears.rendering.context import ChronologyLine, ContactContext, StatementLine
from arrears.rendering.pack import Enclosure, ReferralPack
from arrears.rendering.referral import (
    ApprovalLine,
    AskLine,
    DocumentLine,
    GapLine,
    ItemLine,
    LetterLine,
    LimitationLine,
    NeedLine,
    NoticeLine,
    ReferralFacts,
    TitleLine,
)

CHARGE_OFF: Final = "charge_off"
COVER: Final = "cover-sheet"


@dataclass(frozen=True, slots=True)
class Papers:
    """The documents on file for an account, and those without which its referral must not leave."""

    given: Sequence[models.LegalDocument]
    lacking: tuple[DocumentNeed, ...]
    chain: tuple[Assignment, ...]
    gaps: tuple[tuple[str, str], ...]

    @property
    def lacks(self) -> str:
        """`card_agreement, statements`; empty when nothing is missing."""
        missing = [str(need.kind) for need in self.lacking]
        return ", ".join([*missing, "bill_of_sale for a gap in the chain of title"] if self.gaps else missing)


def papers_of(services: Services, session: Session, account: models.Account) -> Papers:
    """What is on file for court, measured by the place's policy."""
    given = session.exec(
        select(models.LegalDocument)
        .where(models.LegalDocument.account_id == account.id)
        .order_by(col(models.LegalDocument.id))
    ).all()
    sales = [Assignment(d.seller, d.buyer, d.sold_on, d.reference) for d in given if d.sold_on is not None]
    chain = chain_of_title(sales)
    needs = services.referral_policy(account).documents
    missing = lacking(needs, {d.kind for d in given}, assigned=bool(chain))
    return Papers(given, missing, chain, breaks(chain, account.creditor or services.settings.creditor))


def waits_for_papers(services: Services, account: models.Account, rung: Rung) -> bool:
    """Whether a referral by `rung` must not leave without its documents."""
    return bool(rung.firm) or services.referral_policy(account).wait_without_a_firm


def papers_lacking(services: Services, session: Session, file: CaseFile, ladder: Ladder, *, now: datetime) -> str:
    """What keeps the case's next referral from leaving; empty when nothing does, or none is near."""
    referrals = [rung for rung in ladder.rungs if rung.channel is ChannelName.LEGAL]
    if not referrals:
        return ""
    done = {step.rung for step in file.steps if step.status == StepStatus.DONE}
    dpd = days_past_due(file.case.due_date, now, file.zone)
    due = [
        rung
        for rung in referrals
        if rung.name not in done
        and waits_for_papers(services, file.account, rung)
        and not (isinstance(rung.due, DaysPastDue) and dpd < rung.due.days)
    ]
    return papers_of(services, session, file.account).lacks if due else ""


def referral_pack(
    services: Services,
    session: Session,
    file: CaseFile,
    rung: Rung,
    context: ContactContext,
    facts: Facts,
    *,
    now: datetime,
) -> ReferralPack:
    """Everything the referral by `rung` says at `now`, and what it encloses. Reads no file."""
    policy = services.referral_policy(file.account)
    papers = papers_of(services, session, file.account)
    documents = named_apart("documents", [d.kind for d in papers.given])
    letters = [s for s in file.steps if s.status == StepStatus.DONE and ChannelName(s.channel) is ChannelName.LETTER]
    letter_names = named_apart("letters", [s.rung for s in letters])
    titles = {str(need.kind): need.title for need in policy.documents}
    books = books_of(services, file)
    receipt = last_receipt(books)
    account, currency = file.account, file.account.currency
    approval = approval_of(services, file, rung.name, now=now)
    reckoned = services.limitation_of(file)
    claimant = account.creditor or services.settings.creditor
    return ReferralPack(
        context=context_in(context, policy.locale),
        facts=ReferralFacts(
            firm=rung.firm,
            papers=tuple(paper for paper in policy.papers if paper != COVER),
            original_creditor=papers.chain[0].seller if papers.chain else claimant,
            opened_on=account.opened_on,
            charged_off_on=_charged_off_on(services, file, context.today),
            last_payment_on=local_date(receipt.at, file.zone) if receipt else account.last_payment_on,
            last_payment=Money(receipt.kept, currency) if receipt else _reported_payment(account),
            items=_items(services, file, context.today),
            statement=_statement(services, file),
            statement_total=Money(account.opening_balance + sum(e.change for e in books.entries), currency),
            chronology=tuple(_chronology(s) for s in file.steps if s.status != StepStatus.PLANNED),
            approvals=tuple(
                ApprovalLine(a.by, iso(a.at), Money(a.balance, currency) if a.balance is not None else None)
                for a in approval.counted
            ),
            approvals_needed=approval.needed,
            limitation=_limitation(reckoned, context.today) if reckoned else None,
            title=tuple(TitleLine(sale.seller, sale.buyer, sale.on, sale.reference) for sale in papers.chain),
            gaps=tuple(GapLine(buyer, owner) for buyer, owner in papers.gaps),
            documents=tuple(
                DocumentLine(_title(titles, d), d.reference, name, d.sha256)
                for d, name in zip(papers.given, documents, strict=True)
            ),
            to_follow=tuple(NeedLine(need.title, need.source) for need in papers.lacking),
            asks=tuple(
                AskLine(ask.says, ask.found_in, ask.source, ask.verified)
                for ask in policy.asks
                if papers.chain or not ask.if_assigned
            ),
            letters=tuple(
                LetterLine(s.rung, local_date(s.at, file.zone) if s.at else None, name)
                for s, name in zip(letters, letter_names, strict=True)
            ),
            default_notice=_notice(services, file, facts, "default_notice"),
            letter_of_claim=_notice(services, file, facts, "letter_of_claim"),
        ),
        papers=policy.papers,
        enclosures=(
            *(
                Enclosure(name, s.payload["sha256"], s.payload["path"])
                for s, name in zip(letters, letter_names, strict=True)
            ),
            *(Enclosure(name, d.sha256) for d, name in zip(papers.given, documents, strict=True)),
        ),
    )


def context_in(context: ContactContext, locale: str) -> ContactContext:
    """The facts as the court's language prints them, whatever the holder's is."""
    return replace(context, locale=locale)


def _title(titles: Mapping[str, str], document: models.LegalDocument) -> str:
    return titles.get(document.kind, document.kind.replace("_", " ").capitalize())


def _reported_payment(account: models.Account) -> Money | None:
    amount = account.last_payment_amount
    return Money(amount, account.currency) if amount is not None else None


def _charged_off_on(services: Services, file: CaseFile, today: date) -> date | None:
    for rule in services.rulebook.milestones(tuple(file.account.jurisdictions)):
        day = file.case.due_date + timedelta(days=rule.dpd)
        if rule.milestone == CHARGE_OFF and day <= today:
            return day
    return None


def _items(services: Services, file: CaseFile, today: date) -> ItemLine:
    """The balance since charge-off, or since the due date while it has not been charged off."""
    account = file.account
    charged_off = _charged_off_on(services, file, today)
    since = charged_off or file.case.due_date
    made = itemise(account.opening_balance, books_of(services, file).entries, since=since, zone=file.zone)

    def money(amount: int) -> Money:
        return Money(amount, account.currency)

    return ItemLine(
        since=since,
        since_what="charge-off" if charged_off else "first missed due date",
        owed=money(made.owed),
        interest=money(made.interest),
        fees=money(made.fees),
        received=money(made.payments),
        payments=money(-made.payments),
        credits=money(made.credits),
        total=money(made.total),
    )


def _limitation(reckoned: Reckoned, today: date) -> LimitationLine:
    return LimitationLine(
        rule=reckoned.rule,
        years=reckoned.years,
        source=reckoned.source,
        verified=reckoned.verified,
        counted_from=reckoned.counted_from,
        because=reckoned.because,
        ends=reckoned.ends,
        days_left=reckoned.days_left(today),
    )


def _notice(services: Services, file: CaseFile, facts: Facts, kind: str) -> NoticeLine | None:
    """When a statutory notice was given last, and the last day of the time that it set, by the longest rule."""
    given = [notice.at for notice in facts.notices if notice.kind == kind]
    if not given:
        return None
    at = max(given)
    book = services.rulebook
    rules = [r for pack in book.matching(facts.jurisdictions) for r in pack.notices if r.notice == kind]
    ends = max((expires(rule, at, facts.zones, book.calendars) for rule in rules), default=None)
    last = local_date(ends, file.zone) - timedelta(days=1) if ends is not None else None
    return NoticeLine(local_date(at, file.zone), last)


def _statement(services: Services, file: CaseFile) -> tuple[StatementLine, ...]:
    """What was owed when the account came in, and every change since: adds up to the balance claimed."""
    account = file.account
    return (
        StatementLine(account.due_date, "opening", "", Money(account.opening_balance, account.currency)),
        *(
            StatementLine(
                local_date(entry.at, file.zone), entry.what, entry.reference, Money(entry.change, account.currency)
            )
            for entry in books_of(services, file).entries
        ),
    )


def _chronology(step: models.Step) -> ChronologyLine:
    return ChronologyLine(
        at=iso(step.at) if step.at else "",
        rung=step.rung,
        attempt=step.attempt,
        channel=step.channel,
        status=step.status,
        reference=step.reference,
        reason=step.reason,
    )
