"""Hand finished files over to partners, each once: intended before, proved after, looked up in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

import models
from arrears.channels import files
from arrears.channels.agency import manifest_path
from arrears.channels.effect import Found
from arrears.channels.sealing import HandOffFailed, ending, seal
from arrears.engine.partners import Partner
from arrears.ledger.absent import insert_if_absent
from arrears.ledger.database import LedgerBusy
from arrears.ledger.owner import is_free, new_claim
from arrears.operations.backoff import backoff
from arrears.operations.brakes import stopped_why
from arrears.operations.finished_files import Finished, finished_files
from arrears.operations.services import Services

if TYPE_CHECKING:
    from arrears.channels.partner_folder import PartnerFolder

INTENDED, MOVING, DONE, UNKNOWN, REPLACED = "intended", "moving", "done", "unknown", "replaced"
FORMAT = "arrears-handoff/1"
_LEASE = timedelta(hours=1)
_FIRST_BACKOFF, _LONGEST_BACKOFF = timedelta(minutes=1), timedelta(hours=6)
_SPOOL = "sealed"


class CannotSettle(Exception):
    """Nothing was changed; the message says why."""


class _TakenOver(HandOffFailed):
    """Whoever has the file by now says what becomes of it."""


@dataclass(slots=True)
class HandedOver:
    """What one run did: paths handed over, how many more wait, and what went wrong, a line each."""

    sent: list[str] = field(default_factory=list[str])
    waiting: int = 0
    problems: list[str] = field(default_factory=list[str])


def hand_over(
    services: Services,
    *,
    partner: str | None = None,
    at_once: bool = False,
    progress: Callable[[str], None] | None = None,
) -> HandedOver:
    """Hand every finished file to its partner, or to `partner` alone; `at_once`: also what waits for its next try.

    A file that fails holds up those of its group, a partner that cannot be reached its other files; both are told and
    tried again later. Nothing leaves while the kill switch is pulled.
    """
    result = HandedOver()
    with services.ledger.read() as session:
        if stopped_why(session) is not None:
            return result
        found, unclaimed = finished_files(services, session, now=services.clock.now())
    if partner is None:
        result.problems += [f"{each.path}: {each.why}" for each in unclaimed]
        result.waiting += len(unclaimed)
    for name, of_partner in groupby(found, key=lambda each: each.partner.name):
        if partner in (None, name):
            _Errand(services, result, at_once, progress).run(list(of_partner))
    return result


def settle_handoff(services: Services, handoff: int, *, arrived: bool) -> models.Handoff:
    """A person says whether a file in doubt arrived; if not, it is handed over again. Raises CannotSettle."""
    with services.ledger.write() as session:
        row = session.get(models.Handoff, handoff, with_for_update=True)
        if row is None:
            raise CannotSettle(f"there is no hand-off {handoff}")
        if row.status != UNKNOWN:
            raise CannotSettle(f"hand-off {handoff} is {row.status}; only one that is unknown is settled")
        row.status, row.problem, row.retry_at = (DONE if arrived else INTENDED), "", None
        row.done_at = services.clock.wall() if arrived else None
        session.add(row)
        session.flush()
        session.refresh(row)
        session.expunge(row)
        return row


def stuck_handoffs(session: Session, *, tries: int = 3) -> Sequence[models.Handoff]:
    """Files in doubt, and those that have failed several times, the oldest first."""
    row = models.Handoff
    stuck = (col(row.status) == UNKNOWN) | (col(row.status).in_((INTENDED, MOVING)) & (col(row.tries) >= tries))
    return session.exec(select(row).where(stuck).order_by(col(row.id))).all()


@dataclass(slots=True)
class _Errand:
    """The files of one partner, over one connection."""

    services: Services
    result: HandedOver
    at_once: bool
    progress: Callable[[str], None] | None = None
    folder: PartnerFolder | None = None
    in_hand: models.Handoff | None = None

    def run(self, items: list[Finished]) -> None:
        held: set[str] = set()
        try:
            for number, item in enumerate(items):
                if item.group in held:
                    self.result.waiting += 1
                    continue
                row = self._claim(item)
                if row is None:
                    held.add(item.group)
                    self.result.waiting += 1
                    continue
                failed = self._try(item, row)
                if failed is not None:
                    held.add(item.group)
                    self.result.waiting += 1
                    if failed.everywhere:
                        self.result.waiting += len(items) - number - 1
                        return
        finally:
            if self.folder is not None:
                self.folder.close()

    def _try(self, item: Finished, row: models.Handoff) -> HandOffFailed | None:
        """Hand the file over; what kept it from being, which is noted unless that is another's to do by now."""
        self.in_hand = row
        try:
            self._one(item, row)
        except _TakenOver as error:
            return error
        except HandOffFailed as error:
            with suppress(_TakenOver):
                self._put_off(item, row, str(error))
            return error
        return None

    def _claim(self, item: Finished) -> models.Handoff | None:
        """The row of the file, ours from now on; None when it is not to be handed over now."""
        wall = self.services.clock.wall()
        with self.services.ledger.write() as session:
            row = _row(session, item, wall)
            waits = row.retry_at is not None and row.retry_at > wall and not self.at_once
            taken = not is_free(row.owner, row.lease_until, wall)
            if row.status not in (INTENDED, MOVING) or waits or taken:
                return None
            row.owner, row.lease_until = new_claim(), wall + _LEASE
            session.add(row)
            session.flush()
            session.refresh(row)
            session.expunge(row)
            return row

    def _one(self, item: Finished, row: models.Handoff) -> None:
        if self.progress is not None:
            self.progress(item.path)
        source = self._sealed(item, row)
        folder = self._folder(item.partner)
        if row.status == MOVING:
            # It may have got its name, and the partner may have taken it since: nothing is repeated without proof.
            if isinstance(folder.find(row.name, row.sealed_sha256, row.size), Found):
                pass
            elif folder.holds_part(row.name, row.sealed_sha256, row.size):
                folder.name(row.name, row.sealed_sha256, row.size)
            else:
                self._in_doubt(item, row)
                return
        elif not isinstance(folder.find(row.name, row.sealed_sha256, row.size), Found):
            folder.put(
                row.name, source, row.sealed_sha256, row.size, before_naming=lambda: self._note(row, status=MOVING)
            )
        if not item.vouched:
            folder.put_bytes(_manifest_name(row.name), _manifest(self.services.settings.outbox, item, row))
        wall = self.services.clock.wall()
        self._note(row, status=DONE, done_at=wall, problem="", retry_at=None, owner="", lease_until=None)
        self.result.sent.append(item.path)
        if source != self._local(item):
            with suppress(OSError):
                source.unlink()

    def _sealed(self, item: Finished, row: models.Handoff) -> Path:
        """The bytes that leave, with their digest committed before any of them does. Raises HandOffFailed."""
        local, key = self._local(item), item.partner.key
        try:
            if files.digest_of(local) != item.sha256:
                raise HandOffFailed("the file in the outbox is not the one that was written; it stays here")
            source = local
            if key is not None:
                source = self.services.settings.outbox / _SPOOL / item.partner.name / row.name
                if not (source.exists() and row.sealed_sha256 and files.digest_of(source) == row.sealed_sha256):
                    if row.status == MOVING:
                        return source  # only looked up, by the digest that was committed
                    seal(local, source, key, now=self.services.clock.wall())
            digest, size = files.digest_of(source), source.stat().st_size
        except OSError as error:
            raise HandOffFailed(f"cannot be read from the outbox: {error.strerror or type(error).__name__}") from None
        if (digest, size) != (row.sealed_sha256, row.size):
            self._note(row, sealed_sha256=digest, size=size)
        return source

    def _local(self, item: Finished) -> Path:
        return files.inside(self.services.settings.outbox, item.path)

    def _folder(self, partner: Partner) -> PartnerFolder:
        if self.folder is None:
            # Importing asyncssh takes a third of a second; most commands on most ledgers never need it.
            from arrears.channels.partner_folder import PartnerFolder

            password = self.services.settings.passwords.get(partner.name, "")
            self.folder = PartnerFolder.open(partner.hand_off.to, password=password, at_each_block=self._keep)
        return self.folder

    def _keep(self) -> None:
        """Keep the file ours for as long as its bytes travel. Raises _TakenOver.

        A ledger that cannot be asked just now is asked at the next block, and in any case before the naming.
        """
        row, wall = self.in_hand, self.services.clock.wall()
        if row is not None and row.lease_until is not None and wall > row.lease_until - _LEASE / 2:
            with suppress(LedgerBusy):
                self._note(row)

    def _in_doubt(self, item: Finished, row: models.Handoff) -> None:
        why = "it may have arrived and been taken away since; ask the partner"
        self._note(row, status=UNKNOWN, problem=why, owner="", lease_until=None)
        self.result.problems.append(f"{_what(item)}: {why}, then `arrears agency settle-file {row.id} arrived|again`")

    def _put_off(self, item: Finished, row: models.Handoff, why: str) -> None:
        tries, wall = row.tries + 1, self.services.clock.wall()
        retry_at = wall + backoff(tries, first=_FIRST_BACKOFF, longest=_LONGEST_BACKOFF)
        self._note(row, tries=tries, problem=why, retry_at=retry_at, owner="", lease_until=None)
        self.result.problems.append(
            f"{_what(item)}: {why}; try {tries}, the next after {retry_at:%H:%M} UTC, "
            f"or now with `arrears agency send --partner {item.partner.name}`"
        )

    def _note(self, row: models.Handoff, **changes: Any) -> None:
        """Commit what is known of the row, here and in the ledger, if it is still ours. Raises _TakenOver."""
        changes = {"lease_until": self.services.clock.wall() + _LEASE} | changes
        with self.services.ledger.write() as session:
            kept = session.get_one(models.Handoff, row.id, with_for_update=True)
            if kept.owner != row.owner or kept.status == REPLACED:
                raise _TakenOver("another process has it")
            for name, value in changes.items():
                setattr(kept, name, value)
                setattr(row, name, value)
            session.add(kept)


def _row(session: Session, item: Finished, wall: datetime) -> models.Handoff:
    """The file's row, locked; made if there is none. What was intended with older bytes will not go any more."""
    row = models.Handoff
    new = models.Handoff(
        partner=item.partner.name,
        path=item.path,
        sha256=item.sha256,
        kind=item.kind,
        day=item.day,
        name=item.name + ending(item.partner.key),
        status=INTENDED,
        intended_at=wall,
    )
    insert_if_absent(session, row, new.model_dump(exclude={"id"}))
    of_path = select(row).where(row.partner == item.partner.name, row.path == item.path).with_for_update()
    known = session.exec(of_path.execution_options(populate_existing=True)).all()
    for each in known:
        if each.sha256 != item.sha256 and each.status in (INTENDED, MOVING):
            each.status = REPLACED
            session.add(each)
    return next(each for each in known if each.sha256 == item.sha256)


def _manifest_name(name: str) -> str:
    return f"{name}.manifest.json"


def _manifest(outbox: Path, item: Finished, row: models.Handoff) -> bytes:
    """What vouches for the file at the partner's: the manifest of the outbox if it has one, and the bytes that left."""
    own = manifest_path(outbox / item.path)
    document: dict[str, Any] = json.loads(own.read_text()) if own.exists() else {"format": FORMAT, "kind": item.kind}
    if document.get("sha256") not in (None, item.sha256):
        raise HandOffFailed("its manifest is being written anew")
    document |= {"file": row.name, "sha256": row.sealed_sha256, "size": row.size, "content_sha256": item.sha256}
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _what(item: Finished) -> str:
    return f"{item.kind} file {item.path} for {item.partner.name}"
