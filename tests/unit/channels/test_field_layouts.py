"""Files in the field's own layouts: every field where its documentation puts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from arrears.channels.agency import AgencyFolder, PlacementFileError
from arrears.channels.agency_rows import RecallRow
from arrears.channels.files import digest_of
from arrears.channels.fixed import ascii_text
from arrears.engine.money import Money
from arrears.engine.partners import Codes, Layout, Partner
from tests.unit.channels.test_agency import DAY, a_row

AIM = Partner("northside", layout=Layout.LATITUDE_AIM, codes=Codes(theirs="NS01", recall={"paid": "PIF"}))
YGC = Partner("firm", layout=Layout.YGC, codes=Codes("NJ750", "OZ12", {"paid": "*CC:S101"}))
ROWS = [a_row("P-1"), a_row("P-2", account_id="A-1002", holder_name="Jörg Strauß", phone="", balance=Money(7, "USD"))]
NUMBERS = {"P-1": 41, "P-2": 42}
RECALLS = [
    RecallRow("P-1", "A-1001", "pending", "no result", "2026-12-23T14:05:00Z"),
    RecallRow("P-2", "A-1002", "final", "paid", "2026-12-23T14:05:00Z"),
]


def records(path: Path) -> list[str]:
    content = path.read_bytes()
    assert content.endswith(b"\r\n")
    return content.decode("ascii").split("\r\n")[:-1]


def at(record: str, first: int, last: int) -> str:
    """The positions as the documentation counts them."""
    return record[first - 1 : last]


def test_aim_placements(tmp_path: Path):
    manifest = AgencyFolder(tmp_path).write("northside", DAY, ROWS, partner=AIM, numbers=NUMBERS)
    assert (manifest.format, manifest.path) == ("latitude-aim/CPLC", f"agency/northside/{DAY}.CPLC.txt")
    assert (manifest.count, manifest.sums[0].sum) == (2, "1200.57")
    assert manifest.sha256 == digest_of(tmp_path / manifest.path)
    lines = records(tmp_path / manifest.path)
    assert {len(line) for line in lines} == {3000}
    assert [line[:4] for line in lines] == ["CACT", "CUPP", *["CMIS"] * 4, "CACT", *["CMIS"] * 4, "CTRL"]
    account, phone, name, street, place = lines[:5]
    assert (at(account, 5, 13), at(account, 14, 43).rstrip()) == ("000000041", "A-1001")
    assert (at(account, 44, 55), at(account, 56, 67), at(account, 140, 151)) == (
        "000001200.50", "000000000.00", "000000000.00",
    )  # fmt: skip
    assert at(account, 152, 3000).strip() == ""
    assert (at(phone, 5, 13), at(phone, 14, 22)) == ("000000041", "000000041")
    assert (at(phone, 74, 75), at(phone, 76, 105).rstrip()) == ("00", "+16175550123")
    assert (at(name, 44, 73).rstrip(), at(name, 74, 173).rstrip()) == ("HOLDER NAME", "Maria Gonzalez")
    assert at(street, 74, 173).rstrip() == "12 Main Street"
    assert at(place, 74, 173).rstrip() == "Springfield|NY|10001|US"
    assert at(lines[7], 74, 173).rstrip() == "Jorg Strauss"
    trailer = lines[-1]
    assert (at(trailer, 5, 34).rstrip(), at(trailer, 35, 84).rstrip()) == ("NS01", "northside")
    assert (at(trailer, 85, 94), at(trailer, 95, 106), at(trailer, 107, 114)) == (
        "0000000011", "000001200.57", "20261223",
    )  # fmt: skip


def test_aim_recalls(tmp_path: Path):
    manifest = AgencyFolder(tmp_path).write_recalls("northside", DAY, RECALLS, partner=AIM, numbers=NUMBERS)
    assert manifest.format == "latitude-aim/CRCL"
    pending, final, trailer = records(tmp_path / manifest.path)
    assert (pending[:4], at(pending, 5, 13), at(pending, 44, 46), at(pending, 47, 54)) == (
        "CPEN", "000000041", "NR ", "19000101",
    )  # fmt: skip
    assert (final[:4], at(final, 14, 43).rstrip(), at(final, 44, 46)) == ("CFIN", "A-1002", "PIF")
    assert {len(pending), len(final), len(trailer)} == {102}
    assert (at(trailer, 85, 94), at(trailer, 95, 102)) == ("0000000002", "20261223")


def test_ygc_placements_and_recalls(tmp_path: Path):
    folder = AgencyFolder(tmp_path)
    manifest = folder.write("firm", DAY, ROWS, partner=YGC, numbers=NUMBERS)
    new, debtor, *_ = lines = records(tmp_path / manifest.path)
    assert [line[:2] for line in lines] == ["01", "02", "01", "02"]
    assert (at(new, 3, 12).rstrip(), at(new, 13, 32).rstrip(), at(new, 33, 47).strip()) == ("41", "A-1001", "")
    assert (at(new, 48, 57).rstrip(), at(new, 58, 67).rstrip(), at(new, 68, 75)) == ("NJ750", "OZ12", "20261223")
    assert at(new, 88, 101) == "       1200.50"
    assert (at(debtor, 68, 97).rstrip(), at(debtor, 124, 148).rstrip()) == ("Gonzalez/Maria", "12 Main Street")
    assert (at(debtor, 149, 171).rstrip(), at(debtor, 172, 180).rstrip(), at(debtor, 181, 192)) == (
        "Springfield NY", "10001", "617-555-0123",
    )  # fmt: skip
    manifest = folder.write_recalls("firm", DAY, RECALLS, partner=YGC, numbers=NUMBERS)
    pending, final = records(tmp_path / manifest.path)
    assert (at(pending, 68, 75), at(pending, 76, 83).strip(), at(pending, 84, 200)) == (
        "20261223", "", "PENDING RECALL: no result",
    )  # fmt: skip
    assert (at(final, 76, 83), at(final, 84, 200)) == ("*CC:S101", "FINAL RECALL: paid")


@pytest.mark.parametrize("partner", [AIM, YGC])
def test_the_same_rows_give_the_same_bytes_and_leave_the_file_alone(partner: Partner, tmp_path: Path):
    folder = AgencyFolder(tmp_path)
    first = folder.write(partner.name, DAY, ROWS, partner=partner, numbers=NUMBERS)
    before = (tmp_path / first.path).stat()
    assert folder.write(partner.name, DAY, list(reversed(ROWS)), partner=partner, numbers=NUMBERS) == first
    after = (tmp_path / first.path).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("partner", [AIM, YGC])
def test_what_a_layout_cannot_say_is_refused_and_leaves_no_file(partner: Partner, tmp_path: Path):
    folder = AgencyFolder(tmp_path)
    euros = [a_row("P-1", balance=Money(1, "EUR"))]
    with pytest.raises(PlacementFileError, match=f"are in EUR; {partner.layout} knows USD alone"):
        folder.write(partner.name, DAY, euros, partner=partner, numbers=NUMBERS)
    much = [a_row("P-1", balance=Money(10**16, "USD"))]
    with pytest.raises(PlacementFileError, match="is longer than"):
        folder.write(partner.name, DAY, much, partner=partner, numbers=NUMBERS)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("Müller", "Muller"),
        ("Łódź", "Lodz"),
        ("Straße", "Strasse"),
        ("a\nb", "a b"),
        ("王小明", "???"),
        ("Ørsted", "Orsted"),
    ],
)
def test_text_becomes_ascii_on_one_line(text: str, bare: str):
    assert ascii_text(text) == bare
