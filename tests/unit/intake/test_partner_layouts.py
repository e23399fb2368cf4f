"""Partners' files, record by record: what each says, and what is said of one that cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from arrears.engine.life.placements import Objection, PlacementReport
from arrears.engine.partner_files import Collected, ForAPerson, NumberTold, Reported, RestrictionTold, TakenBack, Totals
from arrears.intake.aim import read_aim
from arrears.intake.partner_csv import read_partner_csv
from arrears.intake.partner_manifest import ManifestUnusable, read_manifest
from arrears.intake.ygc import read_ygc
from tests.support.partner_files import a_fact, a_file, a_manifest, rows

RECEIVED = datetime(2026, 11, 24, 9, tzinfo=UTC)
HEAD = f"{123:09d}{'A-1':30}"
DEBTOR = f"{7:09d}{123:09d}"
FOUND = "the agency found it"
PAID = a_fact("payment", "P-1", "R-1", at="2026-11-23", amount="50.00", commission="12.50", currency="usd")


def aim(text: str) -> tuple[list[object], list[str]]:
    file = read_aim(text.encode(), digest="d" * 64, received=RECEIVED)
    return [line.fact for line in file.lines], [f"{wrong.line}: {wrong.what}" for wrong in file.wrong]


@pytest.mark.parametrize(
    ("record", "fact"),
    [
        (f"AACK{HEAD}{'1200.50':>12}20261123", Reported(PlacementReport.ACKNOWLEDGED, balance="1200.50")),
        (f"APAY{HEAD}{'000000050.00'}20261123PA {'T-1':30}{'':30}", Collected("50.00")),
        (f"APAY{HEAD}{'0.50':>12}20261123PAR{'T-1':30}{'':30}", TakenBack("PA/T-1", "0.50")),
        (f"AOBJ{HEAD}PTP20261123", Reported(PlacementReport.OBJECTED, Objection.OPEN_PROMISE)),
        (f"AOBJ{HEAD}PMT20261123", Reported(PlacementReport.OBJECTED, Objection.RECENT_PAYMENT)),
        (f"ACLS{HEAD}PIF20261123", Reported(PlacementReport.RETURNED, "PIF")),
        (f"AUPH{DEBTOR}3{'5185550199':30}{'5185550101':30}20261123", NumberTold("5185550199", True, FOUND)),
        (f"ABKP{DEBTOR} 720261123{'26-10001':20}", RestrictionTold("BANKRUPTCY_STAY", "chapter 7, case 26-10001")),
        (f"ADEC{DEBTOR}", RestrictionTold("DECEASED", "the agency's file of deaths")),
        (f"ASTS{DEBTOR}SKP{'moved away':75}20261123", ForAPerson("status", "SKP moved away")),
        ("AACK,123,A-1,1200.50,20261123,1200.50,,", Reported(PlacementReport.ACKNOWLEDGED, balance="1200.50")),
        ('AACK|123|"A-1"|1200.50|20261123', Reported(PlacementReport.ACKNOWLEDGED, balance="1200.50")),
    ],
)
def test_an_aim_record_says_one_thing_at_its_positions_or_in_its_columns(record: str, fact: object) -> None:
    assert aim(f"{record}\n") == ([fact], [])


def test_a_close_for_a_death_is_two_facts_and_one_record() -> None:
    file = read_aim(
        f"ACLS{HEAD}DEC20261123\nATRL{'':80}{1:010d}20261123\n".encode(), digest="d" * 64, received=RECEIVED
    )
    assert [line.fact for line in file.lines] == [
        Reported(PlacementReport.RETURNED, "DEC"),
        RestrictionTold("DECEASED", "close code DEC"),
    ]
    assert (file.wrong, file.totals) == ((), (Totals(2),))
    assert len({line.reference for line in file.lines}) == 2


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("XPAY 1", "1: record type is not known; expected one of AACK"),
        (f"AACK{HEAD}{'120050':>12}20261123", "1: AACK: balance is no amount; expected a decimal point before"),
        (f"AACK{HEAD}{'1200.50':>12}11232026", "1: AACK: the date is none; expected CCYYMMDD"),
        (f"\nAOBJ{HEAD}WHY20261123", "2: AOBJ: objection reason is not known; expected PTP or PMT"),
        (f"APAY{HEAD}{'5.00':>12}20261123XX {'T-1':30}", "1: APAY: payment type is not known; expected PA or PAR"),
        (f"APAY{HEAD}{'5.00':>12}20261123PA ", "1: APAY: the payment has no identifier"),
        (f"ACLS{'':39}PIF20261123", "1: ACLS: neither account nor file number is there"),
        (f"ATRL{'':80}{0:010d}\nACLS{HEAD}PIF20261123", "2: ACLS: a record behind the trailer"),
        (f"ATRL{'':80}{'many':10}", "1: ATRL: records is no number"),
        ("", "0: the file is empty"),
        ("AACK\0", "0: NUL bytes are in the file"),
    ],
)
def test_what_is_wrong_with_an_aim_file_is_told_by_its_line(text: str, wrong: str) -> None:
    assert any(each.startswith(wrong) for each in aim(text)[1]), aim(text)


def ygc_money(code: str, gross: str, fees: str, day: str = "20261123") -> str:
    head = f"30{'123':10}{'A-1':20}{'':35}"
    return f"{head}{code:>2}{day}{gross:>14}{'':42}{fees:>14}\n"


def test_ygc_amounts_below_zero_are_taken_back() -> None:
    text = ygc_money("1", "50.00", "12.50") + ygc_money("3", "-50.00", "-12.50") + ygc_money("6", "9.00", "0.00")
    file = read_ygc(text.encode(), digest="d" * 64)
    assert [line.fact for line in file.lines] == [
        Collected("50.00", "12.50"),
        TakenBack("", "50.00", "12.50"),
        ForAPerson("status", "a payment made to us directly, RET_CODE 6"),
    ]
    assert [line.reference for line in file.lines] == [f"{'d' * 16}/{number}" for number in (1, 2, 3)]
    assert (file.lines[0].account_id, file.lines[0].file_number, file.wrong) == ("A-1", "123", ())


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("31 what is that", "record type is not known; expected 30 or 39"),
        (ygc_money("x", "1.00", "0.00"), "RET_CODE is no number"),
        (ygc_money("9", "1.00", "0.00"), "RET_CODE is not known; expected 1, 3, 6 or 33 to 81"),
        (ygc_money("1", "100", "0.00"), "GROSS_PAY or FEES is no amount; expected one such as 120.00"),
        (ygc_money("1", "-1.00", "0.25"), "GROSS_PAY and FEES have different signs"),
        (ygc_money("1", "1.00", "0.25", "23112026"), "the date is none; expected CCYYMMDD"),
    ],
)
def test_what_is_wrong_with_a_ygc_file_is_told(text: str, wrong: str) -> None:
    file = read_ygc(text.encode(), digest="d" * 64)
    assert (file.lines, file.wrong[0].what) == ((), wrong)


def test_the_trailers_of_our_layout_are_its_totals_and_number() -> None:
    file = read_partner_csv("file.csv", a_file(PAID, number="17"))
    assert (file.lines[0].fact, file.wrong) == (Collected("50.00", "12.50", "USD"), ())
    assert (file.number, file.totals) == ("17", (Totals(1, {"USD": "50.00"}, {"USD": "12.50"}),))


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (rows(PAID | {"record": "gift"}), "2: record is not known; expected one of payment, reversal, acknowledged"),
        (rows(PAID | {"amount": "0.00"}), "2: amount is zero"),
        (rows(PAID | {"commission": ""}), "2: commission is missing"),
        (rows(PAID | {"at": "yesterday"}), "2: at is no instant; expected a day or an instant with its zone"),
        (rows(PAID | {"reference": "r" * 65}), "2: reference is longer than 64 characters"),
        (rows(PAID | {"placement_id": ""}), "2: placement_id is missing"),
        (rows(PAID | {"record": "number", "number": "1", "good": "yes"}), "2: good is neither true nor false"),
        (rows(PAID | {"record": "trailer", "count": "x"}), "0: trailer: count is no number"),
        (rows(PAID | {"record": "trailer"}), "0: trailer: count is missing"),
        (rows({"record": "trailer", "count": "0"}, PAID), "3: a row behind the trailer"),
        (b"record,at\npayment,2026-11-23\n", "0: file.csv:1: the header lacks placement_id"),
        (b"", "0: file.csv: the file is empty"),
    ],
)
def test_what_is_wrong_with_our_layout_is_told_by_its_line(content: bytes, wrong: str) -> None:
    file = read_partner_csv("file.csv", content)
    assert any(f"{each.line}: {each.what}".startswith(wrong) for each in file.wrong), file.wrong


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[]", "event: Input should be an object"),
        (a_manifest(b"", PAID, count=-1), "count: Input should be greater than or equal to 0"),
        (a_manifest(b"", PAID, format="arrears-placement/1"), "format: Input should be 'arrears-return/1'"),
        (a_manifest(b"", PAID, sha256="beef"), "sha256: String should match pattern"),
        (a_manifest(b"", PAID, more=1), "more: Extra inputs are not permitted"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_which_field(content: bytes, why: str) -> None:
    with pytest.raises(ManifestUnusable, match="the manifest cannot be used") as caught:
        read_manifest(content)
    assert why in str(caught.value)
