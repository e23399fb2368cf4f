"""Why a case stands still, whatever the reason: holds, promises and plans, charges left over."""

from __future__ import annotations

from datetime import datetime

import models
from arrears.engine.case import Case, Suspension, Turn
from arrears.engine.contact.holds import suspension
from arrears.engine.ladder import Leftover, Terms
from arrears.engine.life.arrangements import Arrangement, arrangements, last_broken, pause
from arrears.engine.life.books import Books
from arrears.engine.life.events import Plan, Promise
from arrears.ledger.cases import CaseFile
from arrears.operations.approvals import approval_of
from arrears.operations.services import Services, UnknownLadder

LEFTOVER = "only fees and interest are left; a person must decide whether to keep or to waive them"


def standstill(services: Services, file: CaseFile, *, now: datetime) -> Suspension | None:
    """Why nothing goes out for the case at `now`, and until when if every reason has an end."""
    reasons = [
        suspension(file.actor, services.rulebook, file.facts(), now=now) if file.is_held else None,
        pause(arranged(services, file, now=now)),
        Suspension(LEFTOVER, None) if _only_charges_left(services, file) else None,
    ]
    found = [reason for reason in reasons if reason is not None]
    if not found:
        return None
    ends = [reason.until for reason in found if reason.until is not None]
    return Suspension("; ".join(reason.reason for reason in found), max(ends) if len(ends) == len(found) else None)


def arranged(services: Services, file: CaseFile, *, now: datetime) -> tuple[Arrangement, ...]:
    """The account's promises and plans as they stand at `now`."""
    if not any(isinstance(event, Promise | Plan) for event in file.life):
        return ()
    grace_days = terms_of(services, file.case).grace_days
    return arrangements(file.life, books_of(services, file).receipts, zone=file.zone, grace_days=grace_days, now=now)


def books_of(services: Services, file: CaseFile) -> Books:
    """What the account owes, charges left over judged by the case's ladder.

    Though an earlier delinquency's were judged by that one's: of the books, only charges may differ by it.
    """
    return file.books(waives=waives(services, file.case))


def _only_charges_left(services: Services, file: CaseFile) -> bool:
    # The inbox knows every case's ladder: what it says is not owed has been waived.
    return bool(file.life) and file.account.amount_due > 0 and books_of(services, file).residue


def waives(services: Services, case: models.Case) -> bool:
    """Whether the case's ladder waives charges that are left over."""
    return terms_of(services, case).leftover_charges is Leftover.WAIVE


def broken_at(services: Services, file: CaseFile, *, now: datetime) -> datetime | None:
    """When the last arrangement of this case broke, if nothing was agreed upon since.

    Its own are those since the delinquency before it ended, whenever the case was opened.
    """
    found = arranged(services, file, now=now)
    if not found:
        return None
    ended = [e.closed_at for e in books_of(services, file).episodes if e.began < file.case.began and e.closed_at]
    broken = last_broken(each for each in found if not ended or each.made_at >= ended[-1])
    return broken.ended_at if broken is not None else None


def snapshot_of(
    services: Services, file: CaseFile, *, now: datetime, turn: Turn | None = None, papers_lacking: str = ""
) -> Case:
    """What `decide` is told about the case at `now`."""
    return file.snapshot(
        suspension=standstill(services, file, now=now),
        broken_at=broken_at(services, file, now=now),
        limitation_ends=services.limitation_ends(file),
        approvals={rung: approval_of(services, file, rung, now=now) for rung in file.approvals},
        papers_lacking=papers_lacking,
        turn=turn,
    )


def terms_of(services: Services, case: models.Case) -> Terms:
    """What promises are worth by the case's ladder; the usual where the policies no longer hold it."""
    try:
        return services.ladder(case.ladder, case.ladder_version).terms
    except UnknownLadder:
        return Terms()
