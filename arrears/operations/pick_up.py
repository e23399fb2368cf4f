"""Files fetched from the folders in which partners leave them: each finished one once, and put aside afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Final

from sqlmodel import col, select

import models
from arrears.channels.pick_up_folder import Lying, PickUpFailed, PickUpFolder
from arrears.channels.unsealing import plain_name
from arrears.engine.partners import Partner
from arrears.intake.partner_manifest import ENDING
from arrears.operations.services import Services, instant
from arrears.operations.take_partner_file import QUARANTINED, PartnerFileTaken, PartnerUnknown, take_partner_file
from arrears.operations.work import Work, open_item

DONE: Final = "done"
REFUSED: Final = "refused"
_UNFINISHED: Final = (".part", ".partial", ".filepart", ".tmp")
# Without a manifest, a file is finished when nobody has written to it for so long.
SETTLED: Final = timedelta(minutes=15)
# How long a folder may be out of reach before a person should look.
_PATIENCE: Final = timedelta(days=1)


@dataclass(slots=True)
class PickedUp:
    """What came of one partner's folder: the files taken, those not finished yet, and why it was not reached."""

    partner: str
    files: list[PartnerFileTaken] = field(default_factory=list[PartnerFileTaken])
    waiting: list[str] = field(default_factory=list[str])
    problem: str = ""


def pick_up(services: Services, *, partner: str = "", who: str, dry_run: bool = False) -> Iterator[PickedUp]:
    """Take every finished file of every partner that leaves files somewhere, or of one; one result a partner.

    A file is moved to `done/` or `refused/` beside it when what it says is committed: whatever a crash leaves lying
    is known by its digest and only moved. A folder that cannot be reached keeps no other waiting.
    Raises PartnerUnknown.
    """
    leaving = [each for each in services.partners.by_name.values() if each.hand_off.takes_from]
    if partner and partner not in [each.name for each in leaving]:
        raise PartnerUnknown(f"partner {partner!r} leaves no files: its file in policies/partners has no hand_off.from")
    for each in leaving:
        if partner in ("", each.name):
            result = PickedUp(each.name)
            try:
                password = services.settings.passwords.get(each.name, "")
                with closing(PickUpFolder.reach(each.hand_off.takes_from, password=password)) as folder:
                    _empty(services, each, folder, result, who=who, dry_run=dry_run)
            except PickUpFailed as error:
                result.problem = str(error)
            if not dry_run:
                _tell(services, each, result.problem)
            yield result


def manifest_names(name: str) -> tuple[str, ...]:
    """What the manifest of a file may be called."""
    plain = plain_name(name)
    return tuple(dict.fromkeys(f"{each}{ENDING}" for each in (name, plain, PurePosixPath(plain).stem)))


def _empty(
    services: Services, partner: Partner, folder: PickUpFolder, result: PickedUp, *, who: str, dry_run: bool
) -> None:
    lying = folder.files()
    names = {each.name for each in lying}
    manifests: set[str] = set()
    for each in lying:
        if each.name.endswith(ENDING) or each.name.startswith("."):
            continue
        manifest = next((name for name in manifest_names(each.name) if name in names), None)
        manifests |= {manifest} if manifest is not None else set()
        if not _finished(each, manifest, services.clock.wall()):
            result.waiting.append(each.name)
            continue
        content = folder.read(each.name)
        told = folder.read(manifest) if manifest is not None else None
        taken = take_partner_file(services, partner.name, each.name, content, manifest=told, who=who, dry_run=dry_run)
        result.files.append(taken)
        if not dry_run:
            _put_aside(folder, taken, content, manifest, told)
    for each in lying if not dry_run else ():
        # It was written last: whoever moved its file did not come to move it.
        if each.name not in manifests and each.name.endswith(ENDING) and _settled(each, services.clock.wall()):
            folder.put_aside(each.name, DONE, folder.read(each.name))


def _finished(file: Lying, manifest: str | None, wall: datetime) -> bool:
    if file.name.endswith(_UNFINISHED):
        return False
    return manifest is not None or _settled(file, wall)


def _settled(file: Lying, wall: datetime) -> bool:
    return file.modified is not None and wall - file.modified >= SETTLED


def _put_aside(
    folder: PickUpFolder, taken: PartnerFileTaken, content: bytes, manifest: str | None, told: bytes | None
) -> None:
    """The file first: a manifest without its file means nothing, a file without its manifest would wait."""
    aside = REFUSED if taken.status == QUARANTINED else DONE
    folder.put_aside(taken.name, aside, content)
    if manifest is not None and told is not None:
        folder.put_aside(manifest, aside, told)


def _tell(services: Services, partner: Partner, problem: str) -> None:
    """A folder that stays out of reach is work for a person; one that is reached again is none."""
    now, item = instant(services, None), models.WorkItem
    with services.ledger.write() as session:
        prefix = f"{Work.PARTNER_FILE}/{partner.name}/folder/"
        standing = session.exec(
            select(item).where(col(item.key).startswith(prefix), col(item.done_at).is_(None))
        ).first()
        if standing is not None and not problem:
            standing.done_at, standing.done_by, standing.answer = now, "pick-up", "reached again"
            session.add(standing)
        elif standing is None and problem:
            note = (
                f"the folder of {partner.name} cannot be reached since {now:%Y-%m-%d %H:%M} UTC ({problem}): ask them"
            )
            key = f"{partner.name}/folder/{now.isoformat()}"
            open_item(session, None, Work.PARTNER_FILE, key=key, note=note, at=now, due_at=now + _PATIENCE)
