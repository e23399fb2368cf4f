"""Killed at any instant while a partner's folder is emptied, a right file is booked once and a wrong one never."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

import models
from arrears.operations.agencies import all_placements
from arrears.operations.services import Services
from arrears.operations.show import show
from arrears.settings import ROOT
from tests.support.landings import Landing, SqliteStairs, Stairs
from tests.support.mortals import Mortals, Order, drive
from tests.support.partner_files import a_fact, a_file, a_manifest

pytestmark = pytest.mark.faults

# Of the fourteen there are: on either side of the commit that books the right file, between its move and that of its
# manifest; while the wrong one is written aside, before and after the commit that says so.
BOUNDARIES = {"sqlite": (2, 6, 9), "postgresql": (1, 4, 10)}


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ours, but that northside keeps a quarter."""
    folder = tmp_path_factory.mktemp("terms") / "policies"
    shutil.copytree(ROOT / "policies", folder)
    return folder


def lay(landing: Landing, policies: Path, services: Services) -> None:
    """A right file and a wrong one in the folder of northside."""
    folder = landing.outbox / "from-northside"
    folder.mkdir()
    terms = f'hand_off: {{from: "{folder.as_uri()}"}}\ncommission: {{flat: 25}}\n'
    (policies / "partners" / "northside.yaml").write_text(f"partner: northside\nkind: agency\n{terms}")
    [(placement, _)] = all_placements(services, limit=1)
    fact = a_fact(
        "payment",
        placement.reference,
        "R-1",
        at=(placement.at + timedelta(hours=1)).isoformat(),
        amount="50.00",
        commission="12.50",
        currency="USD",
    )
    for name, content in (("good.csv", a_file(fact)), ("wrong.csv", a_file(fact | {"reference": "R-2"}, count="2"))):
        (folder / name).write_bytes(content)
        (folder / f"{name}.manifest.json").write_bytes(a_manifest(content, fact))


def test_a_file_is_booked_once_wherever_its_process_is_killed(stairs: Stairs, mortals: Mortals, policies: Path) -> None:
    on = "sqlite" if isinstance(stairs, SqliteStairs) else "postgresql"
    for boundary in BOUNDARIES[on]:
        landing = stairs.landing("legal")
        with landing.services() as services:
            lay(landing, policies, services)
        settings = landing.settings(policies=str(policies))
        order = Order(settings, "pick_up", (landing.until - timedelta(days=20)).isoformat(), at=boundary)
        assert mortals.run(order).how == "killed"
        with landing.services(policies=str(policies)) as services:
            drive(services, Order(settings, "pick_up", order.until))
            _booked_once(services, landing)


def _booked_once(services: Services, landing: Landing) -> None:
    shown = show(services, "A-1")
    assert (shown["balance"]["amount"], shown["placements"][0]["remitted"]) == ("1150.50", "50.00")
    folder = landing.outbox / "from-northside"
    lying = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.csv"))
    assert lying == ["done/good.csv", "refused/wrong.csv"]
    with services.ledger.read() as session:
        files = session.exec(select(models.AgencyFile)).all()
        items = session.exec(select(models.WorkItem).where(models.WorkItem.kind == "partner_file")).all()
    assert sorted((file.name, file.status) for file in files) == [("good.csv", "taken"), ("wrong.csv", "quarantined")]
    assert len(items) == 1
    assert len(list((landing.outbox / "quarantine" / "northside").iterdir())) == 2
