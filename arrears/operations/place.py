"""Placement with an agency: an account's row is the effect; the files of the day follow the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date
from typing import Any, cast

from sqlmodel import Session, col, select

import models
from arrears.channels.agency import AgencyFolder, Manifest, PlacementFileError, PlacementRow, RecallRow
from arrears.channels.effect import TAKEN, Absent, Done, Finding, Found, Intent, Outcome, Refused
from arrears.clock import Clock
from arrears.engine.partners import NO_PARTNERS, Partner, Partners
from arrears.ledger.claims import hold_fast
from arrears.ledger.database import Ledger
from arrears.ledger.owed import AgencyBatch, owe_file
from arrears.operations.brakes import stopped_why

# Placements whose numbers are looked up in one query.
_AT_ONCE = 500


class AgencyChannel:
    """Places an account: a row of its agency's batch of the day, committed with the batch marked unwritten.

    The file is written once for many rows, by `write_agency_files`: written anew for each, ten
    thousand placements of one day would write fifty million rows.
    """

    def __init__(self, ledger: Ledger, folder: AgencyFolder) -> None:
        self._ledger = ledger
        self._folder = folder

    def perform(self, intent: Intent) -> Outcome:
        """Commit the placement; the file is owed from then on."""
        return self.perform_all([intent])[0]

    def perform_all(self, intents: Sequence[Intent]) -> list[Outcome]:
        """Commit the placements in one transaction."""
        refused = {intent.reference: Refused("placement", why) for intent in intents if (why := self._unusable(intent))}
        with self._ledger.write() as session:
            ours = hold_fast(session, {intent.reference: intent.claim for intent in intents})
            sound = [intent for intent in intents if intent.reference in ours - refused.keys()]
            references = [intent.reference for intent in sound]
            known = set(
                session.exec(select(models.Placement.reference).where(col(models.Placement.reference).in_(references)))
            )
            new = [intent for intent in sound if intent.reference not in known]
            session.add_all(_placement(intent) for intent in new)
            session.flush()
            for intent in new:
                owe_file(session, models.PlacementBatch, intent.payload["agency"], _day(intent))
        placed = {intent.reference: Done(f"placement:{intent.reference}") for intent in sound}
        return [refused.get(intent.reference) or placed.get(intent.reference) or TAKEN for intent in intents]

    def _unusable(self, intent: Intent) -> str:
        try:
            self._folder.path(intent.payload["agency"], _day(intent))
        except PlacementFileError as error:
            return str(error)
        return ""

    def look_up(self, intent: Intent) -> Finding:
        """The placements are in the ledger: what is there happened, what is not did not."""
        with self._ledger.read() as session:
            there = session.get(models.Placement, intent.reference) is not None
        return Found(f"placement:{intent.reference}") if there else Absent()


def write_agency_files(
    ledger: Ledger, folder: AgencyFolder, clock: Clock, partners: Partners = NO_PARTNERS
) -> tuple[str, ...]:
    """Let every unwritten file hold its placements or recalls; what could not be written, in one line each.

    Written from the ledger's rows under the lock of the batch, so the same rows give the same bytes and
    whatever a crash left behind is made good by the next writer. Nothing leaves while the kill switch is
    pulled.
    """
    with ledger.read() as session:
        if stopped_why(session) is not None:
            return ()
        owed = [*_owed(session, models.PlacementBatch), *_owed(session, models.RecallBatch)]
    problems: list[str] = []
    for batch in owed:
        what = "placement" if isinstance(batch, models.PlacementBatch) else "recall"
        try:
            _write(ledger, folder, clock, batch, partners)
        except OSError as error:
            problems.append(f"{what} file of {batch.agency}, {batch.day}: {error.strerror or type(error).__name__}")
        except PlacementFileError as error:
            problems.append(str(error))
    return tuple(problems)


def _owed(session: Session, kind: type[AgencyBatch]) -> Sequence[AgencyBatch]:
    return session.exec(select(kind).where(col(kind.unwritten)).order_by(col(kind.day), col(kind.agency))).all()


def _write(ledger: Ledger, folder: AgencyFolder, clock: Clock, owed: AgencyBatch, partners: Partners) -> None:
    kind = type(owed)
    with ledger.write() as session:
        batch = session.exec(
            select(kind).where(kind.agency == owed.agency, kind.day == owed.day).with_for_update()
        ).one()
        if not batch.unwritten:
            return
        manifest = _file(session, folder, batch, partners.named(batch.agency))
        batch.path, batch.count, batch.sha256 = manifest.path, manifest.count, manifest.sha256
        batch.written_at, batch.unwritten = clock.now(), False
        session.add(batch)


def _file(session: Session, folder: AgencyFolder, batch: AgencyBatch, partner: Partner) -> Manifest:
    agency, day = batch.agency, batch.day
    if isinstance(batch, models.RecallBatch):
        recall = models.Recall
        recalls = session.exec(select(col(recall.row)).where(recall.agency == agency, recall.day == day))
        called = [RecallRow.from_json(row) for row in cast(Iterable[dict[str, Any]], recalls)]
        numbers = _numbers(session, partner, [row.placement_id for row in called])
        return folder.write_recalls(agency, day, called, partner=partner, numbers=numbers)
    placement = models.Placement
    rows = session.exec(select(col(placement.row)).where(placement.agency == agency, placement.day == day))
    placed = [PlacementRow.from_json(row) for row in cast(Iterable[dict[str, Any]], rows)]
    numbers = _numbers(session, partner, [row.placement_id for row in placed])
    return folder.write(agency, day, placed, partner=partner, numbers=numbers)


def _numbers(session: Session, partner: Partner, references: Sequence[str]) -> dict[str, int]:
    """The number of each placement, for layouts that want one; given once, and never to another."""
    if not partner.layout.numbers_placements:
        return {}
    found: dict[str, int] = {}
    ordered = sorted(references)
    for start in range(0, len(ordered), _AT_ONCE):
        some = ordered[start : start + _AT_ONCE]
        rows = session.exec(select(models.PlacementNumber).where(col(models.PlacementNumber.placement).in_(some)))
        known = {row.placement: row.number for row in rows if row.number is not None}
        new = [models.PlacementNumber(placement=each) for each in some if each not in known]
        session.add_all(new)
        session.flush()
        found |= known | {row.placement: row.number for row in new if row.number is not None}
    return found


def _day(intent: Intent) -> date:
    return intent.at.astimezone(UTC).date()


def _placement(intent: Intent) -> models.Placement:
    row: dict[str, Any] = intent.payload["row"]
    return models.Placement(
        reference=intent.reference,
        account_id=intent.account_id,
        case_id=intent.payload["case_id"],
        agency=intent.payload["agency"],
        day=_day(intent),
        balance=row["balance"]["amount"],
        currency=row["balance"]["currency"],
        status="placed",
        row=row,
        at=intent.at,
    )
