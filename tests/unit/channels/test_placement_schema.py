"""The published schema and the files that are written describe each other, judged by a library of its own."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from arrears.channels import agency
from arrears.channels.agency import AgencyFolder
from arrears.channels.agency_rows import RecallRow
from arrears.engine.money import Money
from arrears.settings import ROOT
from tests.unit.channels.test_agency import DAY, a_row

SCHEMA = json.loads((ROOT / "docs" / "placement-file.schema.json").read_text())


def faults(what: str, instance: Any) -> list[str]:
    schema = {**SCHEMA, "$ref": f"#/$defs/{what}"}
    Draft202012Validator.check_schema(schema)
    return [
        error.message for error in Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(instance)
    ]


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@settings(max_examples=25)
@given(
    st.text(), st.text(), st.sampled_from(["+16175550123", ""]), st.integers(0, 10**9), st.sampled_from(["USD", "JPY"])
)
def test_whatever_is_written_fits_the_schema(
    tmp_path_factory: pytest.TempPathFactory, name: str, reason: str, phone: str, owed: int, currency: str
):
    outbox = tmp_path_factory.mktemp("outbox")
    row = a_row(holder_name=name, phone=phone, balance=Money(owed, currency))
    recall = RecallRow("P-1", "A-1001", "final", reason, "2026-12-23T14:05:00Z")
    placed = AgencyFolder(outbox).write("northline", DAY, [row])
    recalled = AgencyFolder(outbox).write_recalls("northline", DAY, [recall])
    for what, manifest in (("placement", placed), ("recall", recalled)):
        path = outbox / manifest.path
        assert [faults(what, line) for line in lines(path)] == [[]]
        assert faults("manifest", json.loads(agency.manifest_path(path).read_text())) == []


def test_the_schema_names_exactly_the_columns_in_order():
    assert tuple(SCHEMA["$defs"]["placement"]["properties"]) == agency.COLUMNS
    assert tuple(SCHEMA["$defs"]["recall"]["properties"]) == agency.RECALL_COLUMNS


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("phone", "617-555-0123"), ("country", "USA"), ("balance", "1,200.50"), ("due_date", "31/11/2026"),
        ("placed_at", "2026-12-23 14:05"), ("days_past_due", "-1"), ("placement_id", ""), ("nickname", "Mia"),
    ],
)  # fmt: skip
def test_the_schema_refuses_what_the_documentation_does_not_allow(tmp_path: Path, column: str, cell: str):
    AgencyFolder(tmp_path).write("northline", DAY, [a_row()])
    [line] = lines(tmp_path / "agency" / "northline" / f"{DAY}.csv")
    assert faults("placement", line) == []
    assert faults("placement", {**line, column: cell}) != []
