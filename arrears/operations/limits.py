"""Claims that come near their limitation and are not in court: whoever must act is told in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, or_, select

import models
from arrears.engine.delinquency import local_date
from arrears.engine.vocabulary import CaseStatus
from arrears.ledger.cases import CaseFile, lock_person, read_case_file
from arrears.ledger.database import LedgerAway
from arrears.operations.services import Services
from arrears.operations.work import Work, open_item


def limitation_shown(services: Services, file: CaseFile, *, now: datetime) -> dict[str, Any] | None:
    """The claim's limitation as `arrears show --json` has it; None where no period is known."""
    reckoned = services.limitation_of(file)
    if reckoned is None:
        return None
    left = reckoned.days_left(local_date(now, file.zone))
    return {
        "rule": reckoned.rule,
        "years": reckoned.years,
        "source": reckoned.source,
        "verified": reckoned.verified,
        "counted_from": reckoned.counted_from.isoformat(),
        "because": reckoned.because,
        "ends": reckoned.ends.isoformat(),
        "days_left": max(left, 0),
        "time_barred": left <= 0,
    }


def limitation_in_words(shown: dict[str, Any] | None) -> str:
    """`time-barred from 2029-08-01 (1096 days left): 3 years from 2026-08-01, first missed due date (…)`."""
    if shown is None:
        return "limitation: no period is known for this place; nothing is referred until a person has looked"
    when = "TIME-BARRED since" if shown["time_barred"] else "time-barred from"
    left = "" if shown["time_barred"] else f" ({shown['days_left']} days left)"
    unsure = "" if shown["verified"] else ", not verified"
    return (
        f"limitation: {when} {shown['ends']}{left}: {shown['years']} years from {shown['counted_from']}, "
        f"{shown['because']} ({shown['rule']}, {shown['source']}{unsure})"
    )


def heed_limit(services: Services, session: Session, file: CaseFile, *, at: datetime) -> None:
    """Keep the case's limitation on record, and tell a person, once a limit, when it has come near.

    In the caller's transaction, which holds the case's lock.
    """
    case, known = file.case, vars(file.case)
    ends = services.limitation_ends(file)
    if known["limitation_ends"] != ends:
        case.limitation_ends = ends
    if ends is None or known["limit_told"] == ends or known["status"] == CaseStatus.CLOSED:
        return
    left = _days_left(file.account, ends, at)
    if not _is_near(services, file.account, left):
        return
    case.limit_told = ends
    said = f"time-barred from {ends}, in {left} days" if left > 0 else f"time-barred since {ends}"
    open_item(
        session, file.account.id, Work.LIMITATION, key=f"{case.id}/{ends}", note=f"not in court, and {said}", at=at
    )


def _is_near(services: Services, account: models.Account, left: int) -> bool:
    return left <= services.referral_policy(account).warning_days


def _days_left(account: models.Account, ends: date, at: datetime) -> int:
    return (ends - local_date(at, account.zones[0] if account.zones else "")).days


@dataclass(frozen=True, slots=True)
class Told:
    """How many cases were looked at, and the accounts of those that could not be."""

    looked_at: int
    failed: tuple[str, ...]


def tell_of_limits(services: Services) -> Told:
    """Look at the open cases whose limit has come near without anybody looking.

    A case that waits for a person is not advanced, and its limit comes near all the same. One that cannot be looked at
    keeps no other waiting.
    """
    now = services.clock.now()
    horizon = now.date() + timedelta(days=services.referrals.warning_days + 1)
    with services.ledger.read() as session:
        found = session.exec(
            select(models.Case, models.Account)
            .join(models.Account, col(models.Account.id) == col(models.Case.account_id))
            .where(
                models.Case.status != CaseStatus.CLOSED,
                col(models.Case.limitation_ends) <= horizon,
                or_(col(models.Case.limit_told).is_(None), models.Case.limit_told != models.Case.limitation_ends),
            )
            .order_by(col(models.Case.limitation_ends), col(models.Case.account_id))
        ).all()
    near = [
        account.id
        for case, account in found
        if case.limitation_ends is not None
        and _is_near(services, account, _days_left(account, case.limitation_ends, now))
    ]
    failed: list[str] = []
    for account_id in near:
        try:
            with services.ledger.write() as session:
                lock_person(session, account_id)
                heed_limit(services, session, read_case_file(session, account_id, lock=True), at=now)
        except LedgerAway:
            raise
        except Exception:
            failed.append(account_id)
    return Told(len(near) - len(failed), tuple(failed))
