"""Rules in plain words, for whoever asks why."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import assert_never

from arrears.engine.contact.facts import Location
from arrears.engine.contact.rules import (
    Cap,
    ClosedDays,
    ConsentRule,
    Cooldown,
    Counts,
    Disclosure,
    Duty,
    HoldRule,
    Keywords,
    Milestone,
    NoticeRule,
    Per,
    Retention,
    Rule,
    Span,
    StageGate,
    When,
    Window,
)
from arrears.engine.vocabulary import Party

_DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_WHO = {Party.FIRST: "the creditor", Party.THIRD: "a collector"}
_PER = {Per.DEBT: "about one debt", Per.PERSON: "to one person", Per.NUMBER: "to one number"}
_WHAT = {Counts.ATTEMPTS: "attempts", Counts.CONVERSATIONS: "conversations", Counts.UNANSWERED: "unanswered attempts"}
_WHEN = {
    When.EVERY: "every message",
    When.INITIAL: "the first message",
    When.SUBSEQUENT: "every later message",
    When.TIME_BARRED: "messages about a debt too old to sue for",
}
_STRENGTH = {
    "hard": "law",
    "presumption": "law: crossing it is presumed a violation",
    "guidance": "a regulator's guidance, kept as law",
    "policy": "the lender's own policy",
}


def strength_in_words(rule: Rule) -> str:
    """`law`, `the lender's own policy` …"""
    return _STRENGTH.get(rule.strength, rule.strength)


def kind_of(rule: Rule) -> str:
    """The rule's section in its file."""
    return _SECTION[type(rule)]


def in_words(rule: Rule) -> str:
    """What the rule says, in one sentence without its citation."""
    return _sentence(rule) + _conditions(rule)


def _sentence(rule: Rule) -> str:
    who, channels = _who(rule), _list(sorted(rule.channels))
    match rule:
        case Window():
            return f"{who}: {channels} only from {rule.opens:%H:%M} to {rule.closes:%H:%M} local time"
        case ClosedDays():
            days = [_DAYS[day] for day in sorted(rule.weekdays)]
            days += [name.replace("_", " ") for name in sorted(rule.calendars)]
            return f"{who}: no {channels} on {_list(days)}"
        case Cap():
            where = " at the workplace" if rule.location is Location.WORKPLACE else ""
            return (
                f"{who}: at most {rule.most} {_WHAT[rule.counts]} by {channels} {_PER[rule.per]}{where} "
                f"{_span(rule.span, rule.length)}"
            )
        case Cooldown():
            return f"{who}: after a conversation no {channels} for {rule.days} days, its day included"
        case HoldRule():
            what = "nothing goes out" if rule.everything else f"no {channels}"
            own = ", or only the channel the hold names" if rule.own_channel else ""
            days = f", for {rule.days} days" if rule.days else ""
            whose = "any of the person's debts" if rule.per is Per.PERSON else "the debt"
            return f"{who}: while {whose} is under {rule.kind}, {what}{own}{days}"
        case ConsentRule():
            used = f", or used in the last {rule.or_used_within_days} days" if rule.or_used_within_days else ""
            need = "is protected only with" if rule.safe_harbor else "needs"
            return f"{who}: {channels} {need} the holder's consent{used}"
        case NoticeRule():
            return f"{_notice(rule)} before {channels}"
        case StageGate():
            return f"{_stage_gate(rule)} before {channels}"
        case Disclosure():
            return f"{who}: {_WHEN[rule.when]} by {channels} holds the words {_list(rule.words)}"
        case Keywords():
            return f"{channels}: {_list(sorted(rule.stop))} stop, {_list(sorted(rule.start)) or 'nothing'} restarts"
        case Retention():
            return f"{who}: keep {rule.records.replace('_', ' ')} " + (
                f"{rule.years} years" if rule.years else f"until {rule.until.replace('_', ' ')}"
            )
        case Milestone():
            return f"{rule.milestone.replace('_', ' ')} at {rule.dpd} days past due"
        case Duty():
            return rule.does
        case _:
            raise TypeError(f"a {type(rule).__name__} has no words")


def _conditions(rule: Rule) -> str:
    said: list[str] = []
    if rule.purposes:
        said.append(f"only for {_list(sorted(rule.purposes))}")
    if rule.except_purposes:
        said.append(f"except {_list(sorted(rule.except_purposes))}")
    if rule.more_than_dpd is not None:
        said.append(f"only debts more than {rule.more_than_dpd} days past due")
    if rule.first_party_once_accelerated:
        said.append("the creditor only once it has accelerated the debt or threatened suit")
    if isinstance(rule, Cap | Cooldown) and rule.consent_days:
        said.append(f"but for calls within {rule.consent_days} days of the holder's consent to one")
    return "".join(f"; {part}" for part in said)


def _who(rule: Rule) -> str:
    return " and ".join(_WHO[party] for party in Party if party in rule.applies_to)


def _span(span: Span, length: timedelta) -> str:
    match span:
        case Span.ROLLING if length < timedelta(days=2) and length.seconds == 0 and length.days == 1:
            return "in any 24 hours"
        case Span.ROLLING if length.days:
            return f"in any {length.days} days"
        case Span.ROLLING:
            return f"in any {int(length.total_seconds() // 3600)} hours"
        case Span.LOCAL_DAYS:
            return "a local day" if length.days == 1 else f"in {length.days} local days"
        case Span.CALENDAR_WEEK:
            return "a week, counted from Monday and from Sunday"
        case _:
            assert_never(span)


def _notice(rule: NoticeRule) -> str:
    clock = f" and {rule.calendar_days} days passed" if rule.calendar_days else ""
    receipt = (
        f", counted from the {rule.receipt_business_days}. business day after" if rule.receipt_business_days else ""
    )
    email = " to holders with an email address" if rule.only_with_email else ""
    if rule.if_given:
        return (
            f"once a {rule.notice.replace('_', ' ')} is on record, {rule.calendar_days} days must have passed{receipt}"
        )
    return f"a {rule.notice.replace('_', ' ')} must have gone out{email}{clock}{receipt}"


def _stage_gate(rule: StageGate) -> str:
    parts: list[str] = []
    if rule.absent_holds:
        parts.append(f"none of {_list(sorted(rule.absent_holds))} may be in force")
    if rule.approval:
        parts.append("a named person approves")
    if rule.limitation:
        parts.append("the claim is not time-barred")
    parts.extend(f"asked of whoever approves: {question}" for question in rule.asks)
    return "; ".join(parts)


def _list(words: Iterable[str]) -> str:
    return ", ".join(str(word) for word in words)


_SECTION: dict[type[Rule], str] = {
    Window: "quiet hours",
    ClosedDays: "closed days",
    Cap: "cap",
    Cooldown: "cooldown",
    HoldRule: "hold",
    ConsentRule: "consent",
    NoticeRule: "notice",
    StageGate: "stage gate",
    Disclosure: "required words",
    Keywords: "keywords",
    Retention: "retention",
    Milestone: "milestone",
    Duty: "duty",
}
