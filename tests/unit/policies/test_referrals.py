"""What a referral holds by place: a region on top of its country, the house's rules for all."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from arrears.engine.money import Money
from arrears.engine.referral import Assignment, DocumentKind, breaks, chain_of_title, lacking
from arrears.policies.problems import PolicyError
from arrears.policies.referrals import Referrals, load_referrals
from arrears.settings import ROOT

SHIPPED = ROOT / "policies" / "referrals"
REFERRALS = load_referrals(SHIPPED)
HOUSE = (SHIPPED / "default.yaml").read_text("utf-8")


def written(folder: Path, **files: str) -> Path:
    for name, text in {"default": HOUSE, **files}.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    return folder


def test_a_state_stands_on_top_of_its_country_and_an_unknown_place_on_the_default():
    york, other = REFERRALS.policy("us", "ny"), REFERRALS.policy("US", "WA")
    assert york.papers == other.papers
    assert {ask.id for ask in other.asks} < {ask.id for ask in york.asks}
    assert REFERRALS.policy("FR", "").papers == ("cover-sheet", "statement", "chronology")
    assert REFERRALS.policy("DE", "BY").locale == "de-DE"
    assert york.approval.second_above["USD"] == Money(1_000_000, "USD")


def test_new_york_takes_the_charge_off_statement_for_the_contract_and_washington_does_not():
    given = {"charge_off_statement", "statements"}
    assert lacking(REFERRALS.policy("US", "NY").documents, given, assigned=False) == ()
    [need] = lacking(REFERRALS.policy("US", "WA").documents, given, assigned=False)
    assert need.kind is DocumentKind.CARD_AGREEMENT


def test_a_bill_of_sale_is_wanted_of_a_debt_that_was_sold():
    needs = REFERRALS.policy("US", "TX").documents
    all_but = {"card_agreement", "statements"}
    assert lacking(needs, all_but, assigned=False) == ()
    assert [need.kind for need in lacking(needs, all_but, assigned=True)] == [DocumentKind.BILL_OF_SALE]


def test_a_chain_of_title_is_whole_when_each_buyer_is_the_next_seller_and_the_last_the_claimant():
    first = Assignment("Bank", "Alpha LLC", date(2026, 1, 1), "B-1")
    second = Assignment("alpha  llc", "Beta Inc.", date(2026, 2, 1), "B-2")
    chain = chain_of_title([second, first])
    assert [sale.reference for sale in chain] == ["B-1", "B-2"]
    assert breaks(chain, "Beta Inc") == ()
    assert breaks(chain, "Gamma") == (("Beta Inc.", "Gamma"),)
    assert breaks(chain_of_title([]), "Bank") == ()


def test_every_source_says_whether_it_was_read():
    for place, row in REFERRALS.places.items():
        for each in (*row.documents, *row.asks):
            assert each.source, place
            assert not (each.verified and each.evidence in ("none", "conflict")), f"{place}: {each.source}"


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"US-NY": "place: US-NY\n"}, "US-NY.yaml: has no US.yaml to stand on"),
        ({"US": "place: US\n"}, "US.yaml: missing key 'papers'"),
        ({"US": "place: GB\npapers: [statement]\n"}, "US.yaml:1: holds GB; expected GB.yaml"),
        ({"US": "place: US\npapers: [statement]\nlocale: english\n"}, "'english' is no locale"),
        ({"default": HOUSE.replace('"10000.00"', '"ten"')}, "'ten' is no amount"),
        ({"default": HOUSE.replace("valid_days: 90", "valid_days: 0")}, "0 is too small"),
        ({"default": HOUSE.replace("without_a_firm: leave", "without_a_firm: go")}, "'go' is no word"),
    ],
)
def test_a_mistake_is_told_by_file_and_line(tmp_path: Path, files: dict[str, str], problem: str):
    with pytest.raises(PolicyError) as caught:
        load_referrals(written(tmp_path, **files))
    assert problem in str(caught.value).replace(f"{tmp_path}/", "").replace(":0:", ":")


def test_without_a_default_nothing_is_loaded(tmp_path: Path):
    with pytest.raises(PolicyError, match=r"holds no default\.yaml"):
        load_referrals(tmp_path)


def test_the_earliest_warning_of_all_places_decides_how_early_to_look(tmp_path: Path):
    lawyer = "place: US\npapers: [statement]\nlimitation_warning_days: 400\n"
    found: Referrals = load_referrals(written(tmp_path, US=lawyer))
    assert (found.warning_days, found.policy("FR", "").warning_days) == (400, 180)
