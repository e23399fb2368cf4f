"""The holder's other accounts: when one was last contacted about, and which could be contacted about now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, or_, select

import models
from arrears.engine.case import Turn
from arrears.engine.contact.disclosures import required_words
from arrears.engine.contact.facts import Facts, Proposal
from arrears.engine.contact.gate import gate
from arrears.engine.contact.verdict import Allow
from arrears.engine.decide import Perform
from arrears.engine.ladder import Contacts, Ladder, Rung
from arrears.engine.several import Waiting, alike, behind, most_told, not_put_off, spaced, would_make
from arrears.engine.vocabulary import CaseStatus, ChannelName, StepStatus
from arrears.ledger.cases import CaseFile, read_case_file
from arrears.ledger.contacts import last_elsewhere, lock_holder
from arrears.operations.facts import gate_facts, ladder_of, proposal_of
from arrears.operations.services import TEMPLATE_KINDS, Services, UnknownLadder
from arrears.operations.standstill import snapshot_of

# A turn comes at the preferred hour of its day; and what is put off for longer has other reasons than the hour.
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact that the ladder wants and the gate allows now, and what both knew."""

    file: CaseFile
    rung: Rung
    attempt: int
    due_at: datetime
    proposal: Proposal
    facts: Facts
    verdict: Allow

    @property
    def waiting(self) -> Waiting:
        """Its place among the person's accounts."""
        return Waiting(self.file.account.id, self.due_at, self.file.case.next_due_at or self.due_at)


@dataclass(frozen=True, slots=True)
class Company:
    """Whom a contact meets: the accounts it tells about as well, or the turn that it has to wait for."""

    told: tuple[Contact, ...] = ()
    turn: Turn | None = None


def turn_of(services: Services, session: Session, file: CaseFile, ladder: Ladder, *, now: datetime) -> Turn | None:
    """When the holder may be contacted about this account, after the last contact about another of theirs.

    Nobody else counts the person's contacts until the transaction ends.
    """
    policy = ladder.several
    if policy.contacts is Contacts.EACH:
        return None
    lock_holder(session, file.account.holder_id)
    since = now - policy.apart - _A_DAY
    return spaced(policy, last_elsewhere(session, file.account.holder_id, file.account.id, since=since), zone=file.zone)


def company_of(
    services: Services, session: Session, mine: Contact, ladder: Ladder, others: Sequence[str], *, now: datetime
) -> Company:
    """What becomes of `mine`, which could be made now, beside the contacts that the holder's `others` want."""
    policy = ladder.several
    if policy.contacts is Contacts.EACH or not mine.rung.takes_turns or not others:
        return Company()
    session.flush()
    ready = [(other, free) for other, free in _ready(services, session, others, now=now)]
    told: list[Contact] = []
    if policy.contacts is Contacts.MERGE and _has_room(services, mine):
        fitting = [other for other, _ in ready if _goes_with(services, mine, other, now=now)]
        fitting.sort(key=lambda other: (other.due_at, other.file.account.id))
        told = fitting[: most_told(mine.rung.channel)]
    left = [other.waiting for other, free in ready if free and other not in told]
    turn = behind(mine.waiting, left, now=now)
    return Company(turn=turn) if turn is not None else Company(tuple(told))


def _ready(
    services: Services, session: Session, others: Sequence[str], *, now: datetime
) -> Iterator[tuple[Contact, bool]]:
    """Contacts about `others` that nothing of their own stands in the way of.

    And whether each would go now by itself: it is not put off to a later hour, and it is its turn.
    """
    for account_id in _stirring(services, session, others, now=now):
        file = read_case_file(session, account_id)
        try:
            ladder = ladder_of(services, session, file, now=now)
        except UnknownLadder:
            continue
        if ladder.several.contacts is Contacts.EACH or any(s.status == StepStatus.INTENDED for s in file.steps):
            continue
        case = snapshot_of(services, file, now=now, turn=turn_of(services, session, file, ladder, now=now))
        made = would_make(not_put_off(case), ladder, now=now)
        if made is None or not made.rung.takes_turns:
            continue
        found = _allowed(services, session, file, ladder, made, now=now)
        if found is not None:
            yield found, would_make(case, ladder, now=now) == made


def _allowed(
    services: Services, session: Session, file: CaseFile, ladder: Ladder, made: Perform, *, now: datetime
) -> Contact | None:
    proposal = proposal_of(file, made.rung)
    facts = gate_facts(services, session, file, ladder, made.rung, now=now)
    verdict = gate(proposal, services.rulebook, facts, now=now)
    if not isinstance(verdict, Allow):
        return None
    return Contact(file, made.rung, made.attempt, made.due_at, proposal, facts, verdict)


def _stirring(services: Services, session: Session, others: Sequence[str], *, now: datetime) -> list[str]:
    """Accounts with something to do soon, which no failure holds back."""
    case = models.Case
    return list(
        session.exec(
            select(case.account_id)
            .where(
                col(case.account_id).in_(others),
                col(case.status).in_((CaseStatus.DELINQUENT, CaseStatus.HELD)),
                col(case.next_due_at) <= now + _A_DAY,
                or_(col(case.retry_at).is_(None), col(case.retry_at) <= services.clock.wall()),
            )
            .order_by(col(case.due_date), col(case.account_id))
        )
    )


def _has_room(services: Services, contact: Contact) -> bool:
    """Whether the message's own words can name other accounts."""
    kind = TEMPLATE_KINDS[contact.rung.channel]
    return services.catalog.tells_of_others(kind, contact.rung.template, contact.file.account.locale)


def _goes_with(services: Services, mine: Contact, other: Contact, *, now: datetime) -> bool:
    """Whether the message of `mine` can speak for `other`: it would go to the same place and owe it no other words."""
    if not alike(mine.rung, other.rung) or not _has_room(services, other):
        return False
    if _sender_and_place(services, mine) != _sender_and_place(services, other):
        return False
    book = services.rulebook
    words = set(required_words(mine.proposal, book, mine.facts, now=now))
    return set(required_words(other.proposal, book, other.facts, now=now)) == words


def _sender_and_place(services: Services, contact: Contact) -> tuple[str, ...]:
    account = contact.file.account
    common = (account.creditor or services.settings.creditor, contact.proposal.actor, account.locale)
    if contact.rung.channel is not ChannelName.LETTER:
        return (*common, contact.proposal.number)
    return (
        *common,
        account.name,
        account.street,
        account.city,
        account.region,
        account.postal_code,
        account.country,
    )
