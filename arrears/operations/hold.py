"""Place and release holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

import models
from arrears.engine.contact.facts import ContactChannel
from arrears.engine.contact.holds import suspension
from arrears.engine.contact.rules import HOUSE
from arrears.engine.vocabulary import CaseStatus
from arrears.ledger.cases import CaseFile, read_case_file
from arrears.ledger.events import log_event
from arrears.operations.services import Services
from arrears.operations.wake import make_due


class HoldRefused(Exception):
    """The hold was not placed or released; the message says why."""


def hold_kinds(services: Services) -> list[str]:
    """Every kind of hold the rules know."""
    house = services.rulebook.packs.get(HOUSE)
    return sorted({rule.kind for rule in house.holds}) if house else []


def hold(
    services: Services,
    account_id: str,
    kind: str,
    *,
    at: datetime,
    until: datetime | None,
    channel: str | None,
    who: str,
) -> bool:
    """Place a hold from `at`; False when the same one is already in force.

    Raises UnknownAccount and HoldRefused.
    """
    kind = kind.strip().upper().replace("-", "_")
    if kind not in (kinds := hold_kinds(services)):
        raise HoldRefused(f"hold {kind!r} is not known; expected one of {', '.join(kinds)}")
    if channel is not None and channel not in list(ContactChannel):
        raise HoldRefused(f"channel {channel!r} is not known; expected one of {', '.join(ContactChannel)}")
    if until is not None and until <= at:
        raise HoldRefused("the hold would end before it begins")
    with services.ledger.write() as session:
        file = read_case_file(session, account_id, lock=True)
        if any(h.kind == kind and h.channel == channel and h.until == until for h in file.holds):
            return False
        place(session, file, kind, channel, since=at, until=until, who=who)
        log_event(session, "hold", who=who, at=at, wall=services.clock.wall(), case=file.case, why=kind)
        reconsider(services, session, file, at=at)
        return True


def release(services: Services, account_id: str, kind: str, *, at: datetime, who: str) -> int:
    """Release every open hold of `kind`; how many there were. Raises UnknownAccount and HoldRefused."""
    kind = kind.strip().upper().replace("-", "_")
    with services.ledger.write() as session:
        file = read_case_file(session, account_id, lock=True)
        found = [h for h in file.holds if h.kind == kind]
        if not found:
            held = ", ".join(h.kind for h in file.holds) or "none"
            raise HoldRefused(f"account {account_id} has no hold {kind}; in force: {held}")
        lift(session, file, found, at=at, who=who)
        log_event(session, "release", who=who, at=at, wall=services.clock.wall(), case=file.case, why=kind)
        reconsider(services, session, file, at=at)
        return len(found)


def place(
    session: Session,
    file: CaseFile,
    kind: str,
    channel: str | None,
    *,
    since: datetime,
    until: datetime | None,
    who: str,
) -> None:
    """Put a hold on the account inside the caller's transaction."""
    row = models.Hold(account_id=file.account.id, kind=kind, channel=channel, since=since, until=until, set_by=who)
    session.add(row)
    file.holds.append(row)


def lift(session: Session, file: CaseFile, rows: Sequence[models.Hold], *, at: datetime, who: str) -> None:
    """Release these holds of the account inside the caller's transaction."""
    for row in rows:
        row.released_at, row.released_by = at, who
        session.add(row)
        file.holds.remove(row)


def say_whether_held(services: Services, file: CaseFile, *, at: datetime) -> None:
    """Let the status of an open case say at once what its holds mean at `at`; what is next is decided later."""
    case = file.case
    stands_still = suspension(file.actor, services.rulebook, file.facts(), now=at)
    case.status = CaseStatus.HELD if stands_still else CaseStatus.DELINQUENT
    case.next_reason = f"held: {stands_still.reason}" if stands_still else "to be decided"


def reconsider(services: Services, session: Session, file: CaseFile, *, at: datetime) -> None:
    """Let the case say at once what its holds mean now, and be looked at."""
    if file.case.status in (CaseStatus.DELINQUENT, CaseStatus.HELD):
        say_whether_held(services, file, at=at)
    make_due(session, file.case, at=at)
