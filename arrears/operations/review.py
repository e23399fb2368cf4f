"""What waits for a person: unproved steps, contacts in review, approvals, halted cases, what holders ask for."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import col, select

import models
from arrears.channels.letter import UNWRITTEN
from arrears.engine.vocabulary import CaseStatus, StepStatus
from arrears.operations.hand_over import UNKNOWN, stuck_handoffs
from arrears.operations.overdue import overdue
from arrears.operations.services import Services, ledger_clock
from arrears.operations.standstill import LEFTOVER
from arrears.operations.work import Work, open_items


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing a person must decide, and the command that does it. `account_id` is empty where it concerns none."""

    account_id: str
    rung: str
    reason: str
    do: str


_BATCH = "arrears letters batch"
_SPACE = "make room where ARREARS_OUTBOX is; what waits is tried again by itself"


def waiting_for_people(services: Services, *, limit: int = 200) -> list[Waiting]:
    """Everything that only a person can move, the unproved steps first."""
    now = ledger_clock(services).now()
    with services.ledger.read() as session:
        unknown = session.exec(
            select(models.Step)
            # What was told within another account's contact is settled with that.
            .where(models.Step.status == StepStatus.UNKNOWN, models.Step.carried_by == "")
            .order_by(col(models.Step.id))
            .limit(limit)
        ).all()
        review = session.exec(
            select(models.Step)
            .where(models.Step.status == StepStatus.PLANNED, col(models.Step.needs_person))
            .order_by(col(models.Step.id))
            .limit(limit)
        ).all()
        halted = session.exec(
            select(models.Case)
            .where(models.Case.status == CaseStatus.HALTED)
            .order_by(col(models.Case.id))
            .limit(limit)
        ).all()
        leftovers = session.exec(
            select(models.Case)
            .where(models.Case.status == CaseStatus.HELD, col(models.Case.next_reason).contains(LEFTOVER))
            .order_by(col(models.Case.id))
            .limit(limit)
        ).all()
        handoffs = stuck_handoffs(session)
        items = open_items(session, now=now, limit=limit)
        unanswered = overdue(services, session, now=now, limit=limit)
        stale = session.exec(
            select(models.Hold)
            .where(col(models.Hold.released_at).is_(None), col(models.Hold.review_on) <= now.date())
            .order_by(col(models.Hold.id))
            .limit(limit)
        ).all()
        stuck = session.exec(
            select(models.Case)
            .where(
                models.Case.status == CaseStatus.DELINQUENT,
                col(models.Case.next_due_at).is_(None),
                col(models.Case.next_rung).is_not(None),
            )
            .order_by(col(models.Case.id))
            .limit(limit)
        ).all()
        batches = session.exec(
            select(models.PrintBatch)
            .where(col(models.PrintBatch.unwritten), col(models.PrintBatch.lease_until).is_(None))
            .order_by(col(models.PrintBatch.id))
        ).all()
        unwritten = session.exec(
            select(models.Case)
            .where(col(models.Case.retry_at).is_not(None), col(models.Case.next_reason).contains(UNWRITTEN))
            .order_by(col(models.Case.id))
            .limit(limit)
        ).all()
    files = [Waiting("", "", f"{h.kind} file {h.path} for {h.partner}: {h.problem}", _next(h)) for h in handoffs]
    reviewed = {(step.account_id, step.rung) for step in review}
    return [
        *(
            Waiting(s.account_id, s.rung, s.reason, f"arrears settle {s.account_id} {s.rung} done|again|skip")
            for s in unknown
        ),
        *(Waiting(s.account_id, s.rung, s.reason, f"arrears approve {s.account_id} {s.rung}") for s in review),
        *(Waiting(c.account_id, "", f"halted: {c.halted_why}", f"arrears resume {c.account_id}") for c in halted),
        *(Waiting(c.account_id, "", LEFTOVER, f"arrears leftover {c.account_id} --keep|--waive") for c in leftovers),
        *files,
        *(Waiting(i.account_id or "", "", _asked(i), _what_to_do(i)) for i in items),
        *(
            Waiting(o.account_id, "", o.what, f"ask them; arrears agency report {o.placement} acknowledged|returned")
            for o in unanswered
        ),
        *(
            Waiting(
                h.account_id,
                "",
                f"hold {h.kind} was to be looked at again on {h.review_on}",
                f"arrears release {h.account_id} {h.kind}",
            )
            for h in stale
        ),
        *(Waiting("", "", f"batch {b.id} of letters is begun and not written", _BATCH) for b in batches),
        *(Waiting("", "", f"{len(unwritten)} cases: {unwritten[0].next_reason}", _SPACE) for _ in unwritten[:1]),
        *(
            Waiting(c.account_id, c.next_rung or "", c.next_reason, f"arrears show {c.account_id}")
            for c in stuck
            if (c.account_id, c.next_rung) not in reviewed
        ),
    ]


def _next(handoff: models.Handoff) -> str:
    if handoff.status == UNKNOWN:
        return f"arrears agency settle-file {handoff.id} arrived|again"
    return f"arrears agency send --partner {handoff.partner}"


def _asked(item: models.WorkItem) -> str:
    """What the item is about. The holder's and the firm's own words stay with it; what we say is ours to read."""
    match item.kind:
        case Work.TEXTS | Work.ADDRESS | Work.LETTERS | Work.LIMITATION | Work.NO_AGENCY | Work.PARTNER_FILE:
            return item.note
        case Work.DOCUMENTS:
            return f"not on file: {item.note}"
        case Work.REFERRAL:
            return f"referral {item.note.partition(':')[0]}"
        case _:
            return item.kind


def _what_to_do(item: models.WorkItem) -> str:
    attend = f"arrears attend {item.id} --by NAME --answer TEXT"
    if item.kind == Work.DOCUMENTS:
        return f"arrears legal documents {item.account_id}, then arrears legal document {item.account_id} KIND FILE"
    return attend
