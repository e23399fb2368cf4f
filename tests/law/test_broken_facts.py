"""`arrears check-contact` on facts that cannot be judged: every message names the field and what was expected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from arrears.operations.check_contact import FactsError, check_file
from tests.builders import shipped_rules

GOOD: dict[str, Any] = {
    "jurisdictions": ["US", "US-NY"],
    "actor": "third_party",
    "channel": "call",
    "zones": ["America/New_York"],
    "at": "2026-11-23T17:00:00Z",
}


def judged(folder: Path, document: Any) -> Any:
    path = folder / "facts.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return check_file(path, shipped_rules())


def complaint(folder: Path, **broken: Any) -> str:
    """What is said about the good facts with these fields instead; None leaves a field out."""
    facts = {name: value for name, value in (GOOD | broken).items() if value is not None}
    with pytest.raises(FactsError) as refused:
        judged(folder, facts)
    return str(refused.value)


def test_the_good_facts_are_judged(tmp_path: Path) -> None:
    assert judged(tmp_path, GOOD)["verdict"] in ("allow", "defer", "deny", "review")


def test_an_unknown_channel_is_named_with_those_there_are(tmp_path: Path) -> None:
    said = complaint(tmp_path, channel="pigeon")
    assert said.startswith("facts.json: channel: ")
    assert all(word in said for word in ("call", "sms", "letter", "placement", "referral"))


def test_a_wrong_actor_is_named_with_the_two_there_are(tmp_path: Path) -> None:
    said = complaint(tmp_path, actor="bank")
    assert said.startswith("facts.json: actor: ")
    assert "first_party" in said
    assert "third_party" in said


@pytest.mark.parametrize("at", ["yesterday", "2026-13-01T00:00:00Z", "2026-11-23T25:00:00Z", ""])
def test_an_instant_that_is_none_is_named(tmp_path: Path, at: str) -> None:
    said = complaint(tmp_path, at=at)
    assert said.startswith("facts.json: at: ")
    assert "expected an instant" in said
    assert "2026-11-23T" in said


def test_an_unknown_zone_is_named_with_an_example(tmp_path: Path) -> None:
    said = complaint(tmp_path, zones=["America/New_York", "Mars/Olympus"])
    assert said.startswith("facts.json: zones")
    assert "'Mars/Olympus'" in said
    assert "America/New_York" in said


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    said = complaint(tmp_path, **{field: None})
    assert said.startswith(f"facts.json: {field}: ")
    assert "missing; expected " in said


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    said = complaint(tmp_path, channel="pigeon", actor="bank", at="yesterday")
    assert all(f"{field}: " in said for field in ("channel", "actor", "at"))


def test_a_fault_deep_in_the_past_is_told_with_its_place(tmp_path: Path) -> None:
    history = [
        {"channel": "call", "at": "2026-11-22T17:00:00Z", "outcome": "no_answer"},
        {"channel": "call", "at": "the day before"},
    ]
    assert "history.1.at: " in complaint(tmp_path, history=history)


def test_a_misspelt_field_is_no_field(tmp_path: Path) -> None:
    assert "jurisdiction: " in complaint(tmp_path, jurisdiction=["US"])


def test_of_several_cases_the_broken_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(FactsError, match=r"^facts\.json: cases\[1\]: channel: "):
        judged(tmp_path, {"cases": [{"facts": GOOD}, {"facts": GOOD | {"channel": "pigeon"}}]})


@pytest.mark.parametrize("document", ["", "{", "call at noon"])
def test_a_file_that_is_no_json_is_named_with_what_was_expected(tmp_path: Path, document: str) -> None:
    with pytest.raises(FactsError, match=r"^facts\.json:\d+: no JSON: expected an object"):
        judged(tmp_path, document)


@pytest.mark.parametrize("document", [[], "3", {"cases": 3}])
def test_json_that_is_no_object_with_facts_is_refused_by_name(tmp_path: Path, document: Any) -> None:
    with pytest.raises(FactsError, match=r"^facts\.json: "):
        judged(tmp_path, document)
