"""The gate: may this contact be made at this instant, by the law of every place that may apply?"""

from __future__ import annotations

from datetime import datetime

from arrears.engine.contact.facts import Facts, Proposal
from arrears.engine.contact.holds import blocking_holds
from arrears.engine.contact.rules import ClosedDays, Rulebook, Window
from arrears.engine.contact.verdict import Allow, Defer, Deny, Review, Scope, Verdict
from arrears.engine.contact.windows import next_open

UNKNOWN_COUNTRY = "ARREARS-UNKNOWN-COUNTRY"
UNKNOWN_ZONE = "ARREARS-UNKNOWN-ZONE"
NEVER_OPEN = "ARREARS-NEVER-OPEN"


def gate(proposal: Proposal, rulebook: Rulebook, facts: Facts, *, now: datetime) -> Verdict:
    """Judge `proposal` at `now` (aware UTC). Strictest wins; what no rule covers goes to a person.

    Order: holds deny, then an unknown country is reviewed, an unknown zone denied, and windows and
    closed days of all zones defer to the first instant that satisfies them all.
    """
    held = blocking_holds(proposal.channel, proposal.actor, rulebook, facts, now=now)
    if held:
        kinds = ", ".join(dict.fromkeys(hold.kind for hold, _ in held))
        scope = Scope.CASE if any(rule.everything for _, rule in held) else Scope.CONTACT
        return Deny(tuple(dict.fromkeys(rule.id for _, rule in held)), f"hold: {kinds}", scope)

    packs = rulebook.matching(facts.jurisdictions)
    if packs is None:
        if facts.approved:
            packs = rulebook.house_only()
        else:
            places = ", ".join(facts.jurisdictions) or "no jurisdiction"
            return Review((UNKNOWN_COUNTRY,), f"no contact rules for {places}")

    windows = [rule for pack in packs for rule in pack.windows if _binds(rule, proposal)]
    closed_days = [rule for pack in packs for rule in pack.closed_days if _binds(rule, proposal)]
    if (windows or closed_days) and not facts.zones:
        return Deny((UNKNOWN_ZONE,), "no time zone is known for the account", Scope.CASE)

    opening, blocking = next_open(windows, closed_days, facts.zones, rulebook.calendars, now=now)
    if opening is None:
        return Review((NEVER_OPEN, *blocking), "no instant within 400 days satisfies every rule")
    if opening > now:
        return Defer(opening, blocking, "outside the hours or days of contact")
    return Allow(tuple(dict.fromkeys(rule.id for rule in (*windows, *closed_days))))


def _binds(rule: Window | ClosedDays, proposal: Proposal) -> bool:
    return proposal.actor in rule.applies_to and proposal.channel in rule.channels
