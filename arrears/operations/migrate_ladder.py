"""Move cases to another version of their ladder, on purpose and with a record of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select

import models
from arrears.engine.vocabulary import CaseStatus
from arrears.ledger.events import log_event
from arrears.operations.services import Services, find_ladder
from arrears.operations.wake import make_due


@dataclass(frozen=True, slots=True)
class Migration:
    """How many open cases moved (or would), by the version they came from."""

    to: str
    moved: dict[str, int]
    dry_run: bool


def migrate_ladder(
    services: Services, name: str, version: int | None, *, accounts: list[str], who: str, at: datetime, dry_run: bool
) -> Migration:
    """Move open cases on `name` to `version` (default the current one); all of them, or just `accounts`.

    Steps already made count on the new ladder by their rung's name. Raises UnknownLadder.
    """
    ladder = find_ladder(services.ladders, name if version is None else f"{name}@{version}")
    moved: dict[str, int] = {}
    with services.ledger.write() as session:
        query = select(models.Case).where(
            models.Case.ladder == name,
            models.Case.ladder_version != ladder.version,
            models.Case.status != CaseStatus.CLOSED,
        )
        if accounts:
            query = query.where(col(models.Case.account_id).in_(accounts))
        for case in session.exec(query.with_for_update()).all():
            before = f"{case.ladder}@{case.ladder_version}"
            moved[before] = moved.get(before, 0) + 1
            if dry_run:
                continue
            case.ladder_version = ladder.version
            log_event(
                session,
                "ladder",
                who=who,
                at=at,
                wall=services.clock.wall(),
                case=case,
                why=f"{before} to {ladder.id}",
            )
            make_due(session, case, at=at)
    return Migration(ladder.id, moved, dry_run)
