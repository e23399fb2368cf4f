"""Commission: what an agency keeps, by every kind of terms; and what must hold for any of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrears.engine.commission import (
    AgeOf,
    ByAge,
    ByTarget,
    Commission,
    Earning,
    Flat,
    Schedule,
    Step,
    earned,
    given_back,
    problems_of,
)
from tests.builders import NOW

LAW = settings(max_examples=40)
QUARTER = Commission(Flat(2500))
BY_AGE = ByAge(AgeOf.PLACEMENT, (Step(0, 2000), Step(90, 2500), Step(180, 3500)))
# 20 percent until a tenth of the vintage is in, then 25, then 30 from a fifth on.
TARGETS = ByTarget((Step(0, 2000), Step(1000, 2500), Step(2000, 3000)))


def paid(amount: int = 100_00, *, day: int = 10, **other: int) -> Earning:
    at = NOW + timedelta(days=day)
    return Earning(amount, at, placed_at=NOW, due_on=(NOW - timedelta(days=100)).date(), **other)


def steps() -> st.SearchStrategy[tuple[Step, ...]]:
    later = st.lists(st.integers(1, 9_000), max_size=4, unique=True).map(sorted)
    rates = st.lists(st.integers(0, 10_000), min_size=5, max_size=5)
    return st.tuples(later, rates).map(
        lambda drawn: tuple(Step(least, rate) for least, rate in zip([0, *drawn[0]], drawn[1], strict=False))
    )


def schedules() -> st.SearchStrategy[Schedule]:
    return st.one_of(
        st.integers(0, 10_000).map(Flat),
        st.builds(ByAge, st.sampled_from(AgeOf), steps()),
        st.builds(ByTarget, steps()),
    )


@pytest.mark.parametrize(
    ("amount", "kept"), [(100_00, 25_00), (1, 0), (2, 1), (3, 1), (10_02, 2_51), (10_01, 2_50), (0, 0)]
)
def test_a_flat_share_is_rounded_to_the_nearest_cent_halves_up(amount: int, kept: int) -> None:
    assert earned(QUARTER, paid(amount)) == kept


@pytest.mark.parametrize(("day", "rate"), [(0, 20), (89, 20), (90, 25), (179, 25), (180, 35), (900, 35)])
def test_a_band_begins_on_its_day_and_ends_before_the_next(day: int, rate: int) -> None:
    assert earned(Commission(BY_AGE), paid(100_00, day=day)) == rate * 100


def test_the_age_of_the_debt_counts_from_its_due_date() -> None:
    assert earned(Commission(replace(BY_AGE, of=AgeOf.DEBT)), paid(100_00, day=79)) == 25_00
    assert earned(Commission(replace(BY_AGE, of=AgeOf.DEBT)), paid(100_00, day=80)) == 35_00


def test_what_another_agency_had_before_earns_the_further_share() -> None:
    terms = Commission(Flat(2500), further=Flat(4000))
    assert [earned(terms, paid(order=order)) for order in (1, 2, 3)] == [25_00, 40_00, 40_00]
    assert earned(QUARTER, paid(order=2)) == 25_00


@pytest.mark.parametrize(
    ("reached", "kept"), [(0, 20_00), (900_00, 20_00), (950_00, 22_50), (1000_00, 25_00), (1950_00, 27_50)]
)
def test_the_payment_that_passes_a_target_earns_each_rate_on_its_part(reached: int, kept: int) -> None:
    assert earned(Commission(TARGETS), paid(100_00, reached=reached, placed=10_000_00)) == kept


def test_a_payment_taken_back_in_parts_gives_back_all_that_was_kept() -> None:
    parts = [given_back(2_51, 10_02, before=before, amount=3_34) for before in (0, 3_34, 6_68)]
    assert (parts, sum(parts)) == ([84, 83, 84], 2_51)


@pytest.mark.parametrize(
    ("bands", "why"),
    [
        ((), "the first must begin at 0"),
        ((Step(1, 5),), "the first must begin at 0"),
        ((Step(0, 5), Step(9, 5), Step(9, 6)), "each must begin after the one before it"),
        ((Step(0, 5), Step(9, 5)), ""),
    ],
)
def test_bands_begin_at_nought_and_ascend(bands: tuple[Step, ...], why: str) -> None:
    assert problems_of(bands) == why


@LAW
@given(schedules(), st.integers(0, 10**9), st.integers(0, 400), st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_commission_lies_between_nothing_and_all_of_it(
    schedule: Schedule, amount: int, day: int, reached: int, placed: int
) -> None:
    assert 0 <= earned(Commission(schedule), paid(amount, day=day, reached=reached, placed=placed)) <= amount


@LAW
@given(schedules(), st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 10**9), st.integers(1, 10**9))
def test_who_pays_more_earns_the_agency_no_less(
    schedule: Schedule, amount: int, more: int, reached: int, placed: int
) -> None:
    terms = Commission(schedule)
    small = earned(terms, paid(amount, reached=reached, placed=placed))
    assert earned(terms, paid(amount + more, reached=reached, placed=placed)) >= small


@LAW
@given(steps(), st.lists(st.integers(0, 10**6), max_size=12), st.integers(1, 10**7))
def test_by_target_the_payments_of_a_vintage_add_up_however_they_are_divided(
    tiers: tuple[Step, ...], amounts: list[int], placed: int
) -> None:
    terms, reached, total = Commission(ByTarget(tiers)), 0, 0
    for amount in amounts:
        total += earned(terms, paid(amount, reached=reached, placed=placed))
        reached += amount
    assert total == earned(terms, paid(reached, placed=placed))


@LAW
@given(steps(), st.integers(0, 400))
def test_every_day_lies_in_exactly_one_band(bands: tuple[Step, ...], day: int) -> None:
    inside = [
        band
        for number, band in enumerate(bands)
        if band.least <= day and (number + 1 == len(bands) or day < bands[number + 1].least)
    ]
    assert len(inside) == 1
    assert earned(Commission(ByAge(AgeOf.PLACEMENT, bands)), paid(10_000, day=day)) == inside[0].rate


@LAW
@given(st.integers(0, 10_000), st.lists(st.integers(1, 10**6), min_size=1, max_size=8))
def test_what_is_taken_back_in_any_parts_gives_back_what_was_kept(rate: int, parts: list[int]) -> None:
    gross = sum(parts)
    kept = earned(Commission(Flat(rate)), paid(gross))
    before, back = 0, 0
    for part in parts:
        back += given_back(kept, gross, before=before, amount=part)
        before += part
    assert back == kept
