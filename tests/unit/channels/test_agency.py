"""The placement file: the same rows give the same bytes, and the manifest's totals are true."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrears.channels import agency
from arrears.channels.agency import AgencyFolder, CurrencySum, PlacementFileError, PlacementRow
from arrears.engine.money import Money
from arrears.rendering.context import Address
from arrears.rendering.formats import plain
from arrears.rendering.table import cell_text, csv_bytes, csv_rows, text_cell
from arrears.settings import ROOT

DAY = date(2026, 12, 23)
CSV = "agency/northline/2026-12-23.csv"
MANIFEST = "agency/northline/2026-12-23.manifest.json"


def a_row(placement_id: str = "P-1", **changes: Any) -> PlacementRow:
    row = PlacementRow(
        placement_id=placement_id,
        account_id="A-1001",
        reference="7K3M9QXZ",
        creditor="Example Bank",
        holder_name="Maria Gonzalez",
        phone="+16175550123",
        address=Address("12 Main Street", "Springfield", "NY", "10001", "US"),
        balance=Money(120_050, "USD"),
        due_date=date(2026, 9, 20),
        days_past_due=94,
        placed_at="2026-12-23T14:05:00Z",
    )
    return replace(row, **changes)


def rows_of(outbox: Path) -> list[dict[str, str]]:
    return csv_rows((outbox / CSV).read_bytes())


def test_a_file_has_every_column_documented(tmp_path: Path):
    AgencyFolder(tmp_path).write("northline", DAY, [a_row()])
    [row] = rows_of(tmp_path)
    assert row == {
        "placement_id": "P-1",
        "account_id": "A-1001",
        "reference": "7K3M9QXZ",
        "creditor": "Example Bank",
        "holder_name": "Maria Gonzalez",
        "phone": "+16175550123",
        "street": "12 Main Street",
        "city": "Springfield",
        "region": "NY",
        "postal_code": "10001",
        "country": "US",
        "currency": "USD",
        "balance": "1200.50",
        "due_date": "2026-09-20",
        "days_past_due": "94",
        "placed_at": "2026-12-23T14:05:00Z",
    }
    documented = (ROOT / "docs" / "placement-file.md").read_text()
    table = documented.split("| column | meaning |")[1].split("\n\n")[0]
    assert tuple(re.findall(r"`([a-z_]+)`(?=[^|]*\|[^|]*\|\n)", table + "\n")) == agency.COLUMNS


def test_the_manifest_counts_and_sums_by_currency_and_vouches_for_the_bytes(tmp_path: Path):
    rows = [a_row("P-2"), a_row("P-1", balance=Money(49_995, "USD")), a_row("P-3", balance=Money(1_000, "JPY"))]
    manifest = AgencyFolder(tmp_path).write("northline", DAY, rows)
    content = (tmp_path / CSV).read_bytes()
    assert manifest.count == 3
    assert manifest.sums == (CurrencySum("JPY", "1000"), CurrencySum("USD", "1700.45"))
    assert manifest.sha256 == sha256(content).hexdigest()
    assert (manifest.path, manifest.size) == (CSV, len(content))
    assert [row["placement_id"] for row in rows_of(tmp_path)] == ["P-1", "P-2", "P-3"]
    assert json.loads((tmp_path / MANIFEST).read_text())["sums"][1] == {"currency": "USD", "sum": "1700.45"}
    assert b"\r\n" in content
    assert content.count(b"\n") == content.count(b"\r\n") == 4


@given(st.lists(st.tuples(st.sampled_from(["USD", "JPY", "KWD"]), st.integers(-(10**9), 10**12)), max_size=20))
def test_the_sums_are_the_sums_of_the_balance_column(tmp_path_factory: pytest.TempPathFactory, balances: list[Any]):
    outbox = tmp_path_factory.mktemp("outbox")
    rows = [a_row(f"P-{n}", balance=Money(amount, currency)) for n, (currency, amount) in enumerate(balances)]
    manifest = AgencyFolder(outbox).write("northline", DAY, rows)
    totals: dict[str, Decimal] = {}
    for row in rows_of(outbox):
        totals[row["currency"]] = totals.get(row["currency"], Decimal(0)) + Decimal(row["balance"])
    assert {line.currency: Decimal(line.sum) for line in manifest.sums} == totals
    assert manifest.count == len(balances)


def test_the_same_rows_in_any_order_leave_the_files_as_they_are(tmp_path: Path):
    rows = [a_row("P-1"), a_row("P-2")]
    first = AgencyFolder(tmp_path).write("northline", DAY, rows)
    before = [(tmp_path / name).stat().st_ino for name in (CSV, MANIFEST)]
    assert AgencyFolder(tmp_path).write("northline", DAY, reversed(rows)) == first
    assert [(tmp_path / name).stat().st_ino for name in (CSV, MANIFEST)] == before


def test_one_more_row_replaces_the_file_as_a_whole(tmp_path: Path):
    AgencyFolder(tmp_path).write("northline", DAY, [a_row("P-1")])
    AgencyFolder(tmp_path).write("northline", DAY, [a_row("P-1"), a_row("P-2")])
    assert [row["placement_id"] for row in rows_of(tmp_path)] == ["P-1", "P-2"]
    assert json.loads((tmp_path / MANIFEST).read_text())["count"] == 2


def vouched_for(outbox: Path) -> bool:
    """Whether the manifest's digest is the file's."""
    return json.loads((outbox / MANIFEST).read_text())["sha256"] == sha256((outbox / CSV).read_bytes()).hexdigest()


def test_a_crash_between_file_and_manifest_is_seen_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    AgencyFolder(tmp_path).write("northline", DAY, [a_row("P-1")])
    write = agency.files.write_atomically

    def only_the_file(path: Path, content: bytes) -> None:
        if path.suffix == ".json":
            raise OSError("killed")
        write(path, content)

    with monkeypatch.context() as broken:
        broken.setattr(agency.files, "write_atomically", only_the_file)
        with pytest.raises(OSError, match="killed"):
            AgencyFolder(tmp_path).write("northline", DAY, [a_row("P-1"), a_row("P-2")])
    assert not vouched_for(tmp_path)
    AgencyFolder(tmp_path).write("northline", DAY, [a_row("P-1"), a_row("P-2")])
    assert vouched_for(tmp_path)
    assert len(rows_of(tmp_path)) == 2


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r\n@x", "＝1", "'=1", "''+1"])
def test_a_cell_that_a_spreadsheet_would_run_is_disarmed(text: str):
    assert text_cell(text) == "'" + text.strip()


@pytest.mark.parametrize("text", ["O'Brien", "'t Hooft", "Smith-Jones", "1 Main St", "", "'"])
def test_an_ordinary_cell_is_left_alone(text: str):
    assert text_cell(text) == text


@given(st.text(alphabet="='+-@＝ \t\r\n\"',;aé") | st.text())
def test_a_cell_reads_back_as_it_was_and_no_cell_begins_a_formula(text: str):
    [row] = csv_rows(csv_bytes(["text", "next"], [[text_cell(text), "end"]]))
    assert cell_text(row["text"]) == plain(text)
    assert row["text"][:1] not in set("=+-@＝＋－＠\t\r") or not row["text"]
    assert row["next"] == "end"


@pytest.mark.parametrize("phone", ["+1=cmd", "=1", "+", "+٣"])
def test_only_a_number_keeps_its_plus(tmp_path: Path, phone: str):
    AgencyFolder(tmp_path).write("northline", DAY, [a_row(phone=phone)])
    assert rows_of(tmp_path)[0]["phone"] == f"'{phone}"


def test_a_placement_comes_once_and_an_agency_can_name_a_folder(tmp_path: Path):
    with pytest.raises(PlacementFileError, match="P-1 comes twice in northline 2026-12-23"):
        AgencyFolder(tmp_path).write("northline", DAY, [a_row("P-1"), a_row("P-1")])
    with pytest.raises(PlacementFileError, match="cannot name a file or folder"):
        AgencyFolder(tmp_path).write("../etc", DAY, [a_row()])
    with pytest.raises(PlacementFileError, match="placement P-1: placed_at has no zone"):
        AgencyFolder(tmp_path).write("northline", DAY, [a_row(placed_at="2026-12-23T14:05:00")])
    assert list(tmp_path.iterdir()) == []


def test_a_row_survives_the_ledgers_json():
    assert PlacementRow.from_json(json.loads(json.dumps(a_row().to_json()))) == a_row()
