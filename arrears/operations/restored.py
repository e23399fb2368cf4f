"""After a ledger was restored: what it has forgotten and the world has not.

A step's reference is the same whenever it is made, and is printed in every text and on every file. So a step that was
made after the backup is known by its reference, at Twilio and in the outbox, and is written into the ledger again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlmodel import Session, col, select

import models
from arrears.channels.tracking import Tracked
from arrears.engine.ladder import Rung
from arrears.engine.vocabulary import CaseStatus, ChannelName, Stage, StepStatus
from arrears.ledger.cases import CaseFile, read_case_file
from arrears.ledger.events import log_event
from arrears.ledger.references import step_reference
from arrears.operations import brakes
from arrears.operations.facts import ladder_of
from arrears.operations.services import Services
from arrears.operations.wake import make_due

_MARK: Final = re.compile(r"(?<![0-9A-Z])[0-9A-HJKMNP-TV-Z]{8}(?![0-9A-Z])")
_READ: Final = (".jsonl", ".csv", ".json")
_ATTEMPTS: Final = range(1, 6)


@dataclass(frozen=True, slots=True)
class Recalled:
    """A step that the ledger had forgotten. `proof`: the text's SID, or the file it is in."""

    account_id: str
    rung: str
    attempt: int
    reference: str
    proof: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it. `foreign`: texts at the provider since then that nothing in the ledger accounts for."""

    recalled: tuple[Recalled, ...]
    foreign: tuple[str, ...]
    asked_provider: bool


def restored(services: Services, since: datetime, *, who: str, dry_run: bool = False) -> Restored:
    """Pull the kill switch and write into the ledger again what was made since the backup of `since` (wall time).

    Run again, it changes nothing. Raises ProviderSilent before anything but the kill switch is changed.
    """
    if not dry_run:
        why = f"restored from a backup of {since:%Y-%m-%d %H:%M} UTC"
        now = services.clock.now()
        brakes.stop(services.ledger, why=why, who=who, at=now, wall=services.clock.wall())
    sids = dict(_at_provider(services, since))
    found = dict(_in_outbox(services.settings.outbox, since)) | sids
    with services.ledger.read() as session:
        known = set(session.exec(select(models.Step.reference).where(models.Step.status != StepStatus.PLANNED)).all())
        ids = session.exec(
            select(models.Case.account_id)
            .where(models.Case.status != CaseStatus.CLOSED)
            .order_by(col(models.Case.account_id))
        ).all()
    wanted = {reference: proof for reference, proof in found.items() if reference not in known}
    recalled = [each for account_id in ids for each in _recall(services, account_id, wanted, who=who, dry_run=dry_run)]
    accounted = known | {each.reference for each in recalled}
    foreign = sorted({sid for mark, sid in sids.items() if mark not in accounted})
    matched = {sid for mark, sid in sids.items() if mark in accounted}
    asked = isinstance(services.channels[ChannelName.SMS], Tracked)
    return Restored(tuple(recalled), tuple(sid for sid in foreign if sid not in matched), asked)


def _at_provider(services: Services, since: datetime) -> Iterator[tuple[str, str]]:
    channel = services.channels[ChannelName.SMS]
    if isinstance(channel, Tracked):
        for fate in channel.listed(since, services.clock.wall()):
            if fate.outbound:
                yield from ((mark, fate.sid) for mark in fate.marks)


def _in_outbox(outbox: Path, since: datetime) -> Iterator[tuple[str, str]]:
    """References in the names of files written since then, and in what those hold that can be read."""
    for path in sorted(outbox.rglob("*")) if outbox.is_dir() else ():
        if not path.is_file() or datetime.fromtimestamp(path.stat().st_mtime, UTC) < since:
            continue
        name = str(path.relative_to(outbox))
        marks = set(_MARK.findall(path.name))
        if path.suffix in _READ:
            marks |= set(_MARK.findall(path.read_text(encoding="utf-8", errors="replace")))
        yield from ((mark, name) for mark in marks)


def _recall(
    services: Services, account_id: str, wanted: dict[str, str], *, who: str, dry_run: bool
) -> Iterator[Recalled]:
    with services.ledger.write() as session:
        file = read_case_file(session, account_id, lock=True)
        rungs = ladder_of(services, session, file, now=services.clock.now()).rungs if wanted else ()
        for rung in rungs:
            for attempt in _ATTEMPTS:
                reference = step_reference(file.case.id, rung.name, attempt)
                if (proof := wanted.get(reference)) is None:
                    continue
                yield Recalled(account_id, rung.name, attempt, reference, proof)
                if not dry_run:
                    _write(services, session, file, rung, attempt, reference, proof, who=who)


def _write(
    services: Services,
    session: Session,
    file: CaseFile,
    rung: Rung,
    attempt: int,
    reference: str,
    proof: str,
    *,
    who: str,
) -> None:
    now, wall = services.clock.now(), services.clock.wall()
    step = next((each for each in file.steps if each.reference == reference), None)
    if step is None:
        due = file.case.next_due_at or now
        step = models.Step(
            case_id=file.case.id,
            account_id=file.account.id,
            rung=rung.name,
            attempt=attempt,
            stage=str(rung.stage),
            channel=str(rung.channel),
            status=StepStatus.DONE,
            reference=reference,
            due_at=due,
            number=file.number_for(rung.channel),
            actor=str(file.actor),
        )
    # What an agency or a law firm got is more than a step: the file that tells of it is for a person to read.
    handed_over = rung.channel in (ChannelName.AGENCY, ChannelName.LEGAL)
    step.status, step.needs_person = (StepStatus.UNKNOWN, True) if handed_over else (StepStatus.DONE, False)
    step.at, step.intended_wall, step.proof = now, wall, proof
    step.reason = f"made after the backup that the ledger was restored from: {proof}"
    if Stage(rung.stage).height > Stage(file.case.stage).height:
        file.case.stage = str(rung.stage)
    session.add(step)
    data = {"rung": rung.name, "attempt": attempt, "reference": reference}
    log_event(session, "recalled", who=who, at=now, wall=wall, case=file.case, why=step.reason, data=data)
    make_due(session, file.case, at=now)
