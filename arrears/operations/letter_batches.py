"""Letters to the print house: each that is done goes into exactly one batch, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select, update

import models
from arrears.channels import files
from arrears.channels.letter import LetterPayload
from arrears.channels.print_house import Job, Sheet, write_batch
from arrears.clock import iso
from arrears.ledger.events import log_event
from arrears.ledger.owner import is_free, this_process
from arrears.operations.brakes import stopped_why
from arrears.operations.services import Services, instant
from arrears.operations.work import Work, open_item
from arrears.rendering.catalog import Kind
from arrears.rendering.errors import TemplateError
from arrears.rendering.letters import render_pdf
from arrears.rendering.many import in_parallel
from arrears.rendering.stored import from_json

FOLDER = "print"
# How long a process may take over one batch before another goes on with it.
_LEASE = timedelta(minutes=15)


class BatchRefused(Exception):
    """No batch was made; the message says why, and nothing has changed."""


@dataclass(slots=True)
class Batched:
    """What went to the print house: `batches` as written, `left_out` letters by reference and why, `problems` in lines.

    On a dry run `waiting` counts the letters that would go; nothing is written.
    """

    waiting: int = 0
    batches: list[models.PrintBatch] = field(default_factory=list[models.PrintBatch])
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    problems: list[str] = field(default_factory=list[str])

    def to_json(self) -> dict[str, Any]:
        """The shape of `arrears letters batch --json`."""
        return {
            "waiting": self.waiting,
            "batches": [
                {
                    "batch": each.id,
                    "path": each.path,
                    "letters": each.letters,
                    "pages": each.pages,
                    "sha256": each.sha256,
                    "one_file": each.one_file,
                    "made_at": iso(each.at),
                }
                for each in self.batches
            ],
            "left_out": [{"reference": reference, "reason": why} for reference, why in self.left_out.items()],
            "problems": self.problems,
        }


def batch_letters(
    services: Services,
    *,
    one_file: bool,
    duplex: bool,
    most: int,
    who: str,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Batched:
    """Finish the batches that were begun, then give every letter that is in none to new ones of at most `most`.

    A letter belongs to its batch from the transaction that makes the batch; its files follow from the ledger, so
    whatever a crash left behind is made good by the next call. A letter whose file is gone is made again; one that
    cannot be is left out, with a work item. Raises BatchRefused while the kill switch is pulled.
    """
    result = Batched()
    with services.ledger.read() as session:
        if (why := stopped_why(session)) is not None:
            raise BatchRefused(f"stopped: {why}; `arrears start` lets letters go on")
        result.waiting = len(_waiting(session, without=(), most=None))
    if dry_run:
        return result
    for owed in _owed(services):
        _write(services, owed, result, progress)
    while (batch := _claim(services, result, one_file=one_file, duplex=duplex, most=most, who=who)) is not None:
        if not _write(services, batch, result, progress):
            break
    return result


def _waiting(session: Session, *, without: Sequence[str], most: int | None) -> list[str]:
    """Letters in no batch, in the order in which they were written."""
    query = select(models.Letter.reference).where(col(models.Letter.batch).is_(None))
    if without:
        query = query.where(col(models.Letter.reference).not_in(without))
    query = query.order_by(col(models.Letter.at), col(models.Letter.reference))
    return list(session.exec(query.limit(most) if most else query))


def _claim(
    services: Services, result: Batched, *, one_file: bool, duplex: bool, most: int, who: str
) -> models.PrintBatch | None:
    """A new batch with its letters; None when no letter is left."""
    while True:
        with services.ledger.read() as session:
            references = _waiting(session, without=list(result.left_out), most=most)
            letters = _letters(session, references)
        if not references:
            return None
        good = [one.reference for one, made in _made(services, letters) if _is_whole(services, one, made, result)]
        batch = models.PrintBatch(at=instant(services, None), one_file=one_file, duplex=duplex)
        # Another process may have been faster with all of them.
        if good and (made := _begin(services, batch, good, who=who)) is not None:
            return made


def _begin(
    services: Services, batch: models.PrintBatch, references: Sequence[str], *, who: str
) -> models.PrintBatch | None:
    """The batch and its letters in one transaction; None, and no batch, when none of them is free any more."""
    wall = services.clock.wall()
    with services.ledger.write() as session:
        batch.owner, batch.lease_until = this_process(), wall + _LEASE
        session.add(batch)
        session.flush()
        batch.path = f"{FOLDER}/{batch.at.date()}-{batch.id:06d}"
        taken = session.connection().execute(
            update(models.Letter)
            .where(col(models.Letter.reference).in_(references), col(models.Letter.batch).is_(None))
            .values(batch=batch.id)
        )
        if not taken.rowcount:
            session.rollback()
            return None
        batch.letters = taken.rowcount
        session.add(batch)
        data: dict[str, object] = {"batch": batch.id, "letters": batch.letters}
        log_event(session, "letters batched", who=who, at=batch.at, wall=wall, data=data)
        session.flush()
        session.refresh(batch)
        session.expunge(batch)
        return batch


@dataclass(frozen=True, slots=True)
class _ToPrint:
    """A letter of the ledger, and what it was made of."""

    letter: models.Letter
    payload: LetterPayload

    @property
    def reference(self) -> str:
        return self.letter.reference


def _letters(session: Session, references: Sequence[str]) -> list[_ToPrint]:
    if not references:
        return []
    rows = session.exec(
        select(models.Letter, models.Step)
        .join(models.Step, col(models.Step.reference) == col(models.Letter.reference))
        .where(col(models.Letter.reference).in_(references))
        .order_by(col(models.Letter.at), col(models.Letter.reference))
    )
    return [_ToPrint(letter, from_json(LetterPayload, step.payload)) for letter, step in rows]


def _made(services: Services, letters: Sequence[_ToPrint]) -> Iterator[tuple[_ToPrint, bytes | str]]:
    """Each letter's PDF from the outbox, or made again if it is not there as it was sent; or why it cannot be."""
    return zip(letters, in_parallel(lambda one: _pdf(services, one), letters), strict=True)


def _pdf(services: Services, one: _ToPrint) -> bytes | str:
    try:
        content = files.inside(services.settings.outbox, one.letter.path).read_bytes()
        if files.digest(content) == one.letter.sha256:
            return content
    except OSError:
        pass
    try:
        content = render_pdf(services.catalog, Kind.LETTERS, one.payload.template, one.payload.context)
    except TemplateError as error:
        return f"{one.letter.path} is not the file that was sent, and cannot be made again: {error}"
    if files.digest(content) != one.letter.sha256:
        return (
            f"{one.letter.path} is not the file that was sent, and template {one.payload.template} no longer gives it; "
            "bring the file back from a copy of the outbox"
        )
    return content


def _is_whole(services: Services, one: _ToPrint, made: bytes | str, result: Batched) -> bool:
    """Whether it can be printed; a person is asked to bring back what cannot."""
    if isinstance(made, bytes):
        return True
    result.left_out[one.reference] = made
    with services.ledger.write() as session:
        now = instant(services, None)
        open_item(session, one.letter.account_id, Work.LETTERS, key=one.reference, note=made, at=now)
    return False


def _owed(services: Services) -> list[models.PrintBatch]:
    """Batches that somebody began and nobody is writing any more, now ours."""
    wall, mine = services.clock.wall(), list[models.PrintBatch]()
    with services.ledger.write() as session:
        owed = session.exec(
            select(models.PrintBatch)
            .where(col(models.PrintBatch.unwritten))
            .order_by(col(models.PrintBatch.id))
            .with_for_update()
        ).all()
        for batch in owed:
            if is_free(batch.owner, batch.lease_until, wall):
                batch.owner, batch.lease_until = this_process(), wall + _LEASE
                session.add(batch)
                mine.append(batch)
        session.flush()
        for batch in mine:
            session.refresh(batch)
            session.expunge(batch)
    return mine


def _write(
    services: Services, batch: models.PrintBatch, result: Batched, progress: Callable[[int], None] | None
) -> bool:
    """Let the batch's folder hold what the ledger says, and the ledger that it does; False with the problem told."""
    assert batch.id is not None
    with services.ledger.read() as session:
        references = session.exec(select(models.Letter.reference).where(models.Letter.batch == batch.id)).all()
        letters = _letters(session, references)
    job = Job(batch.id, batch.path, batch.at, batch.one_file, batch.duplex)
    try:
        printed = write_batch(services.settings.outbox, job, _sheets(services, letters, progress))
    except OSError as error:
        why = error.strerror or str(error)
        return _put_off(services, batch, result, f"batch {batch.id} could not be written to {batch.path}: {why}")
    except BatchRefused as error:
        return _put_off(services, batch, result, f"batch {batch.id}: {error}")
    with services.ledger.write() as session:
        row = session.get_one(models.PrintBatch, batch.id, with_for_update=True)
        row.letters, row.pages, row.sha256 = printed.letters, printed.pages, printed.sha256
        row.unwritten, row.written_at, row.owner, row.lease_until = False, services.clock.wall(), "", None
        session.add(row)
        session.flush()
        session.refresh(row)
        session.expunge(row)
    result.batches.append(row)
    return True


def _sheets(services: Services, letters: Sequence[_ToPrint], progress: Callable[[int], None] | None) -> Iterator[Sheet]:
    for number, (one, made) in enumerate(_made(services, letters), start=1):
        if isinstance(made, str):
            raise BatchRefused(f"letter {one.reference}: {made}")
        context = one.payload.context
        yield Sheet(
            one.reference, one.letter.account_id, one.letter.template, one.letter.locale, context.address.country, made
        )
        if progress is not None:
            progress(number)


def _put_off(services: Services, batch: models.PrintBatch, result: Batched, problem: str) -> bool:
    """The batch stays owed, for the next call to write."""
    result.problems.append(f"{problem}; run `arrears letters batch` again when that is mended, nothing is lost")
    with services.ledger.write() as session:
        row = session.get_one(models.PrintBatch, batch.id, with_for_update=True)
        row.owner, row.lease_until = "", None
        session.add(row)
    return False
