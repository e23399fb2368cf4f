"""A rung that names several agencies: each account goes to one that may have it, or a person is told why to none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from arrears.clock import VirtualClock
from arrears.engine.life.placements import PlacementReport
from arrears.operations.agencies import report_placement
from arrears.operations.explain import explain
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services, open_services
from arrears.operations.show import show
from arrears.settings import ROOT, Settings
from tests.builders import POLICIES
from tests.conftest import a_row
from tests.integration.stories import Portfolio, at, take_in, until

SOUTHBANK = "partner: southbank\nkind: agency\nshare: 40\ncapacity: 1\nnever_again: true\n"
NORTHSIDE = "partner: northside\nkind: agency\nshare: 60\ntakes: {regions: [US-NJ]}\n"


@pytest.fixture
def two_agencies(settings: Settings, clock: VirtualClock, tmp_path: Path, portfolio: Portfolio) -> Iterator[Services]:
    """Two New Yorkers on a ladder of twelve days. northside works New Jersey alone, southbank one account at a time."""
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    ladder = (ROOT / "tests" / "e2e" / "short_ladder.yaml").read_text()
    assert "agency: northside" in ladder
    several = ladder.replace("agency: northside", "agency: {among: [northside, southbank]}")
    (policies / "ladders" / "card-standard.yaml").write_text(several)
    (policies / "partners" / "northside.yaml").write_text(NORTHSIDE)
    (policies / "partners" / "southbank.yaml").write_text(SOUTHBANK)
    services = open_services(settings.model_copy(update={"policies": policies})).at(clock)
    take_in(services, portfolio(a_row("A-1"), a_row("A-2", phone="+15185550199")))
    yield services
    services.close()


def test_capacity_and_region_decide_and_room_that_comes_free_is_used(two_agencies: Services) -> None:
    until(two_agencies, 8)
    placed = {account: show(two_agencies, account)["placements"] for account in ("A-1", "A-2")}
    [first, second] = sorted(placed, key=lambda account: not placed[account])
    [placement] = placed[first]
    why = "southbank of northside, southbank; northside: takes no account in US-NY"
    assert (placement["agency"], placement["chosen"], placed[second]) == ("southbank", why, [])
    [step] = explain(two_agencies, first, rung="agency-1")["steps"]
    assert f"with {why}" in step["in_words"]
    full = "southbank: works 1 accounts and has room for 1"
    [waiting] = [each for each in waiting_for_people(two_agencies) if each.account_id == second]
    assert waiting.reason.startswith("no agency takes it: nobody of northside, southbank; northside: takes no account")
    assert full in waiting.reason
    assert waiting.do.startswith("arrears attend ")
    [step] = explain(two_agencies, second, rung="agency-1")["steps"]
    assert (step["status"], full in step["reason"]) == ("planned", True)
    report_placement(
        two_agencies,
        placement["reference"],
        PlacementReport.RETURNED,
        reference="R-1",
        at=at(two_agencies),
        source="test",
        who="test",
    )
    until(two_agencies, 9.5)
    assert [each["agency"] for each in show(two_agencies, second)["placements"]] == ["southbank"]
