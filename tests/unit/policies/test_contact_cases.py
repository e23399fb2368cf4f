"""The worked contact cases: facts in, verdict out, as `arrears check-contact` answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from arrears.operations.check_contact import check_file
from arrears.settings import ROOT
from tests.builders import shipped_rules

DATA = ROOT / "tests" / "data"
CASES = [
    case
    for name in ("contact_cases.json", "more_contact_cases.json")
    for case in json.loads((DATA / name).read_text(encoding="utf-8"))["cases"]
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_the_gate_gives_the_verdict_of_the_worked_case(case: dict[str, Any], tmp_path: Path):
    file, expected = tmp_path / "case.json", case["expect"]
    file.write_text(json.dumps(case))
    verdict = check_file(file, shipped_rules())
    assert isinstance(verdict, dict)
    assert verdict["verdict"] == expected["verdict"], verdict
    assert set(verdict["rules"]) >= {expected[name] for name in ("rule",) if name in expected}, verdict
    if "until" in expected:
        assert verdict["until"] == expected["until"]
    assert (verdict["until"] is not None) == (expected["verdict"] == "defer")


def test_every_cap_and_cooldown_of_a_place_has_a_worked_case_or_shares_its_figure_with_one():
    worked = {case["expect"].get("rule") for case in CASES}
    packs = [pack for pack in shipped_rules().packs.values() if pack.jurisdiction != "US"]
    places = {pack.jurisdiction for pack in packs if pack.caps or pack.cooldowns}
    shown = {pack.jurisdiction for pack in packs for rule in (*pack.caps, *pack.cooldowns) if rule.id in worked}
    # Selling by telephone has the same figures in three states; New Hampshire's cap is about workplaces alone.
    assert places - shown == {"US-MD", "US-OK", "US-NH"}
