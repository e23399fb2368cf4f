"""Contacts that become legal at one instant are spread, within the law and the ladder's hours."""

from __future__ import annotations

from datetime import UTC, datetime, time

from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.contact.gate import gate
from arrears.engine.contact.rules import Rulebook
from arrears.engine.contact.spread import spread_out
from arrears.engine.contact.verdict import Allow
from tests.builders import a_contact, a_window, closed_on, facts, rules

OPENING = datetime(2026, 12, 24, 13, tzinfo=UTC)  # 08:00 in New York
DAYTIME = rules(a_window("08:00", "21:00"))


def spread(key: str, preferred: str = "07:00", rulebook: Rulebook = DAYTIME, **about: object) -> datetime:
    at = time.fromisoformat(preferred)
    return spread_out(a_contact(), rulebook, facts(**about), opening=OPENING, preferred=at, key=key)  # type: ignore[arg-type]


def test_a_thousand_accounts_do_not_call_at_eight_oclock_sharp():
    moments = [spread(f"A-{n}") for n in range(1_000)]
    hours = [sum(OPENING.hour + n == moment.hour for moment in moments) for n in range(11)]
    assert len(set(moments)) > 950
    assert all(50 < count < 110 for count in hours), hours


def test_the_same_contact_gets_the_same_moment_again():
    assert spread("A-1") == spread("A-1") != spread("A-2")


def test_the_ladders_hour_is_kept_when_it_comes_later_that_day():
    assert spread("A-1", "10:00") == datetime(2026, 12, 24, 15, tzinfo=UTC)


def test_an_hour_outside_the_window_gives_way_to_the_opening():
    assert spread("A-1", "21:30") == OPENING


def test_what_has_no_hours_goes_at_once():
    assert spread("A-1", rulebook=rules(closed_on(6))) == OPENING


@given(key=st.text(max_size=20), preferred=st.times().map(lambda t: t.replace(second=0, microsecond=0)))
def test_no_moment_is_before_the_opening_or_outside_the_law(key: str, preferred: time):
    zones = ("America/New_York", "America/Los_Angeles")
    rulebook = rules(a_window("05:00", "18:00"))
    about = facts(zones=zones)
    moment = spread_out(a_contact(), rulebook, about, opening=OPENING, preferred=preferred, key=key)
    assert moment >= OPENING
    assert isinstance(gate(a_contact(), rulebook, about, now=moment), Allow)
