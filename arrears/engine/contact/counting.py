"""Caps and cooldowns: until when the contacts already made leave no room for another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time

from arrears.engine.contact.facts import Facts, PastContact, Proposal
from arrears.engine.contact.rules import Cap, Cooldown, Counts, Docket, Per, Span
from arrears.engine.delinquency import days_later, local_date

MIDNIGHT = time(0)


@dataclass(frozen=True, slots=True)
class Bar:
    """Rule `rule` forbids contact before `until`; what is asked for lies outside it before `exempt_until`."""

    rule: str
    until: datetime
    exempt_until: datetime | None = None

    def clears(self, moment: datetime) -> datetime:
        """The first instant at or after `moment` that the rule does not forbid."""
        if moment >= self.until or (self.exempt_until is not None and moment < self.exempt_until):
            return moment
        return self.until


def bars(docket: Docket, proposal: Proposal, facts: Facts, *, now: datetime) -> list[Bar]:
    """What the history bars from `now` on. What it no longer bars is left out."""
    found: list[Bar] = []
    if not facts.history:
        return found
    for rule in (*docket.caps, *docket.cooldowns):
        until = _full_until(rule, proposal, facts) if isinstance(rule, Cap) else _cool_from(rule, proposal, facts)
        if until is not None and until > now:
            exempt = _consent_ends(rule, facts, now, asked_now=True) if rule.consent_days and facts.consents else None
            found.append(Bar(rule.id, until, exempt))
    return found


def _full_until(cap: Cap, proposal: Proposal, facts: Facts) -> datetime | None:
    """When the `most`-th last counted contact leaves the cap's span; None while there is room for good.

    A count only falls as time goes by, so one contact decides.
    """
    times = [contact.at for contact in _counted(cap, proposal, facts)]
    if len(times) < cap.most:
        return None
    times.sort()
    decisive = times[-cap.most]
    match cap.span:
        case Span.ROLLING:
            return decisive + cap.length
        case Span.LOCAL_DAYS:
            return _last_midnight(decisive, cap.length.days, facts)
        case Span.CALENDAR_WEEK:
            return max(_next_week(decisive, zone) for zone in facts.zones)


def _next_week(moment: datetime, zone: str) -> datetime:
    """The later of the next Monday and the next Sunday."""
    weekday = local_date(moment, zone).weekday()
    to_monday, to_sunday = 7 - weekday, 6 - weekday or 7
    return days_later(moment, max(to_monday, to_sunday), MIDNIGHT, zone)


def _cool_from(rule: Cooldown, proposal: Proposal, facts: Facts) -> datetime | None:
    """The end of the cooldown after the last conversation, whoever began it."""
    spoken = [
        c.at for c in facts.history if c.spoke and c.channel in rule.channels and _same_counter(rule, proposal, c)
    ]
    return _last_midnight(max(spoken), rule.days, facts) if spoken else None


def _counted(cap: Cap, proposal: Proposal, facts: Facts) -> Iterator[PastContact]:
    channels, uncounted = cap.channels, cap.uncounted
    for contact in facts.history:
        if not contact.outbound or contact.channel not in channels or contact.outcome in uncounted:
            continue
        if cap.location is not None and contact.location is not cap.location:
            continue
        if cap.counts is Counts.CONVERSATIONS and contact.outcome and not contact.spoke:
            continue
        if cap.counts is Counts.UNANSWERED and contact.spoke:
            continue
        if not _same_counter(cap, proposal, contact):
            continue
        # The consents are for this debt: what was said about another does not rest on them.
        of_this_debt = cap.consent_days and facts.consents and contact.debt == proposal.debt
        if of_this_debt and _consent_ends(cap, facts, contact.at) is not None:
            continue
        yield contact


def _same_counter(rule: Cap | Cooldown, proposal: Proposal, contact: PastContact) -> bool:
    """Whether `contact` is on the counter the proposal would be on; what is not known counts."""
    if contact.carried and (rule.per is not Per.DEBT or not proposal.debt):
        return False  # the person and the number were reached once, by the contact that carried it
    if rule.per_collector and contact.actor is not None and contact.actor is not proposal.actor:
        return False
    if rule.per is Per.DEBT:
        return not contact.debt or not proposal.debt or contact.debt == proposal.debt
    if rule.per is Per.NUMBER:
        return not contact.number or not proposal.number or contact.number == proposal.number
    return True


def _consent_ends(rule: Cap | Cooldown, facts: Facts, at: datetime, *, asked_now: bool = False) -> datetime | None:
    """When the consent ends that a contact made at `at` could rest on; None if there is none.

    A conversation ends it: one before `at`, and with `asked_now` one of that very instant.
    """
    ends: datetime | None = None
    for consent in facts.consents:
        if consent.channel not in rule.channels or consent.at > at:
            continue
        end = min(days_later(consent.at, rule.consent_days, MIDNIGHT, zone) for zone in facts.zones)
        spoken = (c.at for c in facts.history if c.spoke and c.channel in rule.channels)
        if at < end and not any(consent.at < talk < at or (asked_now and talk == at) for talk in spoken):
            ends = end if ends is None or end > ends else ends
    return ends


def _last_midnight(moment: datetime, days: int, facts: Facts) -> datetime:
    """Midnight `days` calendar days after the local day of `moment`, where that comes last."""
    return max(days_later(moment, days, MIDNIGHT, zone) for zone in facts.zones)
