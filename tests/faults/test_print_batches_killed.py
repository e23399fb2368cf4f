"""Killed at any instant of making a batch, every letter is in one batch, and every batch's folder is whole."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from sqlmodel import select

import models
from arrears.clock import VirtualClock
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.services import Services, open_services
from arrears.operations.sweep import catch_up
from arrears.settings import Settings
from tests.conftest import HEADER, START, a_row
from tests.support.mortals import Mortals, Order, drive

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults-sqlite")]


def written(folder: Path) -> None:
    """A ledger and an outbox with three letters."""
    path = folder / "portfolio.csv"
    rows = "".join(a_row(f"A-{n}", phone=f"+1518555010{n}", due_date="2026-06-17") for n in (1, 2, 3))
    path.write_text(HEADER + rows, encoding="utf-8")
    services = open_services(Settings(database_url=f"sqlite:///{folder / 'ledger.db'}", outbox=folder / "outbox"))
    enroll(services, path, at=START, who="test", driver="sweep", virtual=True)
    house = services.at(VirtualClock(START))
    catch_up(house, START.replace(day=2), who="test", budget=Budget())
    services.close()


def assert_each_once(services: Services) -> None:
    settings = services.settings
    with services.ledger.read() as session:
        batches = session.exec(select(models.PrintBatch)).all()
        letters = {each.reference: each for each in session.exec(select(models.Letter)).all()}
    assert len(letters) == 3
    assert not any(batch.unwritten for batch in batches)
    printed: list[str] = []
    for batch in batches:
        folder = settings.outbox / batch.path
        sealed = (folder / "manifest.json").read_bytes()
        assert sha256(sealed).hexdigest() == batch.sha256
        for line in json.loads(sealed)["letters"]:
            assert letters[line["reference"]].batch == batch.id
            assert sha256((folder / line["file"]).read_bytes()).hexdigest() == letters[line["reference"]].sha256
            printed.append(line["reference"])
    assert sorted(printed) == sorted(letters), "each in one batch"
    assert {path.name for path in (settings.outbox / "print").iterdir()} == {Path(b.path).name for b in batches}
    assert not list(settings.outbox.rglob("*.part"))


def test_every_letter_is_in_one_batch_wherever_the_process_is_killed(mortals: Mortals, tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    written(tmp_path / "before")
    now = tmp_path / "now"
    shutil.copytree(tmp_path / "before", now)
    services = open_services(Settings(database_url=f"sqlite:///{now / 'ledger.db'}", outbox=now / "outbox"))
    told = {"database_url": services.settings.database_url, "outbox": str(services.settings.outbox)}
    seen: set[str] = set()
    for at in count(1):
        # It is another ledger under the same name: what is connected would still see the old one.
        services.ledger.close()
        shutil.rmtree(now)
        shutil.copytree(tmp_path / "before", now)
        ended = mortals.run(Order(told, "print", START.isoformat(), at=at))
        if ended.how == "unharmed":
            break
        seen.add(ended.last)
        drive(services, Order(told, "print", START.isoformat()))
        try:
            assert_each_once(services)
        except AssertionError as error:
            error.add_note(f"killed at the end of {ended.boundaries}")
            raise
    assert_each_once(services)
    services.close()
    assert seen >= {
        "before a commit",
        "after a commit",
        "before a .part is opened",
        "before the rename of ['.pdf', '.part']",
        "before the rename of ['.json', '.part']",
    }
