"""The file of an agency's day follows the placements in the ledger, whatever comes between."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

import models
from arrears.channels import agency
from arrears.clock import VirtualClock
from arrears.operations.brakes import Budget, start, stop
from arrears.operations.services import Services
from arrears.operations.sweep import sweep
from tests.conftest import START, a_row
from tests.integration.stories import Portfolio, last, take_in, until
from tests.support.audit import assert_batch_is_whole


def placed_in_files(services: Services) -> list[str]:
    files = sorted(services.settings.outbox.glob("agency/*/*.csv"))
    return [row["account_id"] for file in files for row in csv.DictReader(file.open(encoding="utf-8-sig"))]


def test_a_days_placements_are_written_once(
    services: Services, portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(services, portfolio(*(a_row(f"A-{n}", phone=f"+1518555{n:04}") for n in range(10))))
    until(services, 89)
    written: list[Path] = []
    write = agency.files.write_atomically

    def noted(path: Path, content: bytes) -> None:
        written.append(path)
        write(path, content)

    monkeypatch.setattr(agency.files, "write_atomically", noted)
    until(services, 92)
    assert sorted(placed_in_files(services)) == sorted(f"A-{n}" for n in range(10))
    of_agency = [path.suffix for path in written if "agency" in path.parts]
    days = len(list(services.settings.outbox.glob("agency/*/*.csv")))
    assert sorted(of_agency) == [".csv"] * days + [".json"] * days
    with services.ledger.read() as session:
        for batch in session.exec(select(models.PlacementBatch)).all():
            assert_batch_is_whole(session, services.settings.outbox, batch.agency, batch.day)


def test_a_file_that_cannot_be_written_is_said_and_made_good(enrolled: Services) -> None:
    until(enrolled, 89)
    in_the_way = enrolled.settings.outbox / "agency"
    in_the_way.write_text("a file where a folder should be")
    swept = until(enrolled, 92)
    assert len(swept.unwritten) == 1
    assert "placement file of" in swept.unwritten[0]
    assert last(enrolled, "agency-1")["status"] == "done"
    in_the_way.unlink()
    again = sweep(enrolled.at(VirtualClock(START + timedelta(days=92))), who="test", budget=Budget())
    assert (again.effects, again.unwritten) == (0, ())
    assert placed_in_files(enrolled) == ["A-1"]


def test_nothing_leaves_while_the_kill_switch_is_pulled(enrolled: Services) -> None:
    until(enrolled, 89)
    (enrolled.settings.outbox / "agency").write_text("in the way")
    until(enrolled, 92)
    (enrolled.settings.outbox / "agency").unlink()
    now = START + timedelta(days=92)
    stop(enrolled.ledger, why="a drill", who="test", at=now, wall=now)
    until(enrolled, 92.1)
    assert placed_in_files(enrolled) == []
    start(enrolled.ledger, who="test", at=now, wall=now)
    until(enrolled, 92.2)
    assert placed_in_files(enrolled) == ["A-1"]
