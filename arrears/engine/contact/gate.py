"""The gate: may this contact be made at this instant, by the law of every place that may apply?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from arrears.engine.contact.counting import Bar, bars
from arrears.engine.contact.facts import Facts, Proposal
from arrears.engine.contact.holds import blocking_holds, standing
from arrears.engine.contact.notices import expires, is_due
from arrears.engine.contact.rules import ConsentRule, Docket, Rulebook
from arrears.engine.contact.verdict import Allow, Defer, Deny, Review, Scope, Verdict
from arrears.engine.contact.windows import first_legal

UNKNOWN_COUNTRY = "ARREARS-UNKNOWN-COUNTRY"
UNKNOWN_ZONE = "ARREARS-UNKNOWN-ZONE"
NEVER_OPEN = "ARREARS-NEVER-OPEN"


def gate(proposal: Proposal, rulebook: Rulebook, facts: Facts, *, now: datetime) -> Verdict:
    """Judge `proposal` at `now` (aware UTC). Strictest wins; what no rule covers goes to a person.

    A denial outweighs a review and a review a deferral. Holds, an unknown zone, missing consent and a
    claim that is time-barred deny; an unknown country, rules that are not yet or no longer to be relied
    upon, and a step that needs a person are reviewed, unless `facts.approved`; hours, days, caps,
    cooldowns and notices defer to the first instant that satisfies them all.
    """
    docket = rulebook.docket(proposal, facts, now.date())
    if denial := _denial(docket, proposal, rulebook, facts, now):
        return denial
    if not facts.approved and (review := _review(docket, facts)):
        return review

    barred = bars(docket, proposal, facts, now=now)
    barred.extend(_unexpired(docket, rulebook, facts, now))
    opening, deciding = first_legal(docket, barred, facts.zones, rulebook.calendars, now=now)
    if opening is None:
        return Review((NEVER_OPEN, *deciding), "no instant within 400 days satisfies every rule")
    if opening > now:
        return Defer(opening, deciding, _why(deciding, barred))
    return Allow(docket.ids, tuple(_cautions(docket, proposal, facts, now)))


def _denial(docket: Docket, proposal: Proposal, rulebook: Rulebook, facts: Facts, now: datetime) -> Deny | None:
    rules: list[str] = []
    reasons: list[str] = []
    scope = Scope.CONTACT
    if facts.holds:
        held = blocking_holds(proposal, rulebook, facts, now=now)
        if held:
            rules.extend(rule.id for _, rule in held)
            reasons.append("hold: " + ", ".join(dict.fromkeys(hold.kind for hold, _ in held)))
            if any(rule.everything for _, rule in held):
                scope = Scope.CASE
        for stage_gate in docket.stage_gates:
            kinds = {
                hold.kind: None
                for hold in facts.holds
                if hold.kind in stage_gate.absent_holds and standing(hold, rulebook, facts, now)
            }
            if kinds:
                rules.append(stage_gate.id)
                reasons.append(f"not with {', '.join(kinds)}")
                scope = Scope.CASE
    if docket.counts_days and not facts.zones:
        rules.append(UNKNOWN_ZONE)
        reasons.append("no time zone is known for the account")
        scope = Scope.CASE
    for stage_gate in docket.stage_gates:
        if stage_gate.limitation and facts.limitation_ends is not None and now.date() >= facts.limitation_ends:
            rules.append(stage_gate.id)
            reasons.append(f"the claim is time-barred since {facts.limitation_ends}")
            scope = Scope.CASE
    for rule in docket.consents:
        if not rule.safe_harbor and not _consented(rule, proposal, facts, now):
            rules.append(rule.id)
            reasons.append(f"no consent to {proposal.channel}")
    return Deny(tuple(dict.fromkeys(rules)), "; ".join(dict.fromkeys(reasons)), scope) if rules else None


def _review(docket: Docket, facts: Facts) -> Review | None:
    rules: list[str] = []
    reasons: list[str] = []
    if docket.unknown:
        rules.append(UNKNOWN_COUNTRY)
        reasons.append(f"no contact rules for {', '.join(docket.unknown)}")
    if docket.unsettled:
        rules.extend(docket.unsettled)
        reasons.append("a rule is not in force yet, or past the day it was to be read again")
    for stage_gate in docket.stage_gates:
        if stage_gate.approval:
            rules.append(stage_gate.id)
            reasons.append("a person must approve it")
        if stage_gate.limitation and facts.limitation_ends is None:
            rules.append(stage_gate.id)
            reasons.append("the limitation period is not known")
    return Review(tuple(dict.fromkeys(rules)), "; ".join(dict.fromkeys(reasons))) if rules else None


def _unexpired(docket: Docket, rulebook: Rulebook, facts: Facts, now: datetime) -> Iterator[Bar]:
    """Notices whose time has not passed. One that was never given is counted as if it went out now."""
    for rule in docket.notices:
        given = min((n.at for n in facts.notices if n.kind == rule.notice), default=None)
        if is_due(rule, facts) and not (rule.if_given and given is None):
            until = expires(rule, given or now, facts.zones, rulebook.calendars)
            if given is None and until <= now:
                until = now + timedelta(days=1)
            if until > now:
                yield Bar(rule.id, until)


def _consented(rule: ConsentRule, proposal: Proposal, facts: Facts, now: datetime) -> bool:
    if any(consent.channel is proposal.channel and consent.at <= now for consent in facts.consents):
        return True
    since = now - timedelta(days=rule.or_used_within_days)
    return any(not c.outbound and c.channel is proposal.channel and since < c.at <= now for c in facts.history)


def _cautions(docket: Docket, proposal: Proposal, facts: Facts, now: datetime) -> Iterator[str]:
    for place in docket.unreviewed:
        yield f"{place}: no rules of its own are known; its country's were applied"
    for rule in docket.consents:
        if rule.safe_harbor and not _consented(rule, proposal, facts, now):
            yield f"{rule.id}: outside the safe harbor, there is no recent consent"


def _why(deciding: tuple[str, ...], barred: list[Bar]) -> str:
    by_history = {bar.rule for bar in barred}
    counted = any(rule in by_history for rule in deciding)
    timed = any(rule not in by_history for rule in deciding)
    if counted and timed:
        return "too soon after earlier contacts or notices, and then outside the hours or days of contact"
    return "too soon after earlier contacts or notices" if counted else "outside the hours or days of contact"
