"""A year in every place at once, audited afterwards from the rules' files: nothing that went out broke one.

In a short form by default; ARREARS_FULL_AUDIT=1 takes a thousand accounts through a whole year.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from arrears.settings import Settings
from tests.builders import POLICIES
from tests.law import naive
from tests.law.naive import Audit, audit
from tests.law.world import HOMES, Year, copy_of_the_policies, live_a_year

FULL = os.environ.get("ARREARS_FULL_AUDIT") == "1"
EVERYTHING = {
    "part", "hold", "release", "opt-out", "consent", "text", "inbound", "by hand", "call worked", "approved",
}  # fmt: skip
Rules = dict[str, Any]


def year(folder: Path, policies: Path, **size: Any) -> tuple[Year, Audit]:
    """Live under `policies`, and be audited against those that are shipped."""
    shipped = copy_of_the_policies(folder / "shipped")
    settings = Settings(
        database_url=f"sqlite:///{folder / 'ledger.db'}", outbox=folder / "outbox", policies=policies, doubt_seconds=0
    )
    lived = live_a_year(settings, folder, **size)
    with lived.services.ledger.read() as session:
        found = audit(session, settings.outbox, shipped)
    lived.services.close()
    assert lived.failed == []
    return lived, found


@pytest.mark.timeout(7200 if FULL else 900)
def test_a_year_of_accounts_everywhere_breaks_no_rule(tmp_path: Path) -> None:
    size = {"accounts": 1000, "days": 365} if FULL else {"accounts": 26, "days": 170}
    lived, found = year(tmp_path, copy_of_the_policies(tmp_path / "policies"), seed=20261124, **size)
    print(
        f"{found.steps:,} steps, {sum(found.asked.values()):,} questions of {len(found.asked)} rules; {lived.happened}"
    )
    assert found.steps > 5 * size["accounts"]
    assert set(lived.happened) >= EVERYTHING
    assert found.violations == [], "\n".join(map(str, found.violations[:20]))


def test_every_place_with_rules_of_its_own_has_an_account_that_lives_there() -> None:
    packs = {path.stem for path in (POLICIES / "contact-rules").glob("*.yaml")}
    lived_in = {name.partition(",")[0] for name in HOMES}
    # The Union's rules hold through its members', the house's everywhere.
    assert packs - lived_in == {"EU", "HOUSE", "US"}


def test_the_auditor_shares_no_code_with_what_it_audits() -> None:
    source = Path(naive.__file__).read_text(encoding="utf-8")
    imported = {
        name
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert "yaml" in imported
    assert not any(name.split(".")[0] in ("arrears", "tests", "flows") for name in imported)


# Rules broken on purpose ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Break:
    """Change rule `rule` of file `place` with `how`, and let people of `homes` live under it."""

    place: str
    rule: str
    how: Callable[[Rules], Any]
    homes: tuple[str, ...]
    holds: tuple[str, ...] = ("VULNERABLE",)
    days: int = 45
    accounts: int = 6
    seed: int = 7


def _set(**values: Any) -> Callable[[Rules], Any]:
    return lambda row: row.update(values)


BREAKS: dict[str, Break] = {
    "a window three hours longer": Break("IN", "IN-QH-RBI", _set(closes="22:00"), ("IN",)),
    "the house's nights open": Break("HOUSE", "HOUSE-QH", _set(opens="00:00", closes="23:59"), ("DE",)),
    "open on Sundays": Break("GB", "GB-DAY-POLICY", _set(closed={"weekdays": ["saturday"]}), ("GB",)),
    "a hold on visits only": Break(
        "HOUSE", "HOUSE-HOLD-COMPLAINT_OPEN", _set(blocks=["visit"]), ("DE", "US-TX"), holds=("COMPLAINT_OPEN",)
    ),
    "a hold that covers one card only": Break(
        "HOUSE", "HOUSE-HOLD-VULNERABLE", _set(per="debt"), ("DE",), days=30, accounts=14
    ),
    "a third call in the week": Break("US-MA", "MA-FC-CRED-RES", _set(most=3), ("US-MA",), days=30),
    "calls counted by the day and not by the week": Break(
        "GB", "GB-FC-POLICY", _set(within={"local_days": 1}), ("GB",), days=30
    ),
    "a cooldown of a day": Break("US", "US-REGF-CD-CONV", _set(days=1), ("US-TX",), days=60),
    "no default notice": Break("GB", "GB-CCA-88", _set(notice="letter_of_claim"), ("GB",), days=75),
    "a letter of claim of ten days": Break("GB", "GB-PAP", _set(calendar_days=10), ("GB",), days=75),
    "texts without consent": Break(
        "US-NY-NYC", "NYC-ECONSENT", _set(safe_harbor=True), ("US-NY-NYC",), days=60, seed=8
    ),
}


# One of each shape of rule in the short form: a window, closed days, a hold, a cap, a notice, consent.
SHORT = (
    "a window three hours longer",
    "open on Sundays",
    "a hold that covers one card only",
    "a third call in the week",
    "a letter of claim of ten days",
    "texts without consent",
)


@pytest.mark.parametrize("name", BREAKS if FULL else SHORT)
def test_a_rule_that_is_broken_on_purpose_is_found_by_its_name(name: str, tmp_path: Path) -> None:
    broken = BREAKS[name]
    policies = copy_of_the_policies(tmp_path / "policies")
    path = policies / "contact-rules" / f"{broken.place}.yaml"
    pack: Rules = yaml.safe_load(path.read_text(encoding="utf-8"))
    (row,) = (row for section in pack.values() if isinstance(section, list) for row in section if _is(row, broken.rule))
    broken.how(row)
    path.write_text(yaml.safe_dump(pack, allow_unicode=True, sort_keys=False), encoding="utf-8")
    # Not every life comes to where the rule would bind: what befalls people hangs on names that no seed fixes.
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        _, found = year(
            folder,
            policies,
            accounts=broken.accounts,
            days=broken.days,
            seed=broken.seed + attempt,
            homes=broken.homes,
            events_per_account=8,
            eager_every=2,
            holds=broken.holds,
        )
        if found.broken:
            break
    assert found.broken == {broken.rule}, "\n".join(map(str, found.violations[:20]))


def _is(row: Any, rule: str) -> bool:
    return isinstance(row, dict) and row.get("id") == rule
