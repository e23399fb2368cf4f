"""Call accounts back from agencies when it is time: paid, held, before a court, or long without result."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlmodel import Session

import models
from arrears.channels.agency import RecallRow
from arrears.clock import iso
from arrears.engine.contact.holds import suspension
from arrears.engine.ladder import RecallTerms
from arrears.engine.life.events import Payment
from arrears.engine.life.placements import Placement, RecallDue, Recalled, placements, recall_due
from arrears.engine.vocabulary import CaseStatus, Party
from arrears.ledger.cases import CaseFile, file_of
from arrears.ledger.events import log_event
from arrears.ledger.life import key_of, to_row
from arrears.ledger.owed import owe_file
from arrears.operations.services import Services, UnknownLadder
from arrears.operations.wake import raise_stage

RECALLS = "recalls"
# Outcomes that money decides, and that money can take back.
BY_MONEY = ("cured", "paid", "merged")


def placements_of(services: Services, file: CaseFile) -> tuple[Placement, ...]:
    """The case's placements as they stand."""
    return file.placements(lambda rung: _terms(services, file.case, rung))


def recall_what_is_due(
    services: Services, session: Session, file: CaseFile, *, at: datetime, who: str
) -> datetime | None:
    """Call back what is to be called back at `at`, in the caller's transaction; when to look again, if ever.

    The row of the recall is the effect: the file of the day follows it, as with placements.
    """
    if not file.ever_placed:
        return None
    held = suspension(Party.THIRD, services.rulebook, file.facts(), now=at)
    again: datetime | None = None
    for placement in placements_of(services, file):
        while (due := _due(file, placement, held.reason if held is not None else "", at)) is not None:
            if due.at > at:
                again = min(again, due.at) if again is not None else due.at
                break
            recall(services, session, file, placement, final=due.final, why=due.why, at=at, who=who)
            [placement] = placements([placement.placed], file.life)
    return again


def hand_on_placements(services: Services, session: Session, file: CaseFile, case: models.Case) -> None:
    """Let `case`, which answers from now on for what is owed, have what agencies work of the file's case."""
    if not file.ever_placed:
        return
    lasting = {each.placed.reference for each in placements_of(services, file) if not each.status.over}
    known = {(step.rung, step.attempt) for step in file_of(session, file.account, case).steps}
    for step in [step for step in file.steps if step.reference in lasting]:
        while (step.rung, step.attempt) in known:
            step.attempt += 1
        step.case_id = session.get_one(models.Placement, step.reference).case_id = case.id
        raise_stage(case, step)
        session.add(step)
    session.flush()


def _due(file: CaseFile, placement: Placement, held: str, now: datetime) -> RecallDue | None:
    case = file.case
    closed = case.status == CaseStatus.CLOSED
    return recall_due(
        placement,
        settled=file.account.amount_due <= 0 or (closed and case.outcome in ("cured", "paid")),
        held=held.partition(" ")[0],
        in_court=closed and case.outcome == "referred",
        last_paid_at=max((event.at for event in file.life if isinstance(event, Payment)), default=None),
        now=now,
    )


def recall(
    services: Services,
    session: Session,
    file: CaseFile,
    placement: Placement,
    *,
    final: bool,
    why: str,
    at: datetime,
    who: str,
) -> Recalled:
    """Call one account back in the caller's transaction: once pending, once finally."""
    placed, account_id = placement.placed, file.account.id
    day, reference = at.astimezone(UTC).date(), f"{placed.reference}/{'final' if final else 'pending'}"
    event = Recalled(key=key_of(RECALLS, reference), at=at, placement=placed.reference, final=final, why=why)
    told = to_row(event, account_id, received_at=at, via="recall", who=who)
    row = RecallRow(placed.reference, account_id, "final" if final else "pending", why.partition(":")[0], iso(at))
    session.add(told)
    file.life.append(event)
    session.add(
        models.Recall(
            placement=placed.reference,
            final=final,
            account_id=account_id,
            agency=placed.agency,
            day=day,
            why=why,
            row=row.to_json(),
            at=at,
        )
    )
    session.flush()
    owe_file(session, models.RecallBatch, placed.agency, day)
    data: dict[str, object] = {"placement": placed.reference, "final": final}
    log_event(session, "recalled", who=who, at=at, wall=services.clock.wall(), case=file.case, why=why, data=data)
    return event


def _terms(services: Services, case: models.Case, rung: str) -> RecallTerms:
    """The rung's terms; the usual where the policies no longer hold it."""
    try:
        return services.ladder(case.ladder, case.ladder_version).by_name[rung].recall
    except (UnknownLadder, KeyError):
        return RecallTerms()
