"""Who gets an account: what each partner takes, how much it works, who has had it, and their shares."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.money import Money
from arrears.engine.partners import Layout, Offered, Partner, PartnerKind, Takes, choose

NORTH, SOUTH = Partner("northside", share=60), Partner("southbank", share=40)
ACCOUNT = Offered("case-1", "US", "NY", Money(120_050, "USD"), 95)


@pytest.mark.parametrize(
    ("partner", "account", "why"),
    [
        (replace(NORTH, takes=Takes(countries=frozenset({"GB"}))), ACCOUNT, "takes no account in US"),
        (replace(NORTH, takes=Takes(regions=frozenset({"US-NJ"}))), ACCOUNT, "takes no account in US-NY"),
        (replace(NORTH, takes=Takes(least_balance={"USD": 120_051})), ACCOUNT, "takes no balance below 1200.51 USD"),
        (replace(NORTH, takes=Takes(most_balance={"USD": 120_049})), ACCOUNT, "takes no balance above 1200.49 USD"),
        (replace(NORTH, takes=Takes(least_dpd=96)), ACCOUNT, "takes no account before 96 days past due"),
        (replace(NORTH, takes=Takes(most_dpd=94)), ACCOUNT, "takes no account after 94 days past due"),
        (replace(NORTH, capacity=7), ACCOUNT, "works 7 accounts and has room for 7"),
        (replace(NORTH, kind=PartnerKind.PRINT_HOUSE), ACCOUNT, "prints, and works no accounts"),
        (NORTH, replace(ACCOUNT, had_by=frozenset({"northside"})), "has had the account in this case"),
        (
            replace(NORTH, layout=Layout.LATITUDE_AIM),
            replace(ACCOUNT, balance=Money(1, "EUR")),
            "its layout latitude-aim has no field for EUR",
        ),
    ],
)
def test_each_reason_keeps_a_partner_from_an_account(partner: Partner, account: Offered, why: str):
    choice = choose(account, [partner, SOUTH], {"northside": 7})
    assert choice.partner == "southbank"
    assert choice.in_words() == f"southbank of northside, southbank; northside: {why}"
    assert choose(account, [partner], {"northside": 7}).partner is None


@pytest.mark.parametrize(
    "takes",
    [
        Takes(countries=frozenset({"US"}), regions=frozenset({"US-NY"})),
        Takes(least_balance={"USD": 120_050}, most_balance={"USD": 120_050}, least_dpd=95, most_dpd=95),
        Takes(least_balance={"EUR": 9_999_999}),
    ],
)
def test_limits_include_their_ends_and_mean_only_what_they_name(takes: Takes):
    assert choose(ACCOUNT, [replace(NORTH, takes=takes)], {}).partner == "northside"
    assert choose(replace(ACCOUNT, region="US-NY"), [replace(NORTH, takes=takes)], {}).partner == "northside"


def test_what_had_the_account_may_have_it_again_where_that_is_agreed():
    again = replace(NORTH, never_again=False)
    assert choose(replace(ACCOUNT, had_by=frozenset({"northside"})), [again], {}).partner == "northside"


def test_shares_hold_over_many_cases():
    got = Counter(choose(replace(ACCOUNT, case_id=f"case-{n}"), [NORTH, SOUTH], {}).partner for n in range(4000))
    assert abs(got["northside"] / 4000 - 0.6) < 0.03


@given(st.text(), st.permutations(["a", "b", "c", "d"]), st.sampled_from("abcd"))
def test_a_case_gets_the_same_partner_and_loses_it_only_with_the_partner(case: str, names: list[str], gone: str):
    partners = [Partner(name, share=10 + ord(name)) for name in names]
    account = replace(ACCOUNT, case_id=case)
    first = choose(account, partners, {}).partner
    assert choose(account, sorted(partners, key=lambda each: each.name), {}).partner == first
    left = choose(account, [each for each in partners if each.name != gone], {}).partner
    assert (left == first) == (first != gone)
