"""Laws of the gate that hold for every set of rules and every history, in every zone and at every clock change.

What is right is recounted here in the plainest way, contact by contact and zone by zone; none of the gate's own
helpers are asked.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from arrears.engine.contact.facts import (
    Consent,
    ContactChannel,
    Facts,
    Hold,
    Location,
    NoticeGiven,
    PastContact,
    Proposal,
)
from arrears.engine.contact.gate import UNKNOWN_COUNTRY, gate
from arrears.engine.contact.rules import (
    HOUSE,
    Cap,
    ClosedDays,
    Cooldown,
    Counts,
    HoldRule,
    NoticeRule,
    Pack,
    Per,
    Rule,
    Rulebook,
    Span,
    StageGate,
    Window,
)
from arrears.engine.contact.verdict import Allow, Defer, Deny, Review, Verdict
from arrears.engine.vocabulary import Party
from tests.builders import (
    a_cap,
    a_contact,
    a_cooldown,
    a_hold,
    a_hold_rule,
    a_rule,
    a_window,
    closed_on,
    facts,
    rules,
    shipped_rules,
)

ZONES = (
    "America/New_York",
    "America/Los_Angeles",
    "Europe/London",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Asia/Kolkata",
    "America/Havana",
)
# Around the clock changes of these zones, where mistakes live.
CHANGES = ("2026-10-25", "2026-11-01", "2027-03-14", "2027-03-28", "2026-10-03", "2027-04-03", "2027-04-29")
SPOKEN = ("conversation", "right_party_contact", "promise", "refusal", "callback_requested")
OUTCOMES = ("", "no_answer", "voicemail", "busy", "not_in_service", *SPOKEN)
CALL, SMS, LETTER = ContactChannel.CALL, ContactChannel.SMS, ContactChannel.LETTER
CHANNELS = (CALL, SMS, LETTER)
DEBTS, NUMBERS = ("A-1", "A-2", ""), ("+12125550101", "+12125550102", "")

Shape = Window | ClosedDays
Timed = Window | ClosedDays | Cap | Cooldown


# Anything that may be generated -------------------------------------------------------------------------------


@st.composite
def windows(draw: st.DrawFn) -> Window:
    first, last = sorted(draw(st.lists(st.integers(0, 95), min_size=2, max_size=2, unique=True)))
    opens, closes = (time(quarter // 4, quarter % 4 * 15) for quarter in (first, last))
    return a_window(opens.isoformat("minutes"), closes.isoformat("minutes"), id=f"QH-{first}-{last}")


closed = st.frozensets(st.integers(0, 6), min_size=1, max_size=4).map(
    lambda days: closed_on(*days, id="DAY-" + "".join(map(str, sorted(days))))
)
shapes = st.lists(windows() | closed, max_size=4)
some_channels = st.frozensets(st.sampled_from(CHANNELS), min_size=1)
counters = {
    "channels": some_channels,
    "per": st.sampled_from(Per),
    "per_collector": st.booleans(),
    "uncounted": st.sampled_from([frozenset[str](), frozenset({"busy", "not_in_service"})]),
    "consent_days": st.sampled_from([0, 0, 7]),
}


@st.composite
def caps(draw: st.DrawFn) -> Cap:
    span = draw(st.sampled_from(Span))
    days = {Span.ROLLING: (1, 7, 2 / 24), Span.LOCAL_DAYS: (1, 2, 7), Span.CALENDAR_WEEK: (7,)}[span]
    most, length = draw(st.integers(1, 3)), draw(st.sampled_from(days))
    common = {name: draw(values) for name, values in counters.items()}
    location = draw(st.sampled_from([None, None, Location.PERSONAL]))
    counts = draw(st.sampled_from(Counts))
    name = f"CAP-{draw(st.integers(0, 10**9))}"
    return a_cap(most, days=length, id=name, span=span, counts=counts, location=location, **common)


@st.composite
def cooldowns(draw: st.DrawFn) -> Cooldown:
    common = {name: draw(values) for name, values in counters.items() if name != "uncounted"}
    return a_cooldown(draw(st.sampled_from([1, 2, 7])), id=f"COOL-{draw(st.integers(0, 10**9))}", **common)


everything_timed = st.lists(windows() | closed | caps() | cooldowns(), max_size=5)
zones = st.lists(st.sampled_from(ZONES), min_size=1, max_size=2, unique=True).map(tuple)
instants = st.builds(
    lambda day, minutes, seconds: (
        datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minutes, seconds=seconds)
    ),
    st.sampled_from(CHANGES),
    st.integers(-2000, 2000),
    st.integers(0, 59),
)
# Exactly at the ends of the spans that caps use, a second beside them, and anywhere.
ages = st.one_of(
    st.builds(
        lambda days, seconds: timedelta(days=days, seconds=seconds),
        st.sampled_from([2 / 24, 1, 2, 7]),
        st.sampled_from([-1, 0, 1]),
    ),
    st.integers(0, 12 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
)


@st.composite
def pasts(draw: st.DrawFn, at: datetime, most: int = 8) -> tuple[PastContact, ...]:
    def one() -> PastContact:
        return PastContact(
            channel=draw(st.sampled_from(CHANNELS)),
            at=at - draw(ages),
            outcome=draw(st.sampled_from(OUTCOMES)),
            outbound=draw(st.sampled_from([True, True, False])),
            number=draw(st.sampled_from(NUMBERS)),
            debt=draw(st.sampled_from(DEBTS)),
            actor=draw(st.sampled_from([None, *Party])),
            location=draw(st.sampled_from(Location)),
        )

    return tuple(one() for _ in range(draw(st.integers(0, most))))


proposals = st.builds(
    Proposal,
    channel=st.sampled_from(CHANNELS),
    actor=st.sampled_from(Party),
    number=st.sampled_from(NUMBERS),
    debt=st.sampled_from(DEBTS),
)


@st.composite
def moments(draw: st.DrawFn) -> tuple[Proposal, Facts, datetime]:
    """A contact somebody wants to make, to somebody with a past, at an instant near a clock change."""
    at = draw(instants)
    consents = tuple(Consent(draw(st.sampled_from(CHANNELS)), at - draw(ages)) for _ in range(draw(st.integers(0, 2))))
    about = facts(zones=draw(zones), history=draw(pasts(at)), consents=consents)
    return draw(proposals), about, at


# The plain reading --------------------------------------------------------------------------------------------


def is_open(of_us: list[Shape], everywhere: tuple[str, ...], at: datetime) -> bool:
    """In every zone, inside every window and on no closed day."""
    for zone in everywhere:
        there = at.astimezone(ZoneInfo(zone))
        for shape in of_us:
            if isinstance(shape, Window) and not shape.opens <= there.time() < shape.closes:
                return False
            if isinstance(shape, ClosedDays) and there.weekday() in shape.weekdays:
                return False
    return True


def forbidding(of_us: list[Timed], what: Proposal, about: Facts, at: datetime, book: Rulebook) -> set[str]:
    """The rules that the contact would break at `at`."""
    return {rule.id for rule in of_us if rule.binds(what) and not _keeps(rule, what, about, at, book)}


def _keeps(rule: Timed, what: Proposal, about: Facts, at: datetime, book: Rulebook) -> bool:
    match rule:
        case Window():
            return all(rule.opens <= at.astimezone(ZoneInfo(z)).time() < rule.closes for z in about.zones)
        case ClosedDays():
            days = [_day(at, zone) for zone in about.zones]
            shut = any(day.weekday() in rule.weekdays for day in days)
            return not shut and not any(day in book.calendars[name] for day in days for name in rule.calendars)
        case Cooldown():
            if _exempt(rule, about, at, asked_now=True):
                return True
            talks = [c.at for c in about.history if _on_counter(rule, what, c) and c.outcome in SPOKEN]
            return all((_day(at, zone) - _day(talk, zone)).days >= rule.days for talk in talks for zone in about.zones)
        case Cap():
            if rule.location not in (None, what.location) or _exempt(rule, about, at, asked_now=True):
                return True
            counted = [c.at for c in about.history if _counts(rule, what, about, c)]
            return all(sum(map(same, counted)) < rule.most for same in _spans(rule, about.zones, at))


def _spans(cap: Cap, everywhere: tuple[str, ...], at: datetime):
    """For every way of laying the span, whether a contact lies in the same one as `at`."""
    match cap.span:
        case Span.ROLLING:
            yield lambda then: then > at - cap.length
        case Span.LOCAL_DAYS:
            for zone in everywhere:
                yield lambda then, z=zone: _day(then, z) > _day(at, z) - cap.length
        case Span.CALENDAR_WEEK:
            for zone in everywhere:
                for begins in (0, 6):
                    first = _day(at, zone) - timedelta(days=(_day(at, zone).weekday() - begins) % 7)
                    yield lambda then, z=zone, first=first: _day(then, z) >= first


def _on_counter(rule: Cap | Cooldown, what: Proposal, contact: PastContact) -> bool:
    if contact.channel not in rule.channels:
        return False
    if rule.per_collector and contact.actor not in (None, what.actor):
        return False
    if rule.per is Per.DEBT and contact.debt and what.debt:
        return contact.debt == what.debt
    if rule.per is Per.NUMBER and contact.number and what.number:
        return contact.number == what.number
    return True


def _counts(cap: Cap, what: Proposal, about: Facts, contact: PastContact) -> bool:
    if not contact.outbound or contact.outcome in cap.uncounted or not _on_counter(cap, what, contact):
        return False
    if cap.location is not None and contact.location is not cap.location:
        return False
    spoke = contact.outcome in SPOKEN
    if cap.counts is Counts.CONVERSATIONS and contact.outcome and not spoke:
        return False
    if cap.counts is Counts.UNANSWERED and spoke:
        return False
    return not (contact.debt == what.debt and _exempt(cap, about, contact.at))


def _exempt(rule: Cap | Cooldown, about: Facts, moment: datetime, *, asked_now: bool = False) -> bool:
    """Within the rule's days of a consent to its channel, and nobody has been spoken to since."""
    for consent in about.consents:
        if consent.channel not in rule.channels or consent.at > moment:
            continue
        fresh = all((_day(moment, z) - _day(consent.at, z)).days < rule.consent_days for z in about.zones)
        talked = (c.at for c in about.history if c.outcome in SPOKEN and c.channel in rule.channels)
        if fresh and not any(consent.at < talk < moment or (asked_now and talk == moment) for talk in talked):
            return True
    return False


def _day(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


def assert_no_more_permissive(before: Verdict, after: Verdict) -> None:
    """Allow, then Defer (the later the stricter), then a review or a denial."""
    match before, after:
        case Allow(), _:
            pass
        case Defer(), Defer():
            assert after.until >= before.until
        case Defer(), _:
            assert isinstance(after, Review | Deny)
        case Review(), _:
            assert isinstance(after, Review | Deny)
        case Deny(), _:
            assert isinstance(after, Deny)


def assert_same(one: Verdict, other: Verdict) -> None:
    """The same answer, resting on the same rules; the order in which those are named may differ."""
    assert type(one) is type(other)
    assert set(one.rules) == set(other.rules)
    if isinstance(one, Defer) and isinstance(other, Defer):
        assert one.until == other.until


# Hours and days -----------------------------------------------------------------------------------------------


@given(shapes, zones, instants)
def test_a_contact_is_allowed_exactly_when_every_rule_is_open_in_every_zone(
    of_us: list[Shape], everywhere: tuple[str, ...], at: datetime
):
    verdict = gate(a_contact(), rules(*of_us), facts(zones=everywhere), now=at)
    assert isinstance(verdict, Allow) == is_open(of_us, everywhere, at)


@given(shapes, zones, instants)
def test_a_deferral_points_forward_to_an_instant_that_is_allowed(
    of_us: list[Shape], everywhere: tuple[str, ...], at: datetime
):
    rulebook, about = rules(*of_us), facts(zones=everywhere)
    verdict = gate(a_contact(), rulebook, about, now=at)
    if isinstance(verdict, Defer):
        assert verdict.until > at
        assert verdict.rules
        assert is_open(of_us, everywhere, verdict.until)
        assert isinstance(gate(a_contact(), rulebook, about, now=verdict.until), Allow)
    else:
        assert isinstance(verdict, Allow | Review)


# Everything that counts time ----------------------------------------------------------------------------------


@given(everything_timed, moments())
def test_a_contact_is_allowed_exactly_when_no_hours_day_cap_or_cooldown_forbids_it(
    of_us: list[Timed], moment: tuple[Proposal, Facts, datetime]
):
    what, about, at = moment
    book = rules(*of_us)
    verdict = gate(what, book, about, now=at)
    wrong = forbidding(of_us, what, about, at, book)
    event("forbidden" if wrong else "allowed")
    assert isinstance(verdict, Allow) == (not wrong), f"{verdict} but {wrong or 'nothing'} forbids"
    if isinstance(verdict, Defer):
        assert wrong <= set(verdict.rules)


@given(everything_timed, moments(), st.integers(0, 999))
def test_a_deferral_moves_forward_ends_in_an_allowance_and_is_no_longer_than_it_must_be(
    of_us: list[Timed], moment: tuple[Proposal, Facts, datetime], share: int
):
    what, about, at = moment
    book = rules(*of_us)
    verdict = gate(what, book, about, now=at)
    if isinstance(verdict, Defer):
        assert verdict.until > at
        assert isinstance(gate(what, book, about, now=verdict.until), Allow)
        assert not forbidding(of_us, what, about, verdict.until, book)
        between = at + (verdict.until - at) * share / 1000
        assert forbidding(of_us, what, about, between, book), f"{between} would have done"
        last = verdict.until - timedelta(microseconds=1)
        assert forbidding(of_us, what, about, last, book)
    else:
        assert isinstance(verdict, Allow | Review)


@given(everything_timed, moments(), instants)
def test_one_contact_more_in_the_past_never_makes_the_next_more_welcome(
    of_us: list[Timed], moment: tuple[Proposal, Facts, datetime], other: datetime
):
    what, about, at = moment
    book = rules(*of_us)
    more = PastContact(CALL, min(other, at), "promise")
    before = gate(what, book, about, now=at)
    after = gate(what, book, replace(about, history=(*about.history, more)), now=at)
    assert_no_more_permissive(before, after)


# More law -----------------------------------------------------------------------------------------------------


@given(everything_timed, everything_timed, moments())
def test_another_jurisdiction_never_makes_a_contact_more_welcome(
    some: list[Timed], more: list[Timed], moment: tuple[Proposal, Facts, datetime]
):
    what, about, at = moment
    packs = {"US": Pack.of("US", some), "GB": Pack.of("GB", more), HOUSE: Pack.of(HOUSE, ())}
    book = Rulebook("test", packs, {})
    before = gate(what, book, about, now=at)
    assert_no_more_permissive(before, gate(what, book, replace(about, jurisdictions=("US", "GB")), now=at))
    assert_no_more_permissive(before, gate(what, book, replace(about, jurisdictions=("US", "XX")), now=at))


@given(shapes, zones, zones, instants)
def test_another_zone_never_makes_a_contact_more_welcome(
    of_us: list[Shape], some: tuple[str, ...], more: tuple[str, ...], at: datetime
):
    rulebook = rules(*of_us)
    before = gate(a_contact(), rulebook, facts(zones=some), now=at)
    after = gate(a_contact(), rulebook, facts(zones=(*some, *more)), now=at)
    assert_no_more_permissive(before, after)


@given(st.data(), everything_timed, moments())
def test_the_verdict_does_not_depend_on_the_order_of_rules_places_or_contacts(
    data: st.DataObject, of_us: list[Timed], moment: tuple[Proposal, Facts, datetime]
):
    what, about, at = moment
    shuffled = data.draw(st.permutations(of_us))
    mixed = replace(
        about,
        history=tuple(data.draw(st.permutations(about.history))),
        zones=tuple(reversed(about.zones)),
        consents=tuple(reversed(about.consents)),
    )
    assert_same(gate(what, rules(*of_us), about, now=at), gate(what, rules(*shuffled), mixed, now=at))


needs = st.builds(
    lambda n, **fields: a_rule(StageGate, id=f"GATE-{n}", **fields),
    st.integers(0, 99),
    approval=st.booleans(),
    limitation=st.booleans(),
    absent_holds=st.sampled_from([frozenset[str](), frozenset({"VULNERABLE"})]),
)
owed = st.builds(
    lambda n, days: a_rule(NoticeRule, id=f"NOTICE-{n}", notice=f"notice_{n}", calendar_days=days),
    st.integers(0, 3),
    st.sampled_from([0, 1, 14]),
)


@given(
    st.data(),
    st.lists(needs | owed | windows(), max_size=5, unique_by=lambda rule: rule.id),
    st.lists(st.sampled_from(["VULNERABLE", "DISPUTE_OPEN"]), max_size=2).map(tuple),
    st.booleans(),
    instants,
)
def test_neither_does_the_verdict_on_a_placement_depend_on_the_order_of_the_rules(
    data: st.DataObject, of_us: list[Rule], held: tuple[str, ...], approved: bool, at: datetime
):
    about = facts(*(Hold(kind, at - timedelta(days=1)) for kind in held), approved=approved)
    referral = a_contact("referral")
    shuffled = data.draw(st.permutations(of_us))
    assert_same(
        gate(referral, rules(*of_us), about, now=at),
        gate(referral, rules(*shuffled), about, now=at),
    )


# Holds --------------------------------------------------------------------------------------------------------


@given(everything_timed, moments())
def test_nothing_goes_out_under_a_hold(of_us: list[Timed], moment: tuple[Proposal, Facts, datetime]):
    what, about, at = moment
    hold: HoldRule = a_hold_rule("DISPUTE_OPEN")
    held = replace(about, holds=(a_hold("DISPUTE_OPEN", days_ago=400),))
    assert isinstance(gate(what, rules(*of_us, hold), held, now=at), Deny)
    assert isinstance(gate(what, rules(*of_us, hold), replace(held, approved=True), now=at), Deny)


# The rules as shipped -----------------------------------------------------------------------------------------

PLACES = tuple(sorted(place for place in shipped_rules().packs if place != HOUSE))
KINDS = tuple(sorted({rule.kind for rule in shipped_rules().packs[HOUSE].holds}))
NOTICES = tuple(sorted({rule.notice for pack in shipped_rules().packs.values() for rule in pack.notices}))
ALL_CHANNELS = (*CHANNELS, ContactChannel.PLACEMENT, ContactChannel.REFERRAL)


@st.composite
def shipped_moments(draw: st.DrawFn) -> tuple[Proposal, Facts, datetime]:
    """A contact under the shipped rules, of somebody who is known as well as anybody can be."""
    at = draw(instants)
    long_ago = at - timedelta(days=90)
    dpd = draw(st.sampled_from([None, 5, 31, 95, 200]))
    about = Facts(
        jurisdictions=tuple(draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=2, unique=True))),
        zones=draw(zones),
        holds=tuple(
            Hold(kind, at - draw(ages), channel=draw(st.sampled_from([None, CALL, SMS])))
            for kind in draw(st.lists(st.sampled_from(KINDS), max_size=1))
        ),
        history=draw(pasts(at, most=12)),
        # Consent so old that it opens every channel that needs one, and exempts from no cap.
        consents=tuple(Consent(channel, long_ago) for channel in (CALL, SMS)) if draw(st.booleans()) else (),
        notices=tuple(NoticeGiven(kind, long_ago) for kind in NOTICES) if draw(st.booleans()) else (),
        approved=draw(st.booleans()),
        limitation_ends=draw(st.sampled_from([None, date(2030, 1, 1)])),
        email_known=draw(st.booleans()),
        days_past_due=dpd,
        accelerated=draw(st.sampled_from([None, True, False])),
    )
    what = Proposal(
        channel=draw(st.sampled_from(ALL_CHANNELS)),
        actor=draw(st.sampled_from(Party)),
        purpose=draw(st.sampled_from(["payment_reminder", "statutory_notices"])),
        number=draw(st.sampled_from(NUMBERS)),
        debt=draw(st.sampled_from(DEBTS)),
    )
    return what, about, at


def timed_of(about: Facts, what: Proposal, at: datetime) -> list[Timed]:
    """Every window, closed day, cap and cooldown that binds the contact."""
    bound: list[Timed] = []
    for pack in shipped_rules().matching(about.jurisdictions):
        bound += [*pack.windows, *pack.closed_days, *pack.caps, *pack.cooldowns]
    dpd = about.days_past_due
    return [
        rule
        for rule in bound
        if not (rule.more_than_dpd is not None and dpd is not None and dpd <= rule.more_than_dpd)
        and not (rule.first_party_once_accelerated and what.actor is Party.FIRST and about.accelerated is False)
        and not (rule.effective_to and at.date() > rule.effective_to)
    ]


@given(shipped_moments())
@settings(max_examples=300)
def test_under_the_shipped_rules_nothing_is_allowed_that_one_of_them_forbids(
    moment: tuple[Proposal, Facts, datetime],
):
    what, about, at = moment
    verdict = gate(what, shipped_rules(), about, now=at)
    event(type(verdict).__name__)
    if isinstance(verdict, Allow | Defer):
        wrong = forbidding(timed_of(about, what, at), what, about, at, shipped_rules())
        assert not (wrong and isinstance(verdict, Allow)), f"{wrong} forbid it"
        for pack in shipped_rules().matching(about.jurisdictions):
            for rule in pack.holds:
                kinds = [h for h in about.holds if h.kind == rule.kind]
                if rule.everything and what.actor in rule.applies_to and what.purpose not in rule.except_purposes:
                    assert all(h.since + timedelta(days=rule.days or 10**4) <= at for h in kinds)


@given(shipped_moments())
def test_under_the_shipped_rules_a_deferral_moves_forward_and_ends(moment: tuple[Proposal, Facts, datetime]):
    what, about, at = moment
    # A notice that was never given is waited for anew each time; consent by use runs out meanwhile.
    assume(about.notices or what.channel in CHANNELS)
    assume(about.consents or all(contact.outbound for contact in about.history))
    verdict = gate(what, shipped_rules(), about, now=at)
    if isinstance(verdict, Defer):
        assert verdict.until > at
        again = gate(what, shipped_rules(), about, now=verdict.until)
        assert isinstance(again, Allow), f"{verdict.until}: {again}"


@given(shipped_moments(), st.sampled_from((*PLACES, "XX")))
def test_under_the_shipped_rules_another_jurisdiction_never_makes_a_contact_more_welcome(
    moment: tuple[Proposal, Facts, datetime], place: str
):
    what, about, at = moment
    before = gate(what, shipped_rules(), about, now=at)
    after = gate(what, shipped_rules(), replace(about, jurisdictions=(*about.jurisdictions, place)), now=at)
    if place == "XX" and not about.approved:
        assert isinstance(after, Deny) or UNKNOWN_COUNTRY in after.rules
    assert_no_more_permissive(before, after)


@given(shipped_moments())
def test_under_the_shipped_rules_the_order_of_places_and_contacts_changes_nothing(
    moment: tuple[Proposal, Facts, datetime],
):
    what, about, at = moment
    mixed = replace(
        about,
        jurisdictions=tuple(reversed(about.jurisdictions)),
        history=tuple(reversed(about.history)),
        zones=tuple(reversed(about.zones)),
    )
    assert_same(gate(what, shipped_rules(), about, now=at), gate(what, shipped_rules(), mixed, now=at))
