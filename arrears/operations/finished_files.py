"""Files of the outbox that are whole and belong to a partner: what is to be handed over, in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, exists, or_, select

import models
from arrears.channels import files
from arrears.engine.delinquency import days_past_due
from arrears.engine.money import Money
from arrears.engine.partners import Choice, Offered, Partner, PartnerKind, choose
from arrears.operations.services import Services

PLACEMENT, RECALL, REFERRAL, PRINT = "placement", "recall", "referral", "print"
# What is neither to be sent again nor in doubt.
_SETTLED = ("done", "unknown")
_PRINT_FOLDERS = "print/*/manifest.json"


@dataclass(frozen=True, slots=True)
class Finished:
    """One file. `path` is relative to the outbox, `name` what it is called at the partner's, before encryption.

    Files of one `group` go in order, and none past one that has not gone. `vouched`: another file of the group is
    its manifest; otherwise it gets one of its own.
    """

    partner: Partner
    kind: str
    path: str
    name: str
    sha256: str
    day: date
    group: str
    vouched: bool = False


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """A file that cannot be handed to anybody, and why."""

    path: str
    why: str


def finished_files(services: Services, session: Session, *, now: datetime) -> tuple[list[Finished], list[Unclaimed]]:
    """Every finished file that is still to be handed over, by partner and day; and what no partner takes."""
    sending = {name: each for name, each in services.partners.by_name.items() if each.hand_off.to}
    if not sending:
        return [], []
    packs = list(_referrals(session, [each for each in sending.values() if each.kind is PartnerKind.LAW_FIRM]))
    prints = list(_prints(session, services.settings.outbox, list(sending.values())))
    found = [
        *_batches(session, models.PlacementBatch, PLACEMENT, sending, now.date()),
        *_batches(session, models.RecallBatch, RECALL, sending, now.date()),
        *(each for each in packs if isinstance(each, Finished)),
        *(each for each in prints if isinstance(each, Finished)),
    ]
    ready = [each for each in found if (since := each.partner.hand_off.since) is None or each.day >= since]
    unclaimed = [each for each in (*packs, *prints) if isinstance(each, Unclaimed)]
    return sorted(ready, key=lambda each: (each.partner.name, each.day)), unclaimed


def _batches(
    session: Session,
    batch: type[models.PlacementBatch | models.RecallBatch],
    kind: str,
    sending: dict[str, Partner],
    today: date,
) -> Iterator[Finished]:
    written = select(batch).where(
        col(batch.agency).in_(sending), ~col(batch.unwritten), batch.sha256 != "", ~_settled(batch)
    )
    for row in session.exec(written.order_by(col(batch.day))):
        partner = sending[row.agency]
        # Who would take a line twice gets the file when it cannot grow any more; a recall cannot wait for that.
        if kind == RECALL or partner.layout.may_grow or row.day < today:
            yield Finished(partner, kind, row.path, Path(row.path).name, row.sha256, row.day, row.path)


def _referrals(session: Session, firms: list[Partner]) -> Iterator[Finished | Unclaimed]:
    """Packs for court, each to the law firm that takes the account."""
    if not firms:
        return
    packs = select(models.Referral).where(~_settled(models.Referral)).order_by(col(models.Referral.at))
    for row in session.exec(packs):
        choice = _firm(session, row, firms)
        firm = next((each for each in firms if each.name == choice.partner), None)
        if firm is None:
            why = f"no law firm takes it: {choice.in_words()}; `takes` in policies/partners decides"
            yield Unclaimed(row.path, why)
        else:
            yield Finished(firm, REFERRAL, row.path, Path(row.path).name, row.sha256, row.at.date(), row.path)


def _firm(session: Session, row: models.Referral, firms: list[Partner]) -> Choice:
    account, case = session.get_one(models.Account, row.account_id), session.get_one(models.Case, row.case_id)
    zone = account.zones[0] if account.zones else ""
    offered = Offered(
        case_id=case.id,
        country=account.country,
        region=account.region,
        balance=Money(account.balance, account.currency),
        days_past_due=days_past_due(case.due_date, row.at, zone),
    )
    return choose(offered, firms, {})


def _prints(session: Session, outbox: Path, partners: list[Partner]) -> Iterator[Finished | Unclaimed]:
    """Batches of letters, which their manifest makes whole, to the print house; the first by name if there are two.

    A batch whose manifest cannot be read keeps nothing else from leaving.
    """
    houses = sorted((each for each in partners if each.kind is PartnerKind.PRINT_HOUSE), key=lambda each: each.name)
    if not houses:
        return
    for path in sorted(outbox.glob(_PRINT_FOLDERS)):
        folder = path.parent
        try:
            content = path.read_bytes()
            document: dict[str, Any] = json.loads(content)
            day = datetime.fromisoformat(document["made_at"]).date()
            listed = [(str(each["name"]), str(each["sha256"])) for each in document["files"]]
        except (OSError, ValueError, LookupError, TypeError) as error:
            yield Unclaimed(str(path.relative_to(outbox)), f"this manifest cannot be read: {type(error).__name__}")
            continue
        for name, digest in (*listed, (path.name, files.digest(content))):
            relative = f"{folder.relative_to(outbox)}/{name}"
            if not _is_settled(session, relative, digest):
                group, called = str(folder.relative_to(outbox)), f"{folder.name}.{name}"
                yield Finished(houses[0], PRINT, relative, called, digest, day, group, vouched=True)


def _settled(row: type[models.PlacementBatch | models.RecallBatch | models.Referral]) -> Any:
    handoff = models.Handoff
    return exists().where(
        col(handoff.path) == col(row.path),
        col(handoff.sha256) == col(row.sha256),
        or_(*(col(handoff.status) == status for status in _SETTLED)),
    )


def _is_settled(session: Session, path: str, digest: str) -> bool:
    handoff = models.Handoff
    query = select(handoff.id).where(handoff.path == path, handoff.sha256 == digest, col(handoff.status).in_(_SETTLED))
    return session.exec(query).first() is not None
