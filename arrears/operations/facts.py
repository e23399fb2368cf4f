"""What the gate is told about a case, read in the transaction that will commit the intent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from sqlmodel import Session

from arrears.engine.contact.facts import Facts, NoticeGiven, Proposal, contact_channel
from arrears.engine.delinquency import days_past_due
from arrears.engine.ladder import Ladder, Rung
from arrears.engine.vocabulary import Stage, StepStatus
from arrears.ledger.cases import CaseFile
from arrears.ledger.contacts import lock_holder, read_consents, read_contacts, read_notices
from arrears.operations.approvals import approval_of
from arrears.operations.services import Services

# A creditor that has charged the debt off counts as one that has accelerated it.
_CHARGE_OFF = "charge_off"


def ladder_of(services: Services, session: Session, file: CaseFile, *, now: datetime) -> Ladder:
    """The ladder the case climbs: its own, with the notices that the law wants of it. Raises UnknownLadder."""
    own = services.ladder(file.case.ladder, file.case.ladder_version)
    facts, day = file.facts(), now.date()
    lawful = services.lawful_ladder(own, facts, day)
    if lawful is own:
        return own
    on_record = read_notices(session, file.account.id, since=_beginning(file))
    return services.lawful_ladder(own, replace(facts, notices=on_record), day) if on_record else lawful


def proposal_of(file: CaseFile, rung: Rung) -> Proposal:
    """The contact that a rung would make."""
    return Proposal(
        channel=contact_channel(rung.channel),
        actor=file.actor,
        purpose=rung.purpose,
        number=file.number_for(rung.channel),
        debt=file.account.id,
    )


def gate_facts(
    services: Services, session: Session, file: CaseFile, ladder: Ladder, rung: Rung, *, now: datetime
) -> Facts:
    """Everything the gate turns on for `rung`, with the person's counters locked until the commit."""
    lock_holder(session, file.account.holder_id)
    return read_facts(services, session, file, ladder, rung, now=now)


def read_facts(
    services: Services, session: Session, file: CaseFile, ladder: Ladder, rung: Rung, *, now: datetime
) -> Facts:
    """`gate_facts` without the lock: for explanations."""
    account, rulebook = file.account, services.rulebook
    dpd = days_past_due(file.case.due_date, now, file.zone)
    return file.facts(
        history=read_contacts(session, account.holder_id, now=now, days=rulebook.days_of_memory),
        consents=read_consents(session, account.id),
        notices=(*_given(file, ladder), *read_notices(session, account.id, since=_beginning(file))),
        approved=approval_of(services, file, rung.name, now=now).complete,
        limitation_ends=services.limitation_ends(file),
        days_past_due=dpd,
        accelerated=_charged_off(services, file, dpd) or _threatened(file, ladder),
    )


def _given(file: CaseFile, ladder: Ladder) -> tuple[NoticeGiven, ...]:
    by_name = ladder.by_name
    return tuple(
        NoticeGiven(rung.gives, of["at"])
        for of in map(vars, file.steps)
        if of["status"] == StepStatus.DONE and of["at"] and (rung := by_name.get(of["rung"])) and rung.gives
    )


def _charged_off(services: Services, file: CaseFile, dpd: int) -> bool:
    passed = services.rulebook.milestones(tuple(file.account.jurisdictions))
    return any(rule.milestone == _CHARGE_OFF and dpd >= rule.dpd for rule in passed)


def _threatened(file: CaseFile, ladder: Ladder) -> bool:
    by_name = ladder.by_name
    return any(
        of["status"] == StepStatus.DONE
        and (of["stage"] == Stage.LEGAL or ((rung := by_name.get(of["rung"])) is not None and rung.threatens_suit))
        for of in map(vars, file.steps)
    )


def _beginning(file: CaseFile) -> datetime:
    """When this episode began: notices of an earlier one do not count."""
    return datetime.combine(file.case.due_date, time(0), tzinfo=UTC) - timedelta(days=1)
