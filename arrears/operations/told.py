"""What is told about one account within the contact of another: settled, put back and withdrawn with it.

The caller holds the locks of the person whose accounts they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, select

import models
from arrears.engine.vocabulary import CaseStatus, ChannelName, Disposition, StepStatus
from arrears.ledger.cases import step_named
from arrears.ledger.events import log_event
from arrears.operations.wake import make_due, raise_stage

# The ids of the accounts that a step tells about as well, in its payload.
CARRIES = "carries"
# Of a carrier's payload, what the steps it carries keep as their own: what was said, and where it is.
_SAID = ("to", "body", "number", "script", "template", "locale", "path", "sha256")


def what_was_said(payload: dict[str, object]) -> dict[str, object]:
    """The part of a carrier's payload that is as true of what it carries."""
    return {name: payload[name] for name in _SAID if name in payload}


def told_with(session: Session, carrier: models.Step) -> list[models.Step]:
    """The steps about other accounts that `carrier` tells about."""
    if not carrier.payload.get(CARRIES):
        return []
    return list(
        session.exec(
            select(models.Step)
            .where(models.Step.carried_by == carrier.reference)
            .order_by(col(models.Step.id))
            .execution_options(populate_existing=True)
        )
    )


def carrier_of(session: Session, step: models.Step) -> models.Step:
    """The step within whose contact `step` is told."""
    query = select(models.Step).where(models.Step.reference == step.carried_by)
    return session.exec(query.execution_options(populate_existing=True)).one()


def told_in(carrier: models.Step) -> str:
    """`told in sms-1 of A-1 (7K3M9QXZ)`."""
    return f"told in {carrier.rung} of {carrier.account_id} ({carrier.reference})"


def settle_told(
    session: Session, carrier: models.Step, *, retry_at: datetime | None = None, who: str, at: datetime, wall: datetime
) -> None:
    """Let the steps that `carrier` carries share its fate: done with it, in doubt with it, or due again."""
    match StepStatus(carrier.status):
        case StepStatus.INTENDED:
            return
        case StepStatus.DONE | StepStatus.UNKNOWN as status:
            for step in told_with(session, carrier):
                if step.status not in (StepStatus.INTENDED, StepStatus.UNKNOWN):
                    continue
                case = _case(session, step)
                step.status, step.proof, step.at = status, carrier.proof, carrier.at
                case.retry_at = None
                if status is StepStatus.DONE:
                    raise_stage(case, step)
                _log(session, str(status), step, case, told_in(carrier), carrier=carrier, who=who, at=at, wall=wall)
        case StepStatus.PLANNED | StepStatus.FAILED | StepStatus.SKIPPED:
            unsettled = (StepStatus.INTENDED, StepStatus.UNKNOWN)
            steps = [step for step in told_with(session, carrier) if step.status in unsettled]
            why = f"{carrier.rung} of {carrier.account_id}, in which it was to be told, was not made"
            put_back(session, carrier, steps, why, retry_at=retry_at, who=who, at=at, wall=wall)


def put_back(
    session: Session,
    carrier: models.Step,
    steps: Iterable[models.Step],
    why: str,
    *,
    retry_at: datetime | None = None,
    who: str,
    at: datetime,
    wall: datetime,
) -> None:
    """What was not told in `carrier` after all is due again, each for itself; of a closed case it is skipped."""
    for step in steps:
        case = _case(session, step)
        step.status, step.at, step.reason, step.carried_by, step.payload = StepStatus.PLANNED, None, why, "", {}
        if case.status == CaseStatus.CLOSED:
            step.status, step.at, step.reason = StepStatus.SKIPPED, at, f"case closed: {case.outcome}"
        else:
            case.retry_at = retry_at
        what = "put back" if step.status == StepStatus.PLANNED else "skipped"
        _log(session, what, step, case, step.reason, carrier=carrier, who=who, at=at, wall=wall)


def told_after_all(session: Session, carrier: models.Step, *, who: str, at: datetime, wall: datetime) -> None:
    """What was put back because `carrier` was taken for never made has been told in it, unless it is told again."""
    if not (accounts := carrier.payload.get(CARRIES)):
        return
    events = session.exec(
        select(models.Event)
        .where(col(models.Event.account_id).in_(accounts), col(models.Event.what).in_(("put back", "skipped")))
        .order_by(col(models.Event.id))
    )
    references = {event.data["reference"] for event in events if event.data.get("carried_by") == carrier.reference}
    for step in session.exec(select(models.Step).where(col(models.Step.reference).in_(references))):
        if step.status not in (StepStatus.PLANNED, StepStatus.SKIPPED) or step.proof:
            continue
        case = _case(session, step)
        step.status, step.proof, step.at, step.reason = StepStatus.DONE, carrier.proof, carrier.at, told_in(carrier)
        step.carried_by, step.payload, step.not_before = carrier.reference, what_was_said(carrier.payload), None
        step.unreached, step.again_at, step.needs_person = False, None, False
        raise_stage(case, step)
        why = f"it was {told_in(carrier)}, which was taken for never made"
        _log(session, "done", step, case, why, carrier=carrier, who=who, at=at, wall=wall)


def hear(session: Session, carrier: models.Step, disposition: Disposition, *, at: datetime) -> list[models.Step]:
    """The outcome of a call is that of everything told in it; a promise is the called account's alone."""
    heard = Disposition.RIGHT_PARTY_CONTACT if disposition is Disposition.PROMISE else disposition
    steps = told_with(session, carrier)
    for step in steps:
        step.disposition, step.disposed_at = heard, at
        session.add(step)
        make_due(session, _case(session, step), at=at)
    return steps


def withdraw_from_calls(
    session: Session, account_id: str, *, but: str = "", who: str, at: datetime, wall: datetime
) -> None:
    """Nobody is to be told about this account in a call that is still to be made about another.

    The call is made about that account alone; whatever else was to be told in it is due again. Of the case with the
    id `but` it is told still.
    """
    own = session.exec(
        select(models.Step).where(
            models.Step.account_id == account_id,
            models.Step.case_id != but,
            col(models.Step.channel) == ChannelName.CALL,
            models.Step.status == StepStatus.DONE,
            col(models.Step.carried_by) != "",
            col(models.Step.disposition).is_(None),
        )
    ).all()
    for step in own:
        carrier = carrier_of(session, step)
        task = session.get(models.CallTask, carrier.key, with_for_update=True)
        if task is None or task.status != "open":
            continue
        told = told_with(session, carrier)
        task.script = carrier.payload["alone"]
        carrier.payload = {name: value for name, value in carrier.payload.items() if name != CARRIES}
        carrier.payload |= {"script": task.script}
        session.add_all((task, carrier))
        why = f"{carrier.rung} of {carrier.account_id} is made without it"
        put_back(session, carrier, [other for other in told if other is not step], why, who=who, at=at, wall=wall)
        step.status, step.at, step.reason = StepStatus.SKIPPED, at, f"withdrawn before anybody called; {why}"
        _log(session, "skipped", step, _case(session, step), step.reason, carrier=carrier, who=who, at=at, wall=wall)


def withdraw_with_call(session: Session, task: models.CallTask, *, who: str, at: datetime, wall: datetime) -> None:
    """The call of `task` is not made: what was to be told in it about other accounts is due again."""
    carrier = step_named(session, task.key)
    if carrier is not None:
        why = f"{carrier.rung} of {carrier.account_id} was withdrawn before anybody called"
        put_back(session, carrier, told_with(session, carrier), why, who=who, at=at, wall=wall)


def _case(session: Session, step: models.Step) -> models.Case:
    return session.get_one(models.Case, step.case_id)


def _log(
    session: Session,
    what: str,
    step: models.Step,
    case: models.Case,
    why: str,
    *,
    carrier: models.Step,
    who: str,
    at: datetime,
    wall: datetime,
) -> None:
    """In the event it stays `carried_by` its carrier, where the step itself is not any more."""
    data = {"rung": step.rung, "attempt": step.attempt, "reference": step.reference, "carried_by": carrier.reference}
    session.add(step)
    make_due(session, case, at=at)
    log_event(session, what, who=who, at=at, wall=wall, case=case, why=why, data=data)
