"""An auditor that knows the rules' files and the ledger's tables, and nothing of the gate.

It reads the YAML plainly, takes every step that went out, and asks of each rule by brute force whether it was kept
at that instant, by what was known then. Slow and simple on purpose; nothing of `arrears` is imported.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import yaml
from sqlmodel import Session, select

import models

Row = dict[str, Any]
CONTACT = {"sms": "sms", "call": "call", "letter": "letter", "agency": "placement", "legal": "referral"}
REACHING = ("sms", "call", "letter")
SPOKEN = ("conversation", "right_party_contact", "promise", "refusal", "callback_requested")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CALENDARS = {"gb_bank_holidays": ("GB", "ENG"), "us_federal_holidays": ("US", None)}
CHARGED_OFF = 180
# Texts that answer a text of the holder's own, each at once: 47 CFR 64.1200(a)(12).
ANSWERS = ("opt-out-confirmation", "opt-in-confirmation", "help")
ANSWER_WITHIN = timedelta(minutes=5)


@dataclass(frozen=True)
class Violation:
    """Rule `rule` was broken by step `reference` of `account` at `at`."""

    rule: str
    account: str
    reference: str
    at: datetime
    why: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.account} {self.reference} at {self.at.isoformat()}: {self.why}"


@dataclass(frozen=True)
class Touch:
    """A contact as it stands in the books: a step that went out, or a row of `contacts`."""

    channel: str
    account: str
    at: datetime
    order: int
    outbound: bool = True
    outcome: str = ""
    known_at: datetime | None = None
    actor: str = ""
    number: str = ""
    carried: bool = False

    def as_of(self, moment: datetime) -> tuple[datetime, str]:
        """When it was, and what came of it, as the books stood at `moment`."""
        if self.known_at is not None and self.known_at > moment:
            return self.at, ""
        return self.known_at or self.at, self.outcome


@dataclass(frozen=True)
class Sent:
    """One step that went out, with everything the law may ask about it."""

    step: models.Step
    account: models.Account
    case: models.Case
    at: datetime
    order: int
    channel: str
    actor: str
    purpose: str
    dpd: int
    accelerated: bool

    @property
    def zones(self) -> list[str]:
        return self.account.zones


@dataclass
class Law:
    """The rules' files, as written."""

    packs: dict[str, Row]
    ladder: dict[str, Row]
    several: dict[tuple[str, int], Row]
    limitation: Row

    @classmethod
    def read(cls, policies: Path) -> Law:
        files = sorted((policies / "contact-rules").glob("*.yaml"))
        rungs: dict[str, Row] = {}
        several: dict[tuple[str, int], Row] = {}
        for path in (policies / "ladders").glob("*.yaml"):
            ladder = _yaml(path)
            rungs |= {rung["rung"]: rung for rung in ladder["rungs"]}
            several[ladder["ladder"], ladder["version"]] = ladder.get("several_accounts") or {"contacts": "each"}
        packs = {path.stem: _yaml(path) for path in files}
        return cls(packs, rungs, several, _yaml(policies / "limitation.yaml")["countries"])

    def chain(self, place: str) -> list[str]:
        """The packs of one place: its own or, failing that, the next wider one's, and whatever those inherit."""
        while place and place not in self.packs:
            place = place.rpartition("-")[0]
        found = []
        while place:
            found.append(place)
            place = self.packs[place].get("inherits") or ""
        return found

    def rows(self, section: str, places: Iterable[str]) -> Iterator[Row]:
        """The rules of a section that hold in any of `places`, and the house's."""
        names = dict.fromkeys([*(name for place in places for name in self.chain(place)), "HOUSE"])
        off = self.packs["HOUSE"].get("switched_off") or []
        for name in names:
            for row in self.packs[name].get(section) or []:
                if row["id"] not in off:
                    yield row

    def counting(self, rule_id: str) -> tuple[set[str], int]:
        """What a cap or cooldown leaves uncounted, and for how many days consent exempts."""
        uncounted: set[str] = set()
        days = 0
        off = self.packs["HOUSE"].get("switched_off") or []
        for name, pack in self.packs.items():
            for row in pack.get("counting") or []:
                if row["id"] in off:
                    continue
                if rule_id in (row.get("of") or []) or (name == "HOUSE" and not row.get("of")):
                    uncounted |= set(row.get("uncounted") or [])
                    days = max(days, row.get("consent_days") or 0)
        return uncounted, days

    def gives(self, rung: str, notice: str) -> bool:
        """Whether a rung gives a notice: because the ladder says so, or because it is named after it."""
        return self.ladder.get(rung, {}).get("gives") == notice or rung == notice.replace("_", "-")

    def purpose(self, rung: str) -> str:
        own = self.ladder.get(rung)
        return own.get("purpose", "payment_reminder") if own else "statutory_notices"


@dataclass
class Books:
    """Everything in the ledger that the audit needs, read once."""

    session: Session
    accounts: dict[str, models.Account] = field(default_factory=dict[str, models.Account])
    cases: dict[str, models.Case] = field(default_factory=dict[str, models.Case])
    steps: dict[str, list[models.Step]] = field(default_factory=lambda: defaultdict(list))
    touches: dict[str, list[Touch]] = field(default_factory=lambda: defaultdict(list))
    holds: dict[str, list[models.Hold]] = field(default_factory=lambda: defaultdict(list))
    consents: dict[str, list[models.Consent]] = field(default_factory=lambda: defaultdict(list))
    others: dict[str, list[models.Contact]] = field(default_factory=lambda: defaultdict(list))
    payments: dict[str, list[models.LifeEvent]] = field(default_factory=lambda: defaultdict(list))
    approvals: dict[tuple[str, str], datetime] = field(default_factory=dict[tuple[str, str], datetime])
    intended: dict[str, int] = field(default_factory=dict[str, int])
    recalled: dict[str, tuple[datetime, int]] = field(default_factory=dict[str, tuple[datetime, int]])

    def __post_init__(self) -> None:
        every = self.session.exec
        self.accounts = {row.id: row for row in every(select(models.Account))}
        self.cases = {row.id: row for row in every(select(models.Case))}
        for event in every(select(models.Event).where(models.Event.what == "intended")):
            assert event.id is not None
            self.intended[event.data["reference"]] = event.id
        for step in every(select(models.Step)):
            if step.status in ("intended", "done", "unknown") and step.at is not None:
                self.steps[step.account_id].append(step)
                if step.channel in REACHING:
                    self._touch(
                        Touch(
                            channel=CONTACT[step.channel],
                            account=step.account_id,
                            at=step.at,
                            order=self.intended.get(step.reference, 0),
                            outcome=step.disposition or "",
                            known_at=step.disposed_at,
                            actor=step.actor,
                            number=step.number,
                            carried=bool(step.carried_by),
                        )
                    )
        for row in every(select(models.Contact)):
            self.others[row.account_id].append(row)
            self._touch(
                Touch(
                    row.channel, row.account_id, row.at, 0, row.direction == "outbound",
                    row.outcome, None, row.actor, row.number,
                )
            )  # fmt: skip
        holds = every(select(models.Hold)).all()
        for account in self.accounts.values():
            for hold in holds:
                known = self.accounts[hold.account_id].holder_id == account.holder_id
                if known or (hold.number and hold.number in account.phones):
                    self.holds[account.id].append(hold)
        for consent in every(select(models.Consent)):
            self.consents[consent.account_id].append(consent)
        for payment in every(select(models.LifeEvent).where(models.LifeEvent.kind == "payment")):
            self.payments[payment.account_id].append(payment)
        self.approvals = {(row.case_id, row.rung): row.at for row in every(select(models.Approval))}
        for event in every(select(models.Event).where(models.Event.what == "recalled")):
            assert event.id is not None
            if event.data.get("final"):
                self.recalled[event.data["placement"]] = (event.at, event.id)

    def back(self, placed: models.Step, at: datetime, order: int) -> bool:
        """Whether the agency has given the account back by then; of one instant, what the log has first came first."""
        return placed.reference in self.recalled and self.recalled[placed.reference] <= (at, order)

    def _touch(self, touch: Touch) -> None:
        self.touches[self.accounts[touch.account].holder_id].append(touch)


@dataclass
class Audit:
    """What came of it: how many steps were looked at, how often each rule was asked, and what was broken."""

    steps: int = 0
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    violations: list[Violation] = field(default_factory=list[Violation])

    @property
    def broken(self) -> set[str]:
        return {violation.rule for violation in self.violations}


def audit(session: Session, outbox: Path, policies: Path) -> Audit:
    """Every step of the ledger that went out, against every rule of `policies` that binds it."""
    law, books, found = Law.read(policies), Books(session), Audit()
    for account_id, steps in books.steps.items():
        for step in steps:
            sent = _sent(law, books, step)
            found.steps += 1
            for rule, kept, why in _asked(law, books, sent):
                found.asked[rule] += 1
                if not kept:
                    found.violations.append(Violation(rule, account_id, step.reference, sent.at, why))
    found.violations.extend(_unbooked(books, outbox))
    return found


def _sent(law: Law, books: Books, step: models.Step) -> Sent:
    assert step.at is not None
    account, case, at = books.accounts[step.account_id], books.cases[step.case_id], step.at
    earlier = [
        other
        for other in books.steps[account.id]
        if other.case_id == step.case_id and other.status == "done" and other.at is not None and other.at < at
    ]
    order = books.intended.get(step.reference, 0)
    with_agency = any(other.channel == "agency" and not books.back(other, at, order) for other in earlier)
    zone = account.zones[0] if account.zones else "UTC"
    dpd = (_day(at, zone) - case.due_date).days
    threatened = any(o.stage == "legal" or law.ladder.get(o.rung, {}).get("threatens_suit") for o in earlier)
    return Sent(
        step=step,
        account=account,
        case=case,
        at=at,
        order=order,
        channel=CONTACT[step.channel],
        actor="third_party" if with_agency else "first_party",
        purpose=law.purpose(step.rung),
        dpd=dpd,
        accelerated=dpd >= CHARGED_OFF or threatened,
    )


def _asked(law: Law, books: Books, sent: Sent) -> Iterator[tuple[str, bool, str]]:
    """Each rule that binds the step: its id, whether it was kept, and what was the case."""
    if sent.step.rung in ANSWERS:
        texts = [o for o in books.others[sent.account.id] if o.direction == "inbound" and o.channel == "sms"]
        asked = [text for text in texts if text.at <= sent.at <= text.at + ANSWER_WITHIN]
        yield "ANSWERED-NOBODY", len(asked) == 1, f"{len(asked)} texts came just before"
        return
    places = sent.account.jurisdictions
    approved = books.approvals.get((sent.case.id, sent.step.rung))
    agreed = approved is not None and approved <= sent.at
    unknown = [place for place in places if not law.chain(place)]
    yield "ARREARS-UNKNOWN-COUNTRY", (not unknown and bool(places)) or agreed, f"no rules for {unknown}"

    yield from _spaced(law, books, sent)
    timed: list[tuple[Row, Iterator[tuple[bool, str]]]] = []
    for row in law.rows("quiet_hours", places):
        timed.append((row, _within_hours(row, sent)))
        if row.get("closed"):
            timed.append((row, _on_open_days(row["closed"], sent)))
    timed += [(row, _on_open_days(row["closed"], sent)) for row in law.rows("closed_days", places)]
    timed += [(row, _under_cap(law, books, row, sent)) for row in law.rows("caps", places)]
    timed += [(row, _cooled_down(law, books, row, sent)) for row in law.rows("cooldowns", places)]
    timed += [(row, _consented(books, row, sent)) for row in law.rows("consent", places)]
    timed += [(row, _given_notice(law, books, row, sent)) for row in law.rows("notices", places)]
    timed += [(row, _past_the_gate(law, books, row, sent, agreed)) for row in law.rows("stage_gates", places)]
    for row, answers in timed:
        if not _binds(row, sent):
            continue
        for kept, why in answers:
            yield row["id"], kept, why
        settled = not (row.get("effective_from") and sent.at.date() < row["effective_from"])
        settled &= not (row.get("review_by") and sent.at.date() > row["review_by"])
        yield row["id"], settled or agreed, "not in force yet or to be read again, and nobody approved"
    for row in law.rows("holds", places):
        if sent.actor in row["applies_to"] and sent.purpose not in (row.get("except_purposes") or []):
            for hold in books.holds[sent.account.id]:
                if hold.kind == row["hold"]:
                    yield row["id"], not (_blocks(row, hold, sent) and _in_force(row, hold, sent.at)), hold.kind


def _binds(row: Row, sent: Sent) -> bool:
    channels = row.get("channels") or row.get("before") or []
    if sent.actor not in row["applies_to"] or sent.channel not in channels:
        return False
    if row.get("purposes") and sent.purpose not in row["purposes"]:
        return False
    if sent.purpose in (row.get("except_purposes") or []):
        return False
    if row.get("effective_to") and sent.at.date() > row["effective_to"]:
        return False
    if row.get("more_than_dpd") and sent.dpd <= row["more_than_dpd"]:
        return False
    if row.get("location") == "workplace":
        return False  # nothing here calls anybody at work
    spares_the_bank = row.get("first_party_once_accelerated") and sent.actor == "first_party"
    return not (spares_the_bank and not sent.accelerated)


# Hours and days ---------------------------------------------------------------------------------------------


def _within_hours(row: Row, sent: Sent) -> Iterator[tuple[bool, str]]:
    opens, closes = time.fromisoformat(row["opens"]), time.fromisoformat(row["closes"])
    yield bool(sent.zones), "no zone is known"
    for zone in sent.zones:
        clock = sent.at.astimezone(ZoneInfo(zone)).time()
        yield opens <= clock < closes, f"{clock} in {zone}"


def _on_open_days(closed: Row, sent: Sent) -> Iterator[tuple[bool, str]]:
    for zone in sent.zones:
        day = _day(sent.at, zone)
        shut = WEEKDAYS[day.weekday()] in (closed.get("weekdays") or [])
        shut |= any(day in _holidays(name, day.year) for name in closed.get("holidays") or [])
        yield not shut, f"{day} in {zone}"


# Counting ---------------------------------------------------------------------------------------------------


def _spaced(law: Law, books: Books, sent: Sent) -> Iterator[tuple[str, bool, str]]:
    """The hours between contacts about different accounts of one person, by the ladder's own policy."""
    policy = law.several[sent.case.ladder, sent.case.ladder_version]
    if policy["contacts"] == "each" or sent.step.carried_by or sent.step.channel not in REACHING:
        return
    if law.purpose(sent.step.rung) == "statutory_notices" or law.ladder.get(sent.step.rung, {}).get("gives"):
        return
    for touch in books.touches[sent.account.holder_id]:
        if touch.outbound and touch.account != sent.account.id and (touch.at, touch.order) < (sent.at, sent.order):
            at, _ = touch.as_of(sent.at)
            yield "SPACED", at + timedelta(hours=policy["hours"]) <= sent.at, f"{touch.account} at {at.isoformat()}"


def _under_cap(law: Law, books: Books, row: Row, sent: Sent) -> Iterator[tuple[bool, str]]:
    if sent.step.carried_by and row["per"] != "debt":
        return  # the contact that carried it answers for the person and the number
    most = row["most"][sent.channel] if isinstance(row["most"], dict) else row["most"]
    channels = [sent.channel] if isinstance(row["most"], dict) else row["channels"]
    uncounted, consent_days = law.counting(row["id"])
    if consent_days and _rests_on_consent(books, channels, consent_days, sent, sent.account.id, sent.at):
        return
    what, when = row.get("counts", "attempts"), []
    for touch, at, outcome in _before(books, row, sent):
        if not touch.outbound or touch.channel not in channels or outcome in uncounted:
            continue
        if what == "conversations" and outcome and outcome not in SPOKEN:
            continue
        if what == "unanswered" and outcome in SPOKEN:
            continue
        if consent_days and _rests_on_consent(books, channels, consent_days, sent, touch.account, at):
            continue
        when.append(at)
    for made, span in _spans(row["within"], when, sent):
        yield made < most, f"{made} {what} {span} before it, {most} allowed"


def _spans(within: Row, when: list[datetime], sent: Sent) -> Iterator[tuple[int, str]]:
    """How many contacts lie in the same span as the step, for every way in which the span may be laid."""
    if "days" in within or "hours" in within:
        length = timedelta(days=within.get("days") or 0, hours=within.get("hours") or 0)
        yield sum(sent.at - length < at for at in when), f"in {length}"
        return
    for zone in sent.zones:
        today = _day(sent.at, zone)
        if "local_days" in within:
            first = today - timedelta(days=within["local_days"] - 1)
            yield sum(_day(at, zone) >= first for at in when), f"since {first} in {zone}"
        else:
            for begins in (0, 6):
                first = today - timedelta(days=(today.weekday() - begins) % 7)
                yield sum(_day(at, zone) >= first for at in when), f"in the week of {first} in {zone}"


def _cooled_down(law: Law, books: Books, row: Row, sent: Sent) -> Iterator[tuple[bool, str]]:
    if sent.step.carried_by and row["per"] != "debt":
        return
    _, consent_days = law.counting(row["id"])
    if consent_days and _rests_on_consent(books, row["channels"], consent_days, sent, sent.account.id, sent.at):
        return
    for touch, at, outcome in _before(books, row, sent):
        if outcome in SPOKEN and touch.channel in row["channels"]:
            for zone in sent.zones:
                free = _day(at, zone) + timedelta(days=row["days"])
                yield _day(sent.at, zone) >= free, f"spoken to at {at.isoformat()}, free on {free} in {zone}"


def _before(books: Books, row: Row, sent: Sent) -> Iterator[tuple[Touch, datetime, str]]:
    """Earlier contacts on the rule's counter, with their instant and outcome as known when the step went out."""
    for touch in books.touches[sent.account.holder_id]:
        if touch.at > sent.at or (touch.at == sent.at and touch.order >= sent.order):
            continue
        if touch.carried and row["per"] != "debt":
            continue
        if row["per"] == "debt" and touch.account != sent.account.id:
            continue
        if row["per"] == "number" and touch.number and touch.number != sent.step.number:
            continue
        if row.get("per_collector") and touch.actor and touch.actor != sent.actor:
            continue
        yield touch, *touch.as_of(sent.at)


def _rests_on_consent(books: Books, channels: list[str], days: int, sent: Sent, account: str, moment: datetime) -> bool:
    """Whether a contact at `moment` came within the days of a consent that no conversation had ended."""
    talks = [
        at
        for touch in books.touches[sent.account.holder_id]
        for at, outcome in [touch.as_of(sent.at)]
        if outcome in SPOKEN and touch.channel in channels
    ]
    for consent in books.consents[account]:
        if consent.channel not in channels or consent.at > moment:
            continue
        if consent.withdrawn_at is not None and consent.withdrawn_at <= sent.at:
            continue
        in_time = all(_day(moment, z) < _day(consent.at, z) + timedelta(days=days) for z in sent.zones)
        if in_time and not any(consent.at < talk < moment for talk in talks):
            return True
    return False


# Consent, notices, gates, holds -----------------------------------------------------------------------------


def _consented(books: Books, row: Row, sent: Sent) -> Iterator[tuple[bool, str]]:
    if row.get("safe_harbor"):
        return
    given = any(
        consent.channel == sent.channel
        and consent.at <= sent.at
        and (consent.withdrawn_at is None or consent.withdrawn_at > sent.at)
        for consent in books.consents[sent.account.id]
    )
    since = sent.at - timedelta(days=row.get("or_used_within_days") or 0)
    used = any(
        not touch.outbound and touch.channel == sent.channel and since < touch.at <= sent.at
        for touch in books.touches[sent.account.holder_id]
    )
    yield given or used, f"no consent to {sent.channel}"


def _given_notice(law: Law, books: Books, row: Row, sent: Sent) -> Iterator[tuple[bool, str]]:
    if row.get("only_with_email") and not sent.account.email:
        return
    begins = datetime.combine(sent.case.due_date, time(0), tzinfo=UTC) - timedelta(days=1)
    given = [
        step.at
        for step in books.steps[sent.account.id]
        if step.case_id == sent.case.id and step.status == "done" and step.at is not None and step.at <= sent.at
        if law.gives(step.rung, row["notice"])
    ]
    given += [o.at for o in books.others[sent.account.id] if o.notice == row["notice"] and begins <= o.at <= sent.at]
    yield bool(given) or bool(row.get("if_given")), f"no {row['notice']} was given"
    if given and (row.get("calendar_days") or row.get("receipt_business_days")):
        for zone in sent.zones or ["UTC"]:
            day = _day(min(given), zone)
            left = row.get("receipt_business_days") or 0
            while left:
                day += timedelta(days=1)
                shut = row.get("calendar") and day in _holidays(row["calendar"], day.year)
                left -= day.weekday() < 5 and not shut
            last = day + timedelta(days=row.get("calendar_days") or 0)
            yield _day(sent.at, zone) > last, f"{row['notice']} runs to {last} in {zone}"


def _past_the_gate(law: Law, books: Books, row: Row, sent: Sent, agreed: bool) -> Iterator[tuple[bool, str]]:
    places = [*sent.account.jurisdictions]
    for hold in books.holds[sent.account.id]:
        if hold.kind in (row.get("absent_holds") or []):
            kept = [r for r in law.rows("holds", places) if r["hold"] == hold.kind and _covers(r, hold, sent)]
            yield not any(_in_force(r, hold, sent.at) for r in kept), f"not with {hold.kind}"
    needs = row.get("needs") or []
    if "approval" in needs:
        yield agreed, "nobody approved"
    if "claim_not_time_barred" in needs:
        ends = _time_barred_from(law, books, sent)
        yield (ends is not None and sent.at.date() < ends) or (ends is None and agreed), f"time-barred from {ends}"


def _time_barred_from(law: Law, books: Books, sent: Sent) -> date | None:
    land = law.limitation.get(sent.account.country, {})
    row = (land.get("regions") or {}).get(sent.account.region) or land.get("period")
    if row is None:
        return None
    at_years_end = row.get("counts_from") == "end_of_year"
    due = sent.case.due_date
    ends = date(due.year + row["years"] + 1, 1, 1) if at_years_end else _years_later(due, row["years"])
    paid = [p.happened_at.date() for p in books.payments[sent.account.id] if p.happened_at <= sent.at]
    paid += [sent.account.last_payment_on] if sent.account.last_payment_on and not paid else []
    if not paid or (max(paid) >= ends and not row.get("revives", True)):
        return ends
    return max(ends, _years_later(max(paid), row["years"]))


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 2, 28)


def _covers(row: Row, hold: models.Hold, sent: Sent) -> bool:
    return hold.account_id == sent.account.id or row.get("per") == "person"


def _blocks(row: Row, hold: models.Hold, sent: Sent) -> bool:
    if not _covers(row, hold, sent):
        return False
    if row["blocks"] == "everything":
        return True
    if row["blocks"] == "own_channel":
        return sent.channel == hold.channel if hold.channel else sent.channel in row["channels"]
    return sent.channel in row["blocks"]


def _in_force(row: Row, hold: models.Hold, at: datetime) -> bool:
    if hold.since > at or (hold.released_at is not None and hold.released_at <= at):
        return False
    end = hold.until or (hold.since + timedelta(days=row["days"]) if row.get("days") else None)
    return end is None or at < end


# Around -----------------------------------------------------------------------------------------------------


def _unbooked(books: Books, outbox: Path) -> Iterator[Violation]:
    """What left the house and is in no row of the ledger, or more than once, or at another time."""
    booked = {step.reference: step for steps in books.steps.values() for step in steps}
    out = [json.loads(line) for file in outbox.glob("sms/*.jsonl") for line in file.read_text("utf-8").splitlines()]
    left = [(text["reference"], text["account_id"], datetime.fromisoformat(text["at"])) for text in out]
    for letter in books.session.exec(select(models.Letter)):
        left.append((letter.reference, letter.account_id, letter.at))
    known = {letter.stem for letter in outbox.glob("letters/*/*.pdf")}
    seen: set[str] = set()
    for reference, account, at in left:
        step = booked.get(reference)
        if step is None or step.account_id != account or step.at != at or reference in seen:
            yield Violation("UNBOOKED", account, reference, at, "went out, and the ledger does not say so once")
        seen.add(reference)
    for reference in known - seen:
        yield Violation("UNBOOKED", "", reference, datetime.min.replace(tzinfo=UTC), "a letter nobody booked")
    for reference, step in booked.items():
        if step.carried_by:
            carrier = booked.get(step.carried_by)
            same = carrier is not None and (carrier.at, carrier.number) == (step.at, step.number)
            if not same or (carrier is not None and step.status == "done" and carrier.status != "done"):
                assert step.at is not None
                yield Violation("UNBOOKED", step.account_id, reference, step.at, "told in what did not go out")
            continue
        if step.channel in ("sms", "letter") and step.status == "done" and reference not in seen:
            assert step.at is not None
            yield Violation("UNBOOKED", step.account_id, reference, step.at, "booked, and nothing went out")


def _day(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


@cache
def _holidays(name: str, year: int) -> frozenset[date]:
    country, part = CALENDARS[name]
    return frozenset(holidays.country_holidays(country, part, years=year))


def _yaml(path: Path) -> Row:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
