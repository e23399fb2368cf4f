"""Which holds stand in the way of a contact, and which make the whole case stand still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from arrears.engine.case import Suspension
from arrears.engine.contact.facts import Facts, Hold, Proposal
from arrears.engine.contact.rules import HoldRule, Per, Rulebook, concerns
from arrears.engine.vocabulary import Party


def blocking_holds(
    proposal: Proposal, rulebook: Rulebook, facts: Facts, *, now: datetime
) -> tuple[tuple[Hold, HoldRule], ...]:
    """Holds in force at `now` that forbid `proposal`, each with the rule that gives it force."""
    channel = proposal.channel
    return tuple(
        (hold, rule)
        for hold, rule in _in_force(proposal.actor, rulebook, facts, now)
        if proposal.purpose not in rule.except_purposes
        and (not rule.purposes or proposal.purpose in rule.purposes)
        and (
            rule.everything
            or (hold.channel is channel if rule.own_channel and hold.channel else channel in rule.channels)
        )
    )


def standing(hold: Hold, rulebook: Rulebook, facts: Facts, now: datetime) -> bool:
    """Whether `hold` is in force at `now` for anybody: it has begun, and not every rule of its kind has let go of it.

    A kind that no rule speaks of stands until the end it was given.
    """
    if not _given_force(hold, now):
        return False
    rules = [rule for pack in rulebook.matching(facts.jurisdictions) for rule in pack.holds if rule.kind == hold.kind]
    if not rules:
        return not hold.other_debt
    return any(_binds(rule, hold, now) for rule in rules)


def suspension(actor: Party, rulebook: Rulebook, facts: Facts, *, now: datetime) -> Suspension | None:
    """Why the whole case stands still at `now`, and until when if every such hold has an end."""
    ends: list[datetime | None] = []
    kinds: list[str] = []
    for hold, rule in _in_force(actor, rulebook, facts, now):
        if rule.everything and not rule.purposes:
            kinds.append(f"{hold.kind} ({rule.id})")
            ends.append(_end(hold, rule))
    if not kinds:
        return None
    known = [end for end in ends if end is not None]
    return Suspension(", ".join(dict.fromkeys(kinds)), max(known) if len(known) == len(ends) else None)


def _in_force(actor: Party, rulebook: Rulebook, facts: Facts, now: datetime) -> Iterator[tuple[Hold, HoldRule]]:
    if not facts.holds:
        return
    for pack in rulebook.matching(facts.jurisdictions):
        for rule in pack.holds:
            if actor not in rule.applies_to or not concerns(rule, actor, facts):
                continue
            for hold in facts.holds:
                if hold.kind == rule.kind and _given_force(hold, now) and _binds(rule, hold, now):
                    yield hold, rule


def _given_force(hold: Hold, now: datetime) -> bool:
    return hold.since <= now and (hold.until is None or hold.until > now)


def _binds(rule: HoldRule, hold: Hold, now: datetime) -> bool:
    """Whether the rule gives the hold force at `now`.

    To hold is the safe side: a rule that is not in force yet, or that should have been read again, is kept
    all the same; only one whose time is over is not.
    """
    if rule.effective_to is not None and now.date() > rule.effective_to:
        return False
    if hold.other_debt and rule.per is not Per.PERSON:
        return False
    end = _end(hold, rule)
    return end is None or end > now


def _end(hold: Hold, rule: HoldRule) -> datetime | None:
    if hold.until is not None:
        return hold.until
    return hold.since + timedelta(days=rule.days) if rule.days is not None else None
