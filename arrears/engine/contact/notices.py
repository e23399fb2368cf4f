"""Notices that must have gone out, and whose time must have passed, before placement or referral."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

from arrears.engine.contact.counting import MIDNIGHT
from arrears.engine.contact.facts import ContactChannel, Facts, Proposal, contact_channel
from arrears.engine.contact.rules import HolidayCalendar, NoticeRule, Rulebook
from arrears.engine.delinquency import at_local, local_date
from arrears.engine.ladder import AfterDone, DaysAfter, DaysPastDue, Due, Ladder, Late, Rung
from arrears.engine.vocabulary import ChannelName, Party, Stage

_SATURDAY = 5
# A receipt counted in business days takes at most this many calendar days each, holidays and all.
_DAYS_PER_BUSINESS_DAY = 2


def is_due(rule: NoticeRule, facts: Facts) -> bool:
    """Whether the notice is owed to this holder at all."""
    return facts.email_known or not rule.only_with_email


def expires(
    rule: NoticeRule, given: datetime, zones: tuple[str, ...], calendars: Mapping[str, HolidayCalendar]
) -> datetime:
    """The first instant after the notice's time has wholly passed, in every zone.

    The day after the last day of the period: a period of 14 days after service on the 1st ends with the 15th.
    """
    calendar = calendars.get(rule.calendar)
    return max(_expires(rule, given, zone, calendar) for zone in zones or ("",))


def _expires(rule: NoticeRule, given: datetime, zone: str, calendar: HolidayCalendar | None) -> datetime:
    received = _business_days_later(local_date(given, zone), rule.receipt_business_days, calendar)
    if not rule.calendar_days and not rule.receipt_business_days:
        return given
    return at_local(received + timedelta(days=rule.calendar_days + 1), MIDNIGHT, zone)


def _business_days_later(day: date, count: int, calendar: HolidayCalendar | None) -> date:
    while count:
        day += timedelta(days=1)
        if day.weekday() < _SATURDAY and (calendar is None or day not in calendar):
            count -= 1
    return day


def with_notices(ladder: Ladder, rulebook: Rulebook, facts: Facts, *, day: date) -> Ladder:
    """The ladder with a rung for every notice the law wants before one of its rungs.

    A notice that a rung of the ladder `gives`, or that is already on record, is not added; what needs
    it waits for it all the same. Added rungs are letters named after the notice, go late rather than
    never, and are sent so early that what needs them keeps its day where it can.
    """
    rungs = list(ladder.rungs)
    on_record = {notice.kind for notice in facts.notices}
    for target in ladder.rungs:
        channel = contact_channel(target.channel)
        wanted = _wanted(rulebook, facts, channel, day)
        lead = 0
        for rule in reversed(wanted):
            lead += _days(rule)
            giver = next((rung for rung in rungs if rung.gives == rule.notice), None)
            if giver is None and (rule.notice in on_record or not rule.template):
                continue
            if giver is None:
                giver = _notice_rung(rule, target, lead)
                rungs.insert(next(n for n, rung in enumerate(rungs) if rung.name == target.name), giver)
            place = next(n for n, rung in enumerate(rungs) if rung.name == target.name)
            rungs[place] = replace(rungs[place], requires=(AfterDone(giver.name, _days(rule)), *rungs[place].requires))
    return (
        ladder
        if len(rungs) == len(ladder.rungs) and rungs == list(ladder.rungs)
        else replace(ladder, rungs=tuple(rungs))
    )


def _wanted(rulebook: Rulebook, facts: Facts, channel: ContactChannel, day: date) -> list[NoticeRule]:
    """Notices wanted before `channel`, in the order in which they go out; of two rules the longer."""
    longest: dict[str, NoticeRule] = {}
    for actor in Party:
        for rule in rulebook.docket(Proposal(channel, actor), facts, day).notices:
            known = longest.get(rule.notice)
            if is_due(rule, facts) and (known is None or _days(rule) > _days(known)):
                longest[rule.notice] = rule
    return list(longest.values())


def _days(rule: NoticeRule) -> int:
    """Calendar days to plan with; the gate counts exactly."""
    if not rule.calendar_days and not rule.receipt_business_days:
        return 0
    return rule.calendar_days + rule.receipt_business_days * _DAYS_PER_BUSINESS_DAY + 1


def _notice_rung(rule: NoticeRule, target: Rung, lead: int) -> Rung:
    at = target.due.at
    due: Due
    if isinstance(target.due, DaysPastDue):
        due = DaysPastDue(rule.dpd if rule.dpd is not None else max(1, target.due.days - lead), at)
    else:
        due = DaysAfter(target.due.rung, max(0, target.due.days - lead), at)
    return Rung(
        name=rule.notice.replace("_", "-"),
        stage=Stage.LETTER,
        channel=ChannelName.LETTER,
        template=rule.template,
        due=due,
        late=Late.GO,
        purpose="statutory_notices",
        gives=rule.notice,
    )
