"""Documents of the lender for court: how they come in, each once, and who is told when one is lacking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256

from sqlmodel import Session, col, select

import models
from arrears.engine.referral import Assignment, DocumentKind
from arrears.engine.vocabulary import ChannelName, StepStatus
from arrears.ledger.cases import CaseFile, UnknownAccount, file_of, lock_person
from arrears.ledger.events import log_event
from arrears.operations.court import Papers, papers_of
from arrears.operations.inbox import cases_of
from arrears.operations.services import Services
from arrears.operations.wake import make_due
from arrears.operations.work import Work, open_item

_LARGEST = 50 * 1024 * 1024
_PDF = b"%PDF-"


class DocumentRefused(Exception):
    """The document was not taken; the message says why, and nothing has changed."""


@dataclass(frozen=True, slots=True)
class Supplied:
    """What became of a document. `new` is False when it was on file; `lacks`: what a referral still wants."""

    account_id: str
    sha256: str
    new: bool
    lacks: str


def supply(
    services: Services,
    account_id: str,
    kind: DocumentKind,
    content: bytes,
    *,
    name: str,
    reference: str,
    sale: tuple[str, str, date] | None = None,
    at: datetime,
    who: str,
) -> Supplied:
    """Take a PDF in, once by the account and `reference`, and let a case that waited for it go on.

    The same document again puts the file back where it was lost or changed on disk. `sale` are the seller, the
    buyer and the day of a bill of sale. Raises UnknownAccount and DocumentRefused; OSError from the disk.
    """
    assignment = _sale(kind, sale, reference)
    _must_be_a_document(content, name, reference)
    with services.ledger.write() as session:
        lock_person(session, account_id)
        account = session.get(models.Account, account_id, with_for_update=True, populate_existing=True)
        if account is None:
            raise UnknownAccount(account_id)
        known = session.exec(
            select(models.LegalDocument).where(
                models.LegalDocument.account_id == account_id, models.LegalDocument.reference == reference
            )
        ).first()
        digest = sha256(content).hexdigest()
        if known is not None and (known.sha256, known.kind) != (digest, kind):
            raise DocumentRefused(f"reference {reference!r} was already used for another {known.kind}")
        # On disk before it is on record: a row without its file would promise what nobody has.
        services.documents.keep(content)
        if known is None:
            session.add(
                models.LegalDocument(
                    account_id=account_id,
                    kind=kind,
                    reference=reference,
                    name=name,
                    sha256=digest,
                    size=len(content),
                    seller=assignment.seller if assignment else "",
                    buyer=assignment.buyer if assignment else "",
                    sold_on=assignment.on if assignment else None,
                    at=at,
                    added_by=who,
                )
            )
            session.flush()
        papers = papers_of(services, session, account)
        _go_on(services, session, account, papers, kind, known is None, at=at, who=who)
        return Supplied(account_id, digest, known is None, papers.lacks)


def documents_of(services: Services, account_id: str) -> Papers:
    """What is on file for the account, and what its referral lacks. Raises UnknownAccount."""
    with services.ledger.read() as session:
        account = session.get(models.Account, account_id)
        if account is None:
            raise UnknownAccount(account_id)
        return papers_of(services, session, account)


def say_what_lacks(session: Session, file: CaseFile, rung: str, lacks: str, *, at: datetime) -> None:
    """Tell a person what keeps the referral by `rung`, once for each thing that is lacking."""
    mark = sha256(lacks.encode()).hexdigest()[:12]
    open_item(
        session, file.account.id, Work.DOCUMENTS, key=f"{file.case.id}/{rung}/{mark}", note=f"{rung}: {lacks}", at=at
    )


def _go_on(
    services: Services,
    session: Session,
    account: models.Account,
    papers: Papers,
    kind: str,
    new: bool,
    *,
    at: datetime,
    who: str,
) -> None:
    """The case is decided anew; what was asked of a person is answered when nothing is lacking any more."""
    cases = cases_of(session, account)
    wall = services.clock.wall()
    if new:
        case = cases[-1] if cases else None
        log_event(session, "document", who=who, at=at, wall=wall, case=case, account_id=account.id, data={"kind": kind})
    if cases:
        for step in file_of(session, account, cases[-1]).steps:
            if ChannelName(step.channel) is ChannelName.LEGAL and step.status == StepStatus.PLANNED:
                step.not_before = None
                session.add(step)
        make_due(session, cases[-1], at=at)
    if papers.lacks:
        return
    asked = select(models.WorkItem).where(
        models.WorkItem.account_id == account.id,
        models.WorkItem.kind == Work.DOCUMENTS,
        col(models.WorkItem.done_at).is_(None),
    )
    for item in session.exec(asked).all():
        item.done_at, item.done_by, item.answer = at, who, "supplied"
        session.add(item)


def _sale(kind: DocumentKind, sale: tuple[str, str, date] | None, reference: str) -> Assignment | None:
    if (kind is DocumentKind.BILL_OF_SALE) != (sale is not None):
        raise DocumentRefused("a bill of sale, and nothing else, says who sold the debt to whom and on which day")
    if sale is None:
        return None
    seller, buyer, on = sale
    if not seller.strip() or not buyer.strip():
        raise DocumentRefused("a bill of sale needs the names of the seller and of the buyer")
    return Assignment(seller.strip(), buyer.strip(), on, reference)


def _must_be_a_document(content: bytes, name: str, reference: str) -> None:
    if not reference.strip():
        raise DocumentRefused("a document needs a reference, by which it is known again")
    if len(reference) > 128:
        raise DocumentRefused("the reference is longer than 128 characters")
    if not content.startswith(_PDF):
        raise DocumentRefused(f"{name} is no PDF; courts and law firms are sent PDF only")
    if len(content) > _LARGEST:
        raise DocumentRefused(f"{name} has {len(content):,} bytes; at most {_LARGEST:,} are taken")
