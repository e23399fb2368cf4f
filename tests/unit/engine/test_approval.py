"""Who has approved, whether that is enough, and for how long it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.approval import Approval, ApprovalTerms, same_person, standing
from arrears.engine.money import Money

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
TERMS = ApprovalTerms({"USD": Money(1_000_000, "USD")}, valid_days=90, changed_percent=10)
SMALL, LARGE = Money(120_000, "USD"), Money(1_000_001, "USD")


def said(by: str, days_ago: float = 1, balance: int | None = None) -> Approval:
    return Approval(by, NOW - timedelta(days=days_ago), balance)


def test_one_person_is_enough_up_to_the_limit_and_two_above_it():
    assert standing([said("Dana")], Money(1_000_000, "USD"), TERMS, now=NOW).complete
    state = standing([said("Dana")], LARGE, TERMS, now=NOW)
    assert (state.complete, state.wants) == (False, "waits for a second person's approval")
    assert standing([said("Dana"), said("Lee")], LARGE, TERMS, now=NOW).complete


def test_the_same_person_counts_once_however_they_write_themselves():
    assert not standing([said("Dana Whitfield"), said(" dana  WHITFIELD ")], LARGE, TERMS, now=NOW).complete


def test_a_currency_that_is_not_listed_needs_two_and_no_limit_at_all_needs_one():
    assert TERMS.people_needed(Money(1, "CHF")) == 2
    assert ApprovalTerms().people_needed(Money(10**12, "CHF")) == 1


@pytest.mark.parametrize(
    ("approval", "lapsed"),
    [
        (said("Dana", 89.99, 120_000), ""),
        (said("Dana", 90, 120_000), "an approval holds for 90 days"),
        (said("Dana", 1, 132_000), ""),
        (said("Dana", 1, 109_091), ""),
        (said("Dana", 1, 109_090), "the balance has changed by more than 10 percent since"),
        (said("Dana", 1, 140_000), "the balance has changed by more than 10 percent since"),
        (said("Dana", 1, None), ""),
    ],
)
def test_an_approval_lapses_with_time_and_with_a_balance_that_moved(approval: Approval, lapsed: str):
    state = standing([approval], SMALL, TERMS, now=NOW)
    assert state.complete is (lapsed == "")
    assert state.lapsed == ((lapsed,) if lapsed else ())
    assert state.wants == ("" if not lapsed else f"waits for a person's approval again: {lapsed}")


NAMES = st.sampled_from(["Dana", "dana", "Lee", "Kim", " LEE"])
APPROVALS = st.lists(
    st.builds(said, NAMES, st.floats(0, 200), st.one_of(st.none(), st.integers(1, 2_000_000))), max_size=6
)
BALANCES = st.builds(Money, st.integers(1, 2_000_000), st.sampled_from(["USD", "CHF"]))


@given(APPROVALS, BALANCES)
def test_it_takes_as_many_different_people_as_are_needed_and_no_lapsed_one(given_: list[Approval], balance: Money):
    state = standing(given_, balance, TERMS, now=NOW)
    people = {same_person(each.by) for each in state.counted}
    assert len(people) == len(state.counted)
    needed = 1 if balance.currency == "USD" and balance.amount <= 1_000_000 else 2
    assert state.complete is (len(people) >= needed)
    assert bool(state.wants) is not state.complete
    assert all(NOW - each.at < timedelta(days=90) for each in state.counted)


@given(APPROVALS, BALANCES, st.integers(0, 400))
def test_time_alone_never_makes_an_approval_complete(given_: list[Approval], balance: Money, days: int):
    later = standing(given_, balance, TERMS, now=NOW + timedelta(days=days))
    assert not later.complete or standing(given_, balance, TERMS, now=NOW).complete


@given(APPROVALS, BALANCES, st.randoms())
def test_the_order_in_which_approvals_are_read_does_not_matter(given_: list[Approval], balance: Money, random):
    shuffled = [replace(each) for each in given_]
    random.shuffle(shuffled)
    one, other = (standing(each, balance, TERMS, now=NOW) for each in (given_, shuffled))
    assert {same_person(a.by) for a in one.counted} == {same_person(a.by) for a in other.counted}
