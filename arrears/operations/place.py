"""Placement with an agency: one file per agency and day, written under the lock of its batch row."""

from __future__ import annotations

from datetime import UTC, date
from typing import Any

from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import Session, col, select

import models
from arrears.channels.agency import Manifest, PlacementFileError, PlacementFolder, PlacementRow
from arrears.channels.effect import (
    Absent,
    Done,
    Finding,
    Found,
    Intent,
    LookUpFailed,
    Outcome,
    Refused,
    TryAgain,
    Unprovable,
)
from arrears.ledger.database import Ledger


class AgencyChannel:
    """Adds an account to its agency's file of the day.

    The file is written anew from the ledger's rows each time, so the same rows give the same bytes, and
    what a crash left behind is corrected by the next writer.
    """

    def __init__(self, ledger: Ledger, folder: PlacementFolder) -> None:
        self._ledger = ledger
        self._folder = folder

    def perform(self, intent: Intent) -> Outcome:
        """Write the day's file with this account in it, then keep the placement."""
        agency, day = _batch_of(intent)
        try:
            with self._ledger.write() as session:
                batch = _locked_batch(session, agency, day)
                keep_placement(session, intent)
                session.flush()
                rows = session.exec(
                    select(models.Placement).where(models.Placement.agency == agency, models.Placement.day == day)
                ).all()
                manifest = self._folder.write(agency, day, [PlacementRow.from_json(row.row) for row in rows])
                _keep_batch(session, batch, manifest, intent)
        except OSError as error:
            return TryAgain(f"placement file of {agency}: {error.strerror or type(error).__name__}")
        except PlacementFileError as error:
            return Refused("placement", str(error))
        return Done(f"placement:{intent.reference}", {"file": manifest.path, "sha256": manifest.sha256})

    def look_up(self, intent: Intent) -> Finding:
        """The day's file either lists the placement or does not. What it lists is kept at once.

        Otherwise the next writer, who writes the file from the rows, would take it out again.
        """
        agency, day = _batch_of(intent)
        try:
            if not self._folder.lists(agency, day, intent.reference):
                return Absent()
            with self._ledger.write() as session:
                batch = _locked_batch(session, agency, day)
                manifest = self._folder.manifest(agency, day)
                if manifest is None or not self._folder.lists(agency, day, intent.reference):
                    return Absent()
                keep_placement(session, intent)
                _keep_batch(session, batch, manifest, intent)
        except OSError as error:
            return LookUpFailed(f"placement file of {agency}: {error.strerror or type(error).__name__}")
        except PlacementFileError as error:
            return Unprovable(str(error))
        return Found(f"placement:{intent.reference}")


def keep_placement(session: Session, intent: Intent) -> None:
    """The placement's row, added unless it is there."""
    if session.get(models.Placement, intent.reference) is not None:
        return
    agency, day = _batch_of(intent)
    row: dict[str, Any] = intent.payload["row"]
    session.add(
        models.Placement(
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
    )


def _keep_batch(session: Session, batch: models.PlacementBatch, manifest: Manifest, intent: Intent) -> None:
    batch.path, batch.count, batch.sha256 = manifest.path, manifest.count, manifest.sha256
    batch.written_at = intent.at
    session.add(batch)


def _batch_of(intent: Intent) -> tuple[str, date]:
    return intent.payload["agency"], intent.at.astimezone(UTC).date()


def _locked_batch(session: Session, agency: str, day: date) -> models.PlacementBatch:
    """The batch row, locked. Two first writers of a day meet at its primary key, one of them waits."""
    if session.get(models.PlacementBatch, (agency, day)) is None:
        insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else pg_insert
        empty = {"path": "", "count": 0, "sha256": ""}
        session.connection().execute(
            insert(models.PlacementBatch).values(agency=agency, day=day, **empty).on_conflict_do_nothing()
        )
    return session.exec(
        select(models.PlacementBatch)
        .where(col(models.PlacementBatch.agency) == agency, col(models.PlacementBatch.day) == day)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
