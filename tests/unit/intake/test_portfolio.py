"""Portfolio rows: what goes in, and why the others do not."""

from __future__ import annotations

import csv
import tempfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.money import Money
from arrears.intake.portfolio import OPTIONAL, PortfolioRow
from tests.unit.intake.files import HEADER, a_file, cells, portfolio, row


def reason(tmp_path: Path, **changed: str) -> str:
    _, rejected = portfolio(a_file(tmp_path, row(**changed)))
    assert [r.line for r in rejected] == [2]
    return rejected[0].reason


def the_row(tmp_path: Path, **changed: str) -> PortfolioRow:
    taken, rejected = portfolio(a_file(tmp_path, row(**changed)))
    assert rejected == []
    return taken[0]


def test_a_good_row_is_read_whole(tmp_path: Path) -> None:
    taken = the_row(tmp_path)
    assert (taken.line, taken.account_id, taken.name, taken.phone) == (2, "A-1", "Nora Whitfield", "+12125550101")
    assert taken.due_date == date(2026, 8, 1)
    assert (taken.amount_due, taken.balance) == (Money(41_200, "USD"), Money(940_000, "USD"))
    assert taken.zones == ("America/New_York",)
    assert (taken.locale, taken.email, taken.time_zone, taken.minimum_due) == ("en-US", "", "", None)


def test_optional_columns_are_read(tmp_path: Path) -> None:
    more = "en_GB,n@example.com,America/Denver,41.20,2026-07-01,10.00,2019-03-11,Example Bank,gold,H-7,2026-01-05"
    taken, _ = portfolio(a_file(tmp_path, f"{row()},{more}", header=f"{HEADER},{','.join(OPTIONAL)}"))
    assert taken[0].locale == "en-GB"
    assert (taken[0].minimum_due, taken[0].last_payment_amount) == (Money(4_120, "USD"), Money(1_000, "USD"))
    assert (taken[0].last_payment_date, taken[0].opened_on) == (date(2026, 7, 1), date(2019, 3, 11))
    assert (taken[0].creditor, taken[0].segment) == ("Example Bank", "gold")
    assert (taken[0].holder_id, taken[0].sms_consent_on) == ("H-7", date(2026, 1, 5))
    assert (taken[0].time_zone, taken[0].zones) == ("America/Denver", ("America/Denver", "America/New_York"))


@pytest.mark.parametrize(
    ("country", "phone", "locale"),
    [
        ("US", "(212) 555-0101", "en-US"),
        ("GB", "020 7946 0123", "en-GB"),
        ("DE", "030 23125 018", "de-DE"),
        ("CN", "+86 100 0000 0120", "zh-CN"),
        ("IN", "+91 55501 00119", "en-IN"),
        ("FR", "+33 1 99 00 12 34", "en-US"),
    ],
)
def test_the_locale_follows_the_country(tmp_path: Path, country: str, phone: str, locale: str) -> None:
    assert the_row(tmp_path, country=country, phone=phone).locale == locale


@pytest.mark.parametrize(
    ("phone", "country", "e164"),
    [
        ("+12025550101", "US", "+12025550101"),
        ("202-555-0101", "US", "+12025550101"),
        ("020 7946 0999", "GB", "+442079460999"),
        ("07700 900123", "GB", "+447700900123"),
        ("+44 20 7946 0123", "US", "+442079460123"),
    ],
)
def test_numbers_kept_for_fiction_go_in(tmp_path: Path, phone: str, country: str, e164: str) -> None:
    assert the_row(tmp_path, phone=phone, country=country).phone == e164


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"due_date": "31/11/2026"}, "due_date '31/11/2026' is no date; expected YYYY-MM-DD"),
        ({"due_date": "2026-11-31"}, "due_date '2026-11-31' is no date; expected YYYY-MM-DD"),
        ({"due_date": "20261101"}, "due_date '20261101' is no date; expected YYYY-MM-DD"),
        ({"due_date": "1899-12-31"}, "due_date '1899-12-31' lies outside 1990 to 2100"),
        ({"due_date": ""}, "due_date is missing"),
        ({"due_date": "+12125550101"}, "due_date is no date; expected YYYY-MM-DD"),
        ({"due_date": "212-555-0101"}, "due_date is no date; expected YYYY-MM-DD"),
        ({"currency": "9400.00"}, "currency is not known; expected an ISO 4217 code such as USD"),
        ({"country": "Whitfield"}, "country is not known; expected an ISO 3166 code such as US"),
        ({"currency": "XXQ"}, "currency 'XXQ' is not known; expected an ISO 4217 code such as USD"),
        ({"country": "XX"}, "country 'XX' is not known; expected an ISO 3166 code such as US"),
        ({"phone": "+1202555010199"}, "phone is no possible number in US"),
        ({"phone": "call her mother"}, "phone is no telephone number in US"),
        ({"phone": "555-0101"}, "phone is no possible number in US"),
        ({"phone": "+12025550101 ext 7"}, "phone has an extension; expected a number that rings at the holder"),
        ({"phone": ""}, "phone is missing"),
        ({"name": "  "}, "name is missing"),
        ({"name": "Nora\tWhitfield"}, "name: a control character or line break is in the text"),
        ({"name": "Nora \u202eWhitfield"}, "name: a control character or line break is in the text"),
        ({"amount_due": "-1"}, "amount_due is below zero"),
        ({"amount_due": "1e999999"}, "amount_due is no amount in USD; expected a plain decimal such as 1200.50"),
        ({"amount_due": "1_000"}, "amount_due is no amount in USD; expected a plain decimal such as 1200.50"),
        ({"amount_due": "twelve"}, "amount_due is no amount in USD; expected a plain decimal such as 1200.50"),
        ({"amount_due": "12.345"}, "amount_due is no amount in USD; expected a plain decimal such as 1200.50"),
        ({"balance": "411.99"}, "balance is less than amount_due"),
        ({"street": "x" * 10_001}, "street: longer than 10000 characters"),
    ],
)
def test_a_bad_cell_is_refused_with_its_reason(tmp_path: Path, changed: dict[str, str], says: str) -> None:
    assert reason(tmp_path, **changed) == says


@pytest.mark.parametrize("account_id", ["", "A/1", "A 1", "../A", "A" * 65, "Ä-1"])
def test_an_id_that_could_not_name_a_file_is_refused(tmp_path: Path, account_id: str) -> None:
    assert reason(tmp_path, account_id=account_id).startswith("account_id ")


def test_an_unknown_zone_is_refused(tmp_path: Path) -> None:
    _, rejected = portfolio(a_file(tmp_path, f"{row()},America/Olympus", header=f"{HEADER},time_zone"))
    expected = "time_zone 'America/Olympus' is not known; expected a name such as America/New_York"
    assert [r.reason for r in rejected] == [expected]


def test_all_that_is_wrong_with_a_row_is_said_at_once(tmp_path: Path) -> None:
    assert reason(tmp_path, due_date="soon", currency="XXQ", phone="12").count("; ") == 4


def test_a_country_without_contact_rules_is_a_country(tmp_path: Path) -> None:
    assert the_row(tmp_path, country="ke", phone="+254 20 0000000").zones == ("Africa/Nairobi",)


def test_short_and_long_rows_are_refused_and_their_neighbours_go_in(tmp_path: Path) -> None:
    short = ",".join(cells(account_id="A-2")[:-1])
    taken, rejected = portfolio(a_file(tmp_path, row(), short, row(account_id="A-3") + ",x", row(account_id="A-4")))
    assert [r.account_id for r in taken] == ["A-1", "A-4"]
    assert [(r.line, r.account_id, r.reason) for r in rejected] == [
        (3, "A-2", "11 cells; expected 12 as in the header"),
        (4, "A-3", "13 cells; expected 12 as in the header"),
    ]


def test_the_second_use_of_an_id_is_refused_and_names_the_first(tmp_path: Path) -> None:
    taken, rejected = portfolio(a_file(tmp_path, row(), row(account_id="A-2"), row(due_date="soon")))
    assert [r.line for r in taken] == [2, 3]
    assert [(r.line, r.reason) for r in rejected] == [
        (4, "account_id was used on line 2 already; due_date is no date; expected YYYY-MM-DD")
    ]


def test_an_id_refused_once_may_still_come_good(tmp_path: Path) -> None:
    taken, rejected = portfolio(a_file(tmp_path, row(due_date="soon"), row()))
    assert ([r.line for r in taken], [r.line for r in rejected]) == ([3], [2])


def test_a_hundred_thousand_rows_lose_three_by_line_number(tmp_path: Path) -> None:
    lines = [row(account_id=f"A-{i}") for i in range(100_000)]
    lines[9] = row(account_id="A-9", due_date="31/11/2026")
    lines[50_000] = row(account_id="A-50000", currency="XXQ")
    lines[99_999] = row(account_id="A-99999", phone="1")
    taken, rejected = portfolio(a_file(tmp_path, *lines))
    assert len(taken) == 99_997
    assert [r.line for r in rejected] == [11, 50_002, 100_001]


# Letters and digits that no reason uses, so that finding one in a reason means that a cell was repeated.
_MARKER = "Zq9Zq"
_junk = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40).map(
    lambda text: f"{text}{_MARKER}{text}"
)


@given(
    where=st.sampled_from(["phone", "name", "amount_due", "balance", "street", "city", "postal_code", "region"]),
    junk=_junk,
)
def test_no_reason_repeats_what_is_personal(where: str, junk: str) -> None:
    broken = cells(**{"due_date": "31/11/2026", where: junk})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "portfolio.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([HEADER.split(","), broken])
        _, rejected = portfolio(path)
    assert len(rejected) == 1
    assert _MARKER.lower() not in rejected[0].reason.lower()


@given(left_out=st.integers(0, 10), junk=_junk)
def test_no_reason_repeats_what_slid_into_a_neighbours_column(left_out: int, junk: str) -> None:
    personal = dict.fromkeys(["name", "phone", "street", "city", "postal_code", "amount_due", "balance"], junk)
    slid = cells(**personal)
    del slid[left_out]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "portfolio.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([HEADER.split(","), [*slid, "USD"], slid])
        _, rejected = portfolio(path)
    assert [r.line for r in rejected][:1] == [2]
    assert len(rejected) == 2
    assert all(_MARKER.lower() not in r.reason.lower() for r in rejected)


def test_a_name_that_slid_into_the_id_column_is_not_taken_for_an_id(tmp_path: Path) -> None:
    _, rejected = portfolio(a_file(tmp_path, ",".join(cells()[1:]), ",".join([*cells()[1:], "USD"])))
    assert [(r.line, r.account_id) for r in rejected] == [(2, ""), (3, "")]


@given(control=st.characters(categories=["Cc"], exclude_characters="\0"), column=st.sampled_from(["name", "city"]))
def test_no_control_character_goes_in_and_the_neighbours_do(control: str, column: str) -> None:
    broken = cells(account_id="A-2", **{column: f"Nora{control}Whitfield"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "portfolio.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([HEADER.split(","), cells(), broken, cells(account_id="A-3")])
        taken, rejected = portfolio(path)
    assert [r.account_id for r in taken] == ["A-1", "A-3"]
    assert [(r.account_id, r.reason.partition(";")[0]) for r in rejected] == [
        ("A-2", f"{column}: a control character or line break is in the text")
    ]


@given(phone=st.from_regex(r"\+?[0-9 ()-]{5,20}", fullmatch=True), balance=st.integers(10_000, 10**9))
def test_no_reason_repeats_a_number_or_a_balance(phone: str, balance: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = a_file(Path(folder), row(phone=phone, balance=f"{balance}.999", due_date="", amount_due="7"))
        _, rejected = portfolio(path)
    assert len(rejected) == 1
    assert str(balance) not in rejected[0].reason
    assert phone.strip() not in rejected[0].reason
