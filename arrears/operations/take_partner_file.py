"""A partner's file in, whole or not at all: what is wrong anywhere is quarantined, and a person hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

import models
from arrears.channels.files import digest as sha256
from arrears.channels.unsealing import NotOpened, OurKeys, plain_name, unseal
from arrears.engine.commission import ByTarget
from arrears.engine.partner_files import PartnerFile, Wrong
from arrears.engine.partners import Layout, Partner
from arrears.intake.aim import read_aim
from arrears.intake.partner_csv import read_partner_csv
from arrears.intake.partner_manifest import ManifestUnusable, read_manifest
from arrears.intake.ygc import read_ygc
from arrears.operations.book_partner_file import book
from arrears.operations.check_partner_file import Checked, check_file
from arrears.operations.hold import hold_kinds
from arrears.operations.inbox import EventRefused
from arrears.operations.partner_books import read_books
from arrears.operations.quarantine import corrected, quarantine
from arrears.operations.services import Services, instant

TAKEN, KNOWN, QUARANTINED, CHECKED = "taken", "known", "quarantined", "checked"


class PartnerUnknown(EventRefused):
    """There is no file of the partner's in the policies; the message says which there are."""


@dataclass(frozen=True, slots=True)
class PartnerFileTaken:
    """What came of a file. `status`: taken, known (it was before), quarantined, or checked (a dry run found no fault).

    `touched`: the accounts to which something new happened. `collected` and `commissions`: minor units by currency.
    `path`: where a quarantined file lies, relative to the outbox.
    """

    partner: str
    name: str
    digest: str
    status: str
    number: str = ""
    lines: int = 0
    touched: tuple[str, ...] = ()
    collected: Mapping[str, int] = field(default_factory=dict[str, int])
    commissions: Mapping[str, int] = field(default_factory=dict[str, int])
    wrong: tuple[Wrong, ...] = ()
    path: str = ""


@dataclass(frozen=True, slots=True)
class _Read:
    """A file as it came and as it was read. `digest` is of what it holds, whatever it is called and encrypted to."""

    name: str
    content: bytes
    digest: str
    file: PartnerFile


class _TakenMeanwhile(Exception):
    """Another process took the file between the first look and the lock."""


class _WrongFile(Exception):
    """Nothing of the file may stay booked."""

    def __init__(self, wrong: list[Wrong]) -> None:
        super().__init__("the file is wrong")
        self.wrong = wrong


def take_partner_file(
    services: Services,
    partner: str,
    name: str,
    content: bytes,
    *,
    manifest: bytes | None = None,
    who: str,
    dry_run: bool = False,
) -> PartnerFileTaken:
    """Book everything that the file says in one transaction, once by what it holds, or nothing.

    A file that is wrong anywhere is copied to `quarantine/<partner>/` in the outbox, with a report of every fault
    beside it, and is work for a person. Raises PartnerUnknown, and OSError when the outbox does not take it.
    """
    terms = _partner(services, partner)
    now = instant(services, None)
    read = _read(services, terms, name, content, manifest, now)
    known = _before(services, terms, read)
    if known is not None:
        return known
    try:
        with services.ledger.write() as session:
            _claim(session, services, terms, read, now=now, who=who)
            checked = _checked(services, session, terms, read, now)
            if checked.wrong:
                raise _WrongFile(checked.wrong)
            touched = () if dry_run else _book(services, session, terms, read, checked, now=now, who=who)
            if dry_run:
                session.rollback()
    except (_TakenMeanwhile, IntegrityError):
        # Or another file of this number: the next look finds which.
        return take_partner_file(services, partner, name, content, manifest=manifest, who=who, dry_run=dry_run)
    except _WrongFile as error:
        return _refused(services, terms, read, error.wrong, now=now, who=who, dry_run=dry_run)
    return PartnerFileTaken(
        partner,
        name,
        read.digest,
        CHECKED if dry_run else TAKEN,
        read.file.number,
        len(read.file.lines),
        touched,
        checked.collected,
        checked.commissions,
    )


def _partner(services: Services, name: str) -> Partner:
    partner = services.partners.by_name.get(name)
    if partner is None:
        there = ", ".join(services.partners.by_name) or "none"
        raise PartnerUnknown(f"partner {name!r} has no file in policies/partners; there is {there}")
    return partner


def _read(
    services: Services, partner: Partner, name: str, content: bytes, manifest: bytes | None, now: datetime
) -> _Read:
    keys = OurKeys(services.settings.age_key, services.settings.openpgp_key)
    try:
        plain = unseal(name, content, keys)
    except NotOpened as error:
        return _Read(name, content, sha256(content), PartnerFile((), (Wrong(0, str(error)),)))
    key = sha256(plain)
    match partner.layout:
        case Layout.ARREARS_CSV:
            file = read_partner_csv(plain_name(name), plain)
        case Layout.LATITUDE_AIM:
            file = read_aim(plain, digest=key, received=now)
        case Layout.YGC:
            file = read_ygc(plain, digest=key)
    return _Read(name, content, key, _with_manifest(file, manifest, {key, sha256(content)}))


def _with_manifest(file: PartnerFile, manifest: bytes | None, digests: set[str]) -> PartnerFile:
    if manifest is None:
        return file
    try:
        told = read_manifest(manifest)
    except ManifestUnusable as error:
        return PartnerFile(file.lines, (*file.wrong, Wrong(0, str(error))), file.number, file.totals)
    wrong = list(file.wrong)
    if told.sha256 not in digests:
        wrong.append(Wrong(0, "the file is not the one its manifest vouches for: the digests differ", told.sha256))
    if told.number and file.number and told.number != file.number:
        wrong.append(Wrong(0, "trailer and manifest number the file differently", told.number, file.number))
    return PartnerFile(file.lines, tuple(wrong), told.number or file.number, (*file.totals, told.totals()))


def _before(services: Services, partner: Partner, read: _Read) -> PartnerFileTaken | None:
    """What came of these bytes when they were taken before, by whatever name."""
    with services.ledger.read() as session:
        row = _row(session, partner, read)
    if row is None or row.status != TAKEN:
        return None
    return PartnerFileTaken(partner.name, read.name, read.digest, KNOWN, row.number, row.lines)


def _row(session: Session, partner: Partner, read: _Read) -> models.AgencyFile | None:
    file = models.AgencyFile
    found = select(file).where(file.partner == partner.name, file.digest == read.digest).with_for_update()
    return session.exec(found).first()


def _claim(session: Session, services: Services, partner: Partner, read: _Read, *, now: datetime, who: str) -> None:
    """The file's row, before anything of it: whoever takes the same file waits here, and then finds it taken."""
    file = models.AgencyFile
    number = read.file.number
    if number:
        other = session.exec(
            select(file).where(file.partner == partner.name, file.number == number, file.status == TAKEN)
        ).first()
        if other is not None and other.digest != read.digest:
            raise _WrongFile([Wrong(0, f"file number {number!r} was taken before with other content, as {other.name}")])
    row = _row(session, partner, read)
    if row is not None and row.status == TAKEN:
        raise _TakenMeanwhile
    row = row or file(partner=partner.name, digest=read.digest, name=read.name, status=TAKEN, at=now, wall=now, who=who)
    row.name, row.number, row.status, row.path, row.wrong = read.name, number, TAKEN, "", 0
    row.at, row.wall, row.who = now, services.clock.wall(), who
    row.lines = len(read.file.lines)
    session.add(row)
    session.flush()


def _checked(services: Services, session: Session, partner: Partner, read: _Read, now: datetime) -> Checked:
    terms = partner.commission
    by_target = terms is not None and any(isinstance(each, ByTarget) for each in (terms.schedule, terms.further))
    books = read_books(session, partner.name, read.file.lines, by_target=by_target)
    needs_totals = partner.layout is not Layout.YGC
    return check_file(read.file, books, partner, hold_kinds(services), needs_totals=needs_totals, now=now)


def _book(
    services: Services, session: Session, partner: Partner, read: _Read, checked: Checked, *, now: datetime, who: str
) -> tuple[str, ...]:
    try:
        touched = book(services, session, partner.name, read.name, checked.booked, received_at=now, who=who)
    except EventRefused as error:
        raise _WrongFile([Wrong(0, str(error))]) from None
    row = _row(session, partner, read)
    assert row is not None, "it was claimed"
    row.sums = {
        currency: {"collected": amount, "commission": checked.commissions.get(currency, 0)}
        for currency, amount in sorted(checked.collected.items())
    }
    session.add(row)
    corrected(session, row, at=now)
    return touched


def _refused(
    services: Services, partner: Partner, read: _Read, wrong: list[Wrong], *, now: datetime, who: str, dry_run: bool
) -> PartnerFileTaken:
    path = ""
    if not dry_run:
        path = quarantine(
            services,
            partner.name,
            models.AgencyFile(
                partner=partner.name,
                digest=read.digest,
                number=read.file.number,
                name=read.name,
                status=QUARANTINED,
                lines=len(read.file.lines),
                wrong=len(wrong),
                at=now,
                wall=services.clock.wall(),
                who=who,
            ),
            read.content,
            wrong,
        )
    return PartnerFileTaken(
        partner.name,
        read.name,
        read.digest,
        QUARANTINED,
        read.file.number,
        len(read.file.lines),
        wrong=tuple(wrong),
        path=path,
    )
