"""Placement with an agency: an account's row is the effect; the file of the day follows the rows."""

from __future__ import annotations

from datetime import UTC, date
from typing import Any

from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import Session, col, select

import models
from arrears.channels.agency import PlacementFileError, PlacementFolder, PlacementRow
from arrears.channels.effect import Absent, Done, Finding, Found, Intent, Outcome, Refused
from arrears.clock import Clock
from arrears.ledger.database import Ledger
from arrears.operations.brakes import stopped_why


class AgencyChannel:
    """Places an account: a row of its agency's batch of the day, committed with the batch marked unwritten.

    The file is written once for many rows, by `write_placement_files`: written anew for each, ten
    thousand placements of one day would write fifty million rows.
    """

    def __init__(self, ledger: Ledger, folder: PlacementFolder) -> None:
        self._ledger = ledger
        self._folder = folder

    def perform(self, intent: Intent) -> Outcome:
        """Commit the placement; the file is owed from then on."""
        agency, day = intent.payload["agency"], intent.at.astimezone(UTC).date()
        try:
            self._folder.path(agency, day)
        except PlacementFileError as error:
            return Refused("placement", str(error))
        with self._ledger.write() as session:
            if session.get(models.Placement, intent.reference) is None:
                session.add(_placement(intent, agency, day))
                session.flush()
                _mark_unwritten(session, agency, day)
        return Done(f"placement:{intent.reference}")

    def look_up(self, intent: Intent) -> Finding:
        """The placements are in the ledger: what is there happened, what is not did not."""
        with self._ledger.read() as session:
            there = session.get(models.Placement, intent.reference) is not None
        return Found(f"placement:{intent.reference}") if there else Absent()


def write_placement_files(ledger: Ledger, folder: PlacementFolder, clock: Clock) -> tuple[str, ...]:
    """Let every unwritten file hold its placements; what could not be written, in one line each.

    Written from the ledger's rows under the lock of the batch, so the same rows give the same bytes and
    whatever a crash left behind is made good by the next writer. Nothing leaves while the kill switch is
    pulled.
    """
    with ledger.read() as session:
        if stopped_why(session) is not None:
            return ()
        owed = session.exec(
            select(models.PlacementBatch)
            .where(col(models.PlacementBatch.unwritten))
            .order_by(col(models.PlacementBatch.day), col(models.PlacementBatch.agency))
        ).all()
    problems: list[str] = []
    for batch in owed:
        try:
            _write(ledger, folder, clock, batch.agency, batch.day)
        except OSError as error:
            problems.append(f"placement file of {batch.agency}, {batch.day}: {error.strerror or type(error).__name__}")
        except PlacementFileError as error:
            problems.append(str(error))
    return tuple(problems)


def _write(ledger: Ledger, folder: PlacementFolder, clock: Clock, agency: str, day: date) -> None:
    with ledger.write() as session:
        batch = session.exec(
            select(models.PlacementBatch)
            .where(models.PlacementBatch.agency == agency, models.PlacementBatch.day == day)
            .with_for_update()
        ).one()
        if not batch.unwritten:
            return
        rows = session.exec(
            select(models.Placement).where(models.Placement.agency == agency, models.Placement.day == day)
        ).all()
        manifest = folder.write(agency, day, [PlacementRow.from_json(placed.row) for placed in rows])
        batch.path, batch.count, batch.sha256 = manifest.path, manifest.count, manifest.sha256
        batch.written_at, batch.unwritten = clock.now(), False
        session.add(batch)


def _placement(intent: Intent, agency: str, day: date) -> models.Placement:
    row: dict[str, Any] = intent.payload["row"]
    return models.Placement(
        reference=intent.reference,
        account_id=intent.account_id,
        case_id=intent.payload["case_id"],
        agency=agency,
        day=day,
        balance=row["balance"]["amount"],
        currency=row["balance"]["currency"],
        status="placed",
        row=row,
        at=intent.at,
    )


def _mark_unwritten(session: Session, agency: str, day: date) -> None:
    """The batch owes its file. Whoever writes it meanwhile is waited for, and so wrote without this row."""
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else pg_insert
    values = {"agency": agency, "day": day, "path": "", "count": 0, "sha256": "", "unwritten": True}
    session.connection().execute(
        insert(models.PlacementBatch)
        .values(**values)
        .on_conflict_do_update(index_elements=["agency", "day"], set_={"unwritten": True})
    )
