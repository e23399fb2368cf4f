"""Set and release holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session, col, select

import models
from arrears.engine.contact.facts import ContactChannel, Facts, Proposal, contact_channel
from arrears.engine.contact.holds import blocking_holds
from arrears.engine.contact.rules import HOUSE
from arrears.engine.life.events import HoldReleased, HoldSet
from arrears.engine.vocabulary import ChannelName, Party, StepStatus
from arrears.ledger.cases import hold_fact, holds_of
from arrears.ledger.events import log_event
from arrears.ledger.life import key_of, unused_name
from arrears.operations.inbox import EventRefused, take
from arrears.operations.services import Services, instant

HOLDS = "holds"


class HoldRefused(EventRefused):
    """The hold was not set or released; the message says why."""


@dataclass(frozen=True, slots=True)
class Released:
    """How many holds ended. `new` is False when it was known: nothing has changed."""

    count: int
    new: bool


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
    evidence: str = "",
    review_on: date | None = None,
    reference: str = "",
    source: str = "cli",
    who: str,
) -> bool:
    """Set a hold from `at`; False when the same one is already in force, or `reference` is known.

    Raises UnknownAccount and EventRefused.
    """
    kind = _kind(services, kind)
    if channel is not None and channel not in list(ContactChannel):
        raise HoldRefused(f"channel {channel!r} is not known; expected one of {', '.join(ContactChannel)}")
    if until is not None and until <= at:
        raise HoldRefused("the hold would end before it begins")
    if review_on is not None and review_on < at.date():
        raise HoldRefused("the hold would be reviewed before it begins")
    received_at = max(at, instant(services, None))
    with services.ledger.write() as session:
        own, _ = holds_of(session, account_id, lock=True)
        same = [hold for hold in own if (hold.kind, hold.channel, hold.until) == (kind, channel, until)]
        if same and not reference:
            return False
        name = reference or unused_name(session, account_id, kind, at)
        event = HoldSet(
            key=key_of(HOLDS, name),
            at=at,
            kind=kind,
            channel=channel,
            until=until,
            evidence=evidence,
            review_on=review_on,
        )
        return set_hold(services, session, account_id, event, received_at=received_at, via=source, who=who)


def set_hold(
    services: Services,
    session: Session,
    account_id: str,
    event: HoldSet,
    *,
    received_at: datetime,
    via: str,
    who: str,
) -> bool:
    """Take the hold in within the caller's transaction, and log what it came too late for; False when it is known."""
    new = take(services, session, account_id, event, received_at=received_at, via=via, who=who).new
    if new:
        _tell_what_came_late(services, session, account_id, event.kind, at=received_at, who=who)
    return new


def would_have_stopped(services: Services, account_id: str, kind: str) -> list[models.Step]:
    """What was made since the last hold of `kind` began, and would not have been had it been known in time.

    Of all accounts that the hold covers, the oldest first. Raises UnknownAccount.
    """
    with services.ledger.read() as session:
        return _made_under(services, session, account_id, _kind(services, kind))


def _tell_what_came_late(
    services: Services, session: Session, account_id: str, kind: str, *, at: datetime, who: str
) -> None:
    late = [step.reference for step in _made_under(services, session, account_id, kind)]
    if late:
        data: dict[str, object] = {"kind": kind, "would_have_stopped": late}
        log_event(
            session,
            "known late",
            who=who,
            at=at,
            wall=services.clock.wall(),
            account_id=account_id,
            why=kind,
            data=data,
        )


def _made_under(services: Services, session: Session, account_id: str, kind: str) -> list[models.Step]:
    """What the newest hold of `kind` set for the account would have stopped."""
    own, _ = holds_of(session, account_id)
    placed = [row for row in own if row.kind == kind]
    if not placed:
        return []
    row = max(placed, key=lambda hold: hold.id or 0)
    made: list[models.Step] = []
    for account in session.exec(select(models.Account).where(models.Account.holder_id == row.holder_id)):
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
            actor = Party(step.actor) if step.actor else Party.FIRST
            proposal = Proposal(contact_channel(ChannelName(step.channel)), actor, str(step.verdict.get("purpose", "")))
            if blocking_holds(proposal, services.rulebook, facts, now=step.at):
                made.append(step)
    return sorted(made, key=lambda step: step.at or row.since)


def release(
    services: Services,
    account_id: str,
    kind: str,
    *,
    at: datetime,
    reference: str = "",
    source: str = "cli",
    who: str,
) -> Released:
    """Release every open hold of `kind` that was set before.

    A release told under a `reference` of its own may come before its hold is known, and waits for it.
    Raises UnknownAccount and EventRefused.
    """
    kind = _kind(services, kind)
    with services.ledger.write() as session:
        own, elsewhere = holds_of(session, account_id, lock=True)
        found = [hold for hold in own if hold.kind == kind]
        if not found and not reference:
            others = sorted({hold.account_id for hold in elsewhere if hold.kind == kind})
            if others:
                raise HoldRefused(f"hold {kind} was set for account {', '.join(others)}; release it there")
            held = ", ".join(dict.fromkeys(hold.kind for hold in own)) or "none"
            raise HoldRefused(f"account {account_id} has no hold {kind}; in force: {held}")
        name = reference or unused_name(session, account_id, f"{kind}/released", at)
        taken = take(
            services,
            session,
            account_id,
            HoldReleased(key=key_of(HOLDS, name), at=at, kind=kind),
            received_at=max(at, instant(services, None)),
            via=source,
            who=who,
        )
        return Released(sum(hold.released_at is not None for hold in found), taken.new)


def _kind(services: Services, word: str) -> str:
    kind = word.strip().upper().replace("-", "_")
    if kind not in (kinds := hold_kinds(services)):
        raise HoldRefused(f"hold {kind!r} is not known; expected one of {', '.join(kinds)}")
    return kind
