"""Where a partner's file that is wrong lies until a person has seen to it: as it came, with a report beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlmodel import Session, col, select

import models
from arrears.channels.files import file_name, write_atomically
from arrears.clock import iso
from arrears.engine.partner_files import Wrong
from arrears.operations.services import Services
from arrears.operations.work import Work, open_item

_NEXT: Final = """
Nothing of this file was booked. What to do next: send the report back to the partner and ask for a corrected file, the
whole of it, under any name; it is taken as if this one had never come. If the file is right and the mistake is ours (a
placement, the terms in policies/partners), mend that and take the same file again:
    arrears agency take FILE --partner PARTNER
Then say so: arrears attend ITEM --by NAME --answer TEXT, with the item's number in arrears review.
"""


def quarantine(services: Services, partner: str, row: models.AgencyFile, content: bytes, wrong: Sequence[Wrong]) -> str:
    """Keep the file and its report in the outbox, then its row and the work; where it lies, relative to the outbox.

    The digest is part of the name, so files of one name do not write over one another, and the same one again
    ends where it was. Raises OSError.
    """
    folder = services.settings.outbox / "quarantine" / file_name(partner)
    path = folder / f"{row.digest[:12]}-{_safe(row.name)}"
    write_atomically(path, content)
    write_atomically(path.with_name(f"{path.name}.report.txt"), report(row, wrong).encode())
    row.path = path.relative_to(services.settings.outbox).as_posix()
    with services.ledger.write() as session:
        file = models.AgencyFile
        known = session.exec(
            select(file).where(file.partner == partner, file.digest == row.digest).with_for_update()
        ).first()
        if known is None:
            session.add(row)
        elif known.status == row.status:
            known.name, known.wrong, known.path, known.at = row.name, row.wrong, row.path, row.at
            session.add(known)
        note = f"file {row.name!r} of {partner}, {row.wrong} wrong: see {row.path}.report.txt"
        open_item(session, None, Work.PARTNER_FILE, key=f"{partner}/{row.digest}", note=note, at=row.at)
    return row.path


def report(row: models.AgencyFile, wrong: Sequence[Wrong]) -> str:
    """What is wrong, line by line, and what to do: for the person who sees to it, and for the partner."""
    head = (
        f"file     {row.name}\npartner  {row.partner}\nnumber   {row.number or '-'}\nsha256   {row.digest}\n"
        f"seen     {iso(row.at)}\nfacts    {row.lines} could be read, {row.wrong} things are wrong\n"
    )
    faults = (_said(each) for each in sorted(wrong, key=lambda each: each.line))
    return "\n".join([head, *faults, _NEXT.replace("PARTNER", row.partner)])


def corrected(session: Session, row: models.AgencyFile, *, at: datetime) -> None:
    """A file was taken, in the caller's transaction: what it corrects, by its bytes or its number, is seen to."""
    file, item = models.AgencyFile, models.WorkItem
    wrong = select(file).where(file.partner == row.partner, file.status == "quarantined", file.number == row.number)
    digests = {row.digest, *(each.digest for each in session.exec(wrong) if row.number)}
    keys = [f"{Work.PARTNER_FILE}/{row.partner}/{digest}" for digest in digests]
    for each in session.exec(select(item).where(col(item.key).in_(keys), col(item.done_at).is_(None))):
        each.done_at, each.done_by, each.answer = at, row.who, f"taken: {row.name}"
        session.add(each)


def _said(each: Wrong) -> str:
    where = f"line {each.line}" if each.line else "the file"
    held = "; ".join(f"{word} {value}" for word, value in (("expected", each.expected), ("came", each.came)) if value)
    return f"{where}: {each.what}{f' ({held})' if held else ''}"


def _safe(name: str) -> str:
    """A name that another house chose, as one of ours."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name)[
        -96:
    ]
