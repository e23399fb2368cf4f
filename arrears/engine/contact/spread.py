"""Contacts that become legal at one instant do not all go out at it."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from hashlib import sha256

from arrears.engine.contact.facts import Facts, Proposal
from arrears.engine.contact.gate import gate
from arrears.engine.contact.rules import Rulebook
from arrears.engine.contact.verdict import Allow
from arrears.engine.delinquency import days_later


def spread_out(
    proposal: Proposal, rulebook: Rulebook, facts: Facts, *, opening: datetime, preferred: time, key: str
) -> datetime:
    """When to make a contact that was deferred to `opening`: never before it, and always legal.

    The ladder's `preferred` local hour if it comes later that day; else a moment of that day's window
    that the hash of `key` picks, the same each time. What has no hours goes at the opening itself.
    """
    windows = rulebook.docket(proposal, facts, opening.date()).windows
    if not windows or not facts.zones:
        return opening
    at_hour = days_later(opening, 0, preferred, facts.zones[0])
    if at_hour < opening:
        closing = min(days_later(opening, 0, window.closes, zone) for window in windows for zone in facts.zones)
        share = int.from_bytes(sha256(key.encode()).digest()[:4]) / 2**32
        at_hour = opening + timedelta(seconds=int((closing - opening).total_seconds() * share))
    legal = isinstance(gate(proposal, rulebook, facts, now=at_hour), Allow)
    return at_hour if legal else opening
