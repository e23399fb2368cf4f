"""Laws of the gate that hold for every set of hours and days, in every zone and at every clock change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.contact.gate import gate
from arrears.engine.contact.rules import ClosedDays, HoldRule, Window
from arrears.engine.contact.verdict import Allow, Defer, Deny, Review
from tests.builders import a_contact, a_hold, a_hold_rule, a_window, closed_on, facts, rules

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

Shape = Window | ClosedDays


@st.composite
def windows(draw: st.DrawFn) -> Window:
    first, last = sorted(draw(st.lists(st.integers(0, 95), min_size=2, max_size=2, unique=True)))
    opens, closes = (time(quarter // 4, quarter % 4 * 15) for quarter in (first, last))
    return a_window(opens.isoformat("minutes"), closes.isoformat("minutes"), id=f"QH-{first}-{last}")


closed = st.frozensets(st.integers(0, 6), min_size=1, max_size=4).map(
    lambda days: closed_on(*days, id="DAY-" + "".join(map(str, sorted(days))))
)
shapes = st.lists(windows() | closed, max_size=4)
zones = st.lists(st.sampled_from(ZONES), min_size=1, max_size=2, unique=True).map(tuple)
instants = st.builds(
    lambda day, minutes, seconds: (
        datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minutes, seconds=seconds)
    ),
    st.sampled_from(CHANGES),
    st.integers(-2000, 2000),
    st.integers(0, 59),
)


def is_open(of_us: list[Shape], everywhere: tuple[str, ...], at: datetime) -> bool:
    """The plain reading: in every zone, inside every window and on no closed day."""
    for zone in everywhere:
        there = at.astimezone(ZoneInfo(zone))
        for shape in of_us:
            if isinstance(shape, Window) and not shape.opens <= there.time() < shape.closes:
                return False
            if isinstance(shape, ClosedDays) and there.weekday() in shape.weekdays:
                return False
    return True


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


@given(shapes, shapes, zones, instants)
def test_another_rule_never_makes_a_contact_more_welcome(
    some: list[Shape], more: list[Shape], everywhere: tuple[str, ...], at: datetime
):
    about = facts(zones=everywhere)
    before = gate(a_contact(), rules(*some), about, now=at)
    after = gate(a_contact(), rules(*some, *more), about, now=at)
    if isinstance(after, Allow):
        assert isinstance(before, Allow)
    if isinstance(before, Defer) and isinstance(after, Defer):
        assert after.until >= before.until


@given(shapes, zones, zones, instants)
def test_another_zone_never_makes_a_contact_more_welcome(
    of_us: list[Shape], some: tuple[str, ...], more: tuple[str, ...], at: datetime
):
    rulebook = rules(*of_us)
    before = gate(a_contact(), rulebook, facts(zones=some), now=at)
    after = gate(a_contact(), rulebook, facts(zones=(*some, *more)), now=at)
    if isinstance(after, Allow):
        assert isinstance(before, Allow)
    if isinstance(before, Defer) and isinstance(after, Defer):
        assert after.until >= before.until


@given(st.permutations([a_window("08:00", "21:00"), a_window("09:00", "12:00", id="B"), closed_on(6)]), zones, instants)
def test_the_verdict_does_not_depend_on_the_order_of_the_rules(
    order: list[Shape], everywhere: tuple[str, ...], at: datetime
):
    about = facts(zones=everywhere)
    usual = gate(a_contact(), rules(*sorted(order, key=lambda shape: shape.id)), about, now=at)
    verdict = gate(a_contact(), rules(*order), about, now=at)
    assert type(verdict) is type(usual)
    assert set(verdict.rules) == set(usual.rules)
    if isinstance(verdict, Defer) and isinstance(usual, Defer):
        assert verdict.until == usual.until


@given(shapes, zones, instants)
def test_nothing_goes_out_under_a_hold(of_us: list[Shape], everywhere: tuple[str, ...], at: datetime):
    hold: HoldRule = a_hold_rule("DISPUTE_OPEN")
    about = facts(a_hold("DISPUTE_OPEN", days_ago=400), zones=everywhere)
    assert isinstance(gate(a_contact(), rules(*of_us, hold), about, now=at), Deny)
