"""Place and release holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

import models
from arrears.engine.contact.facts import ContactChannel, Facts, Proposal, contact_channel
from arrears.engine.contact.holds import blocking_holds
from arrears.engine.contact.rules import HOUSE
from arrears.engine.vocabulary import CaseStatus, ChannelName, Party, StepStatus
from arrears.ledger.cases import CaseFile, hold_fact, lock_person, read_case_file
from arrears.ledger.events import log_event
from arrears.operations.call_queue import cancel_open_tasks
from arrears.operations.services import Services
from arrears.operations.standstill import standstill
from arrears.operations.wake import make_due
from arrears.policies.hold_kinds import HoldKind

# Said for a number as much as by a person: whoever else's accounts name the number.
_OF_THE_NUMBER = (HoldKind.CHANNEL_OPTOUT, HoldKind.TCPA_REVOCATION)
_TO_A_NUMBER = (ContactChannel.CALL, ContactChannel.CALL_AUTO, ContactChannel.SMS, ContactChannel.VOICEMAIL)


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
        others = lock_person(session, account_id)
        file = read_case_file(session, account_id, lock=True)
        if any(h.kind == kind and h.channel == channel and h.until == until for h in file.holds):
            return False
        place(session, file, kind, channel, since=at, until=until, who=who)
        late = [step.reference for step in _made_under(services, session, file, others, file.holds[-1])]
        data: dict[str, object] = {"would_have_stopped": late} if late else {}
        log_event(session, "hold", who=who, at=at, wall=services.clock.wall(), case=file.case, why=kind, data=data)
        reconsider(services, session, file, others, at=at, who=who)
        return True


def would_have_stopped(services: Services, account_id: str, kind: str) -> list[models.Step]:
    """What was made since the last hold of `kind` began, and would not have been had it been known in time.

    Of all accounts that the hold covers, the oldest first. Raises UnknownAccount.
    """
    with services.ledger.read() as session:
        file = read_case_file(session, account_id)
        placed = [row for row in file.holds if row.kind == kind.strip().upper().replace("-", "_")]
        others = session.exec(
            select(models.Account.id).where(
                models.Account.holder_id == file.account.holder_id, models.Account.id != account_id
            )
        ).all()
        return _made_under(services, session, file, others, placed[-1]) if placed else []


def _made_under(
    services: Services, session: Session, file: CaseFile, others: Sequence[str], row: models.Hold
) -> list[models.Step]:
    made: list[models.Step] = []
    for account in (file.account, *(session.get_one(models.Account, other) for other in others)):
        fact = hold_fact(row, other_debt=account.id != row.account_id)
        facts = Facts(tuple(account.jurisdictions), tuple(account.zones), (fact,))
        steps = session.exec(
            select(models.Step).where(
                models.Step.account_id == account.id,
                models.Step.status == StepStatus.DONE,
                col(models.Step.at) >= row.since,
            )
        )
        for step in steps:
            assert step.at is not None
            actor = Party(step.actor) if step.actor else file.actor
            proposal = Proposal(contact_channel(ChannelName(step.channel)), actor, str(step.verdict.get("purpose", "")))
            if blocking_holds(proposal, services.rulebook, facts, now=step.at):
                made.append(step)
    return sorted(made, key=lambda step: step.at or row.since)


def release(services: Services, account_id: str, kind: str, *, at: datetime, who: str) -> int:
    """Release every open hold of `kind`; how many there were. Raises UnknownAccount and HoldRefused."""
    kind = kind.strip().upper().replace("-", "_")
    with services.ledger.write() as session:
        others = lock_person(session, account_id)
        file = read_case_file(session, account_id, lock=True)
        found = [h for h in file.holds if h.kind == kind]
        if not found:
            elsewhere = sorted({h.account_id for h in file.holds_elsewhere if h.kind == kind})
            if elsewhere:
                raise HoldRefused(f"hold {kind} was set for account {', '.join(elsewhere)}; release it there")
            held = ", ".join(h.kind for h in file.holds) or "none"
            raise HoldRefused(f"account {account_id} has no hold {kind}; in force: {held}")
        lift(session, file, found, at=at, who=who)
        log_event(session, "release", who=who, at=at, wall=services.clock.wall(), case=file.case, why=kind)
        reconsider(services, session, file, others, at=at, who=who)
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
    number: str = "",
) -> None:
    """Put a hold on the account inside the caller's transaction.

    An opt-out from texts or calls is also the number's: `number`, else the account's first.
    """
    account = file.account
    if kind in _OF_THE_NUMBER and (channel is None or channel in _TO_A_NUMBER):
        number = number or file.number or (account.phones[0] if account.phones else "")
    row = models.Hold(
        account_id=account.id,
        holder_id=account.holder_id,
        number=number,
        kind=kind,
        channel=channel,
        since=since,
        until=until,
        set_by=who,
    )
    session.add(row)
    file.holds.append(row)


def lift(session: Session, file: CaseFile, rows: Sequence[models.Hold], *, at: datetime, who: str) -> None:
    """Release these holds inside the caller's transaction."""
    for row in rows:
        row.released_at, row.released_by = at, who
        session.add(row)
        (file.holds if row in file.holds else file.holds_elsewhere).remove(row)


def say_whether_held(services: Services, file: CaseFile, *, at: datetime) -> None:
    """Let the status of an open case say at once whether it stands still at `at`; what is next is decided later."""
    case = file.case
    stands_still = standstill(services, file, now=at)
    case.status = CaseStatus.HELD if stands_still else CaseStatus.DELINQUENT
    case.next_reason = f"held: {stands_still.reason}" if stands_still else "to be decided"


def reconsider(
    services: Services, session: Session, file: CaseFile, others: Sequence[str], *, at: datetime, who: str
) -> None:
    """Let the case, and the cases of the holder's other accounts, say at once what their holds mean now.

    Calls that a hold forbids leave the queue. `others`: what `lock_person` returned.
    """
    session.flush()
    for each in (file, *(read_case_file(session, other, lock=True) for other in others)):
        if each.case.status in (CaseStatus.DELINQUENT, CaseStatus.HELD):
            say_whether_held(services, each, at=at)
        _withdraw_calls(services, session, each, at=at, who=who)
        make_due(session, each.case, at=at)


def _withdraw_calls(services: Services, session: Session, file: CaseFile, *, at: datetime, who: str) -> None:
    """Nobody is called who may not be any more; an attempt that nobody made is no attempt."""
    call = Proposal(ContactChannel.CALL, file.actor)
    held = blocking_holds(call, services.rulebook, file.facts(), now=at)
    stands_still = standstill(services, file, now=at)
    if not held and stands_still is None:
        return
    because = ", ".join(dict.fromkeys(hold.kind for hold, _ in held)) or (stands_still.reason if stands_still else "")
    why = f"withdrawn before anybody called: {because}"
    wall = services.clock.wall()
    for task in cancel_open_tasks(session, file.account.id, who=who, at=at, wall=wall):
        step = file.step(task.rung, task.attempt)
        if step is not None and step.status == StepStatus.DONE:
            step.status, step.reason = StepStatus.SKIPPED, why
            step.rules = [rule.id for _, rule in held]
            session.add(step)
            data: dict[str, object] = {"rung": step.rung, "attempt": step.attempt, "reference": step.reference}
            log_event(session, "skipped", who=who, at=at, wall=wall, case=file.case, why=why, data=data)
