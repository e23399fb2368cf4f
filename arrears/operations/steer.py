"""What a person decides about a case: approve a rung, halt, resume, settle a step nobody could."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlmodel import Session, col, select

import models
from arrears.engine.approval import same_person
from arrears.engine.vocabulary import CaseStatus, ChannelName, StepStatus
from arrears.ledger.cases import CaseFile, lock_person, read_case_file
from arrears.ledger.events import log_event
from arrears.operations.approvals import approval_of
from arrears.operations.court import papers_of
from arrears.operations.deliveries import proof_of
from arrears.operations.facts import ladder_of, proposal_of
from arrears.operations.limits import limitation_in_words, limitation_shown
from arrears.operations.reconsider import say_whether_held
from arrears.operations.services import Services
from arrears.operations.told import settle_told
from arrears.operations.wake import make_due, mark_halted


class SteeringRefused(Exception):
    """Nothing was changed; the message says why."""


class Settlement(StrEnum):
    """A person's word on a step: it happened; it did not, make it again; go on without it."""

    DONE = "done"
    AGAIN = "again"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Approved:
    """What became of an approval. `new` is False when the rung was approved before; `missing`: people still needed."""

    new: bool
    missing: int


def approve(services: Services, account_id: str, rung: str, *, by: str, at: datetime) -> Approved:
    """Give the approval a rung asks for, as the first or the second person of two.

    Raises UnknownAccount and SteeringRefused, the latter when the same person would be both.
    """
    if not by.strip():
        raise SteeringRefused("an approval needs the name of the person who gives it")
    with services.ledger.write() as session:
        file = read_case_file(session, account_id, lock=True)
        _must_be_open(file.case)
        ladder = ladder_of(services, session, file, now=at)
        if rung not in ladder.by_name:
            raise SteeringRefused(f"ladder {ladder.id} has no rung {rung!r}; it has {', '.join(ladder.by_name)}")
        stands = approval_of(services, file, rung, now=at)
        if stands.complete:
            return Approved(new=False, missing=0)
        name = " ".join(by.split())
        if any(same_person(given.by) == same_person(name) for given in stands.counted):
            raise SteeringRefused(
                f"{name} has approved {rung} of account {account_id} already; the second approval must be another's"
            )
        balance = file.account.balance
        session.add(models.Approval(case_id=file.case.id, rung=rung, approved_by=name, at=at, balance=balance))
        count = len(stands.counted) + 1
        data: dict[str, object] = {"rung": rung, "approval": count, "of": stands.needed}
        wall = services.clock.wall()
        log_event(session, "approved", who=name, at=at, wall=wall, case=file.case, data=data)
        make_due(session, file.case, at=at)
        return Approved(new=True, missing=stands.needed - count)


def questions(services: Services, account_id: str, rung: str, *, at: datetime) -> list[tuple[str, str]]:
    """What whoever approves `rung` answers for: the rule that asks and its question; before court, the limitation."""
    with services.ledger.read() as session:
        file = read_case_file(session, account_id)
        asked = ladder_of(services, session, file, now=at).by_name.get(rung)
        if asked is None:
            return []
        docket = services.rulebook.docket(proposal_of(file, asked), file.facts(), at.date())
        found = [(rule.id, question) for rule in docket.stage_gates for question in rule.asks]
        if asked.channel is ChannelName.LEGAL:
            shown = limitation_shown(services, file, now=at)
            found.append((shown["rule"] if shown else "LIMITATION", limitation_in_words(shown)))
            if lacks := papers_of(services, session, file.account).lacks:
                found.append(("DOCUMENTS", f"not on file: {lacks}"))
        return found


def halt(services: Services, account_id: str, *, why: str, who: str, at: datetime, run_id: str = "") -> bool:
    """Stop a case until someone resumes it; False when it is halted or closed already.

    `run_id`: the timeline that an operator cancelled, which halts the case once: whoever resumed it since has seen it.
    """
    with services.ledger.write() as session:
        case = read_case_file(session, account_id, lock=True).case
        if case.status in (CaseStatus.HALTED, CaseStatus.CLOSED) or (run_id and _has_halted(session, case, run_id)):
            return False
        mark_halted(case, why)
        session.add(case)
        data = {"run": run_id} if run_id else {}
        log_event(session, "halted", who=who, at=at, wall=services.clock.wall(), case=case, why=why, data=data)
        return True


def _has_halted(session: Session, case: models.Case, run_id: str) -> bool:
    halts = select(models.Event).where(models.Event.account_id == case.account_id, models.Event.what == "halted")
    return any(event.data.get("run") == run_id for event in session.exec(halts))


def resume(services: Services, account_id: str, *, who: str, at: datetime) -> models.Case:
    """Let a halted case go on. Raises UnknownAccount and SteeringRefused."""
    with services.ledger.write() as session:
        file = read_case_file(session, account_id, lock=True)
        case = file.case
        if case.status != CaseStatus.HALTED:
            raise SteeringRefused(f"account {account_id} is {case.status}, not halted")
        case.halted_why, case.failures, case.retry_at = "", 0, None
        say_whether_held(services, file, at=at)
        log_event(session, "resumed", who=who, at=at, wall=services.clock.wall(), case=case)
        make_due(session, case, at=at)
        return case


def settle(
    services: Services, account_id: str, rung: str, settlement: Settlement, *, by: str, why: str, at: datetime
) -> StepStatus:
    """Settle the last step of `rung` by a person's word, where evidence could not.

    An unknown, failed or skipped step may be declared done, made again (as the same attempt where nothing of it has
    left, else as a further one), or left out. What it told about other accounts goes by the same word; if it was not
    told, those are due again. Raises UnknownAccount and SteeringRefused.
    """
    with services.ledger.write() as session:
        lock_person(session, account_id)
        file = read_case_file(session, account_id, lock=True)
        case, step = _to_settle(session, file, rung)
        if case.status == CaseStatus.CLOSED and (step.status != StepStatus.UNKNOWN or settlement is Settlement.AGAIN):
            _must_be_open(case)
        if step.status not in (StepStatus.UNKNOWN, StepStatus.FAILED, StepStatus.SKIPPED):
            raise SteeringRefused(f"{rung} attempt {step.attempt} is {step.status}; nothing to settle")
        step.needs_person, step.again_at = False, None
        match settlement:
            case Settlement.DONE:
                step.status = StepStatus.DONE
            case Settlement.AGAIN if _has_left(session, step):
                # What bears its reference is in the world: the rung is made again as a further attempt.
                step.status = StepStatus.FAILED if step.status == StepStatus.UNKNOWN else step.status
                step.again_at, step.unreached = at, False
                step.proof = step.proof or proof_of(session, step.reference) or ""
            case Settlement.AGAIN:
                step.status, step.at, step.not_before, step.carried_by = StepStatus.PLANNED, None, None, ""
                step.unreached = False
            case Settlement.SKIP:
                step.status = StepStatus.SKIPPED
        step.reason = f"settled by {by}: {why}"
        session.add(step)
        data = {"rung": rung, "attempt": step.attempt, "settled": str(settlement)}
        wall = services.clock.wall()
        log_event(session, "settled", who=by, at=at, wall=wall, case=case, why=why, data=data)
        settle_told(session, step, who=by, at=at, wall=wall)
        make_due(session, case, at=at)
        return StepStatus(step.status)


def _to_settle(session: Session, file: CaseFile, rung: str) -> tuple[models.Case, models.Step]:
    """The last step of the rung, unless nobody knows what became of an earlier case's: that comes first."""
    unknown = session.exec(
        select(models.Step, models.Case)
        .join(models.Case, col(models.Case.id) == col(models.Step.case_id))
        .where(
            models.Step.account_id == file.account.id,
            models.Step.rung == rung,
            models.Step.status == StepStatus.UNKNOWN,
        )
        .order_by(col(models.Step.id))
    ).first()
    if unknown is not None:
        return unknown[1], unknown[0]
    steps = [step for step in file.steps if step.rung == rung]
    if not steps:
        _must_be_open(file.case)
        raise SteeringRefused(f"account {file.account.id} has no step {rung!r} yet")
    return file.case, steps[-1]


def _has_left(session: Session, step: models.Step) -> bool:
    """Whether the text went out, or the call was queued: by the step itself, the provider's report, or the queue."""
    if step.channel not in (ChannelName.SMS, ChannelName.CALL):
        return False
    reported = proof_of(session, step.reference) is not None
    return bool(step.proof) or reported or session.get(models.CallTask, step.key) is not None


def _must_be_open(case: models.Case) -> None:
    if case.status == CaseStatus.CLOSED:
        raise SteeringRefused(f"the case of account {case.account_id} is closed: {case.outcome}")
