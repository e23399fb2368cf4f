"""Until when a debt may be sued upon."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from arrears.policies.limitation import load_limitation
from arrears.policies.problems import PolicyError
from tests.builders import POLICIES

PERIODS = load_limitation(POLICIES / "limitation.yaml")
DUE = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("country", "region", "years"),
    [
        ("US", "MA", 6), ("US", "NY", 3), ("US", "WA", 3), ("US", "RI", 10), ("US", "WY", 8), ("us", " dc ", 3),
        ("GB", "", 6), ("GB", "London", 6), ("GB", "SCT", 5), ("GB", "Scotland", 5),
        ("DE", "BY", 3), ("CN", "", 3), ("IN", "MH", 3),
        ("US", "", None), ("US", "PR", None), ("FR", "", None), ("", "", None),
    ],
)  # fmt: skip
def test_years_by_place_and_none_where_nobody_knows(country: str, region: str, years: int | None):
    assert PERIODS.limitation_years(country, region) == years


def test_every_us_state_and_the_district_have_a_period():
    assert len([region for country, region in PERIODS.periods if country == "US"]) == 51


@pytest.mark.parametrize(
    ("country", "region", "paid", "due", "ends"),
    [
        ("US", "MA", None, DUE, date(2032, 11, 23)),
        ("US", "MA", date(2027, 2, 1), DUE, date(2033, 2, 1)),
        ("US", "MA", date(2026, 1, 1), DUE, date(2032, 11, 23)),  # a payment before the due date changes nothing
        ("US", "CA", None, date(2028, 2, 29), date(2032, 2, 29)),
        ("US", "NY", None, date(2028, 2, 29), date(2031, 2, 28)),
        ("DE", "", None, DUE, date(2030, 1, 1)),
        ("DE", "", None, date(2026, 1, 1), date(2030, 1, 1)),
        ("DE", "", date(2027, 5, 1), DUE, date(2030, 5, 1)),  # BGB 212: from the payment itself
        ("DE", "", date(2026, 12, 1), DUE, date(2030, 1, 1)),
        ("US", "NY", date(2031, 1, 1), DUE, date(2029, 11, 23)),  # no revival
        ("US", "AL", date(2031, 1, 1), DUE, date(2034, 1, 1)),
        ("US", "PR", None, DUE, None),
    ],
)
def test_the_first_day_on_which_a_claim_is_time_barred(
    country: str, region: str, paid: date | None, due: date, ends: date | None
):
    assert PERIODS.limitation_ends(country, region, paid, due) == ends


GOOD = """\
countries:
  GB:
    period: {years: 6, source: s.5, evidence: secondary, verified: true}
    regions:
      SCT: {years: 5, source: s.6, evidence: none, verified: false}
"""


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("years: 6", "years: six", ":3: GB: years 'six' is no whole number"),
        ("years: 5", "years: 0", ":5: GB-SCT: years 0 is too small; the least is 1"),
        ("source: s.6, ", "", ":5: GB-SCT: missing key 'source'"),
        ("s.5,", "s.5, counts_from: now,", ":3: GB: counts_from 'now' is no start; expected claim or end_of_year"),
        ("regions:", "region:", ":4: GB: unknown key 'region'; did you mean 'regions'?"),
        ("countries:", "lands:", ":1: missing key 'countries'"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_its_line(tmp_path: Path, good: str, bad: str, message: str):
    path = tmp_path / "limitation.yaml"
    path.write_text(GOOD.replace(good, bad, 1))
    with pytest.raises(PolicyError) as caught:
        load_limitation(path)
    assert str(caught.value.problems[0]).removeprefix(str(path)) == message


def test_a_country_without_any_period_is_a_mistake(tmp_path: Path):
    path = tmp_path / "limitation.yaml"
    path.write_text("countries:\n  GB: {}\n")
    with pytest.raises(PolicyError, match="GB: needs a period, regions or both"):
        load_limitation(path)


@pytest.mark.parametrize(
    ("country", "region", "paid", "rule", "counted_from", "because"),
    [
        ("US", "NY", None, "LIMITATION-US-NY", date(2026, 8, 1), "first missed due date"),
        ("US", "NY", date(2027, 2, 3), "LIMITATION-US-NY", date(2027, 2, 3), "last payment"),
        ("US", "NY", date(2031, 2, 3), "LIMITATION-US-NY", date(2026, 8, 1), "first missed due date"),
        ("GB", "ENG", None, "LIMITATION-GB", date(2026, 8, 1), "first missed due date"),
        ("DE", "BE", None, "LIMITATION-DE", date(2026, 12, 31), "end of the year of the first missed due date"),
    ],
)
def test_a_reckoned_period_says_by_which_rule_and_from_what(
    country: str, region: str, paid: date | None, rule: str, counted_from: date, because: str
):
    reckoned = PERIODS.reckon(country, region, paid, date(2026, 8, 1))
    assert reckoned is not None
    assert (reckoned.rule, reckoned.counted_from, reckoned.because) == (rule, counted_from, because)
    assert reckoned.days_left(reckoned.ends) == 0
    assert reckoned.ends == PERIODS.limitation_ends(country, region, paid, date(2026, 8, 1))
