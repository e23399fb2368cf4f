"""A disk that is full: no letter is lost or doubled, and a person reads what to do."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

import models
from arrears.clock import VirtualClock
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.letter_batches import batch_letters
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services, open_services
from arrears.operations.show import show
from arrears.operations.sweep import catch_up, sweep
from arrears.settings import Settings
from tests.conftest import HEADER, START, a_row
from tests.faults.test_print_batches_killed import assert_each_once, written

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults-sqlite")]
# Less than a letter's 40 kB. The ledger stands on another disk, or keeps within it.
_SMALL = 24 * 1024


@pytest.fixture
def small_disk(tmp_path: Path):
    """A folder on a file system of its own, too small for a letter; None where none may be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_SMALL}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        yield None
        return
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def mounted_over(outbox: Path, part: str, small: Path) -> None:
    """`part` of the outbox lies on the small disk."""
    (outbox / part).symlink_to(small)


def test_a_batch_on_a_full_disk_is_finished_by_the_next_run(tmp_path: Path, small_disk: Path | None) -> None:
    written(tmp_path)
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'ledger.db'}", outbox=tmp_path / "outbox")
    if small_disk is None:
        pytest.skip("no file system may be mounted here")
    mounted_over(settings.outbox, "print", small_disk)
    services = open_services(settings)
    wanted = {"one_file": False, "duplex": True, "most": 100, "who": "test"}
    failed = batch_letters(services, **wanted)  # type: ignore[arg-type]
    [problem] = failed.problems
    assert problem.startswith("batch 1 could not be written to print/")
    assert "No space left on device; run `arrears letters batch` again when that is mended" in problem
    assert "arrears letters batch" in [each.do for each in waiting_for_people(services)]
    assert not list(small_disk.rglob("*.part"))
    (settings.outbox / "print").unlink()
    assert len(batch_letters(services, **wanted).batches) == 1  # type: ignore[arg-type]
    assert_each_once(services)
    services.close()


def test_letters_on_a_full_disk_are_tried_again_and_go_out_once(tmp_path: Path, small_disk: Path | None) -> None:
    if small_disk is None:
        pytest.skip("no file system may be mounted here")
    path = tmp_path / "portfolio.csv"
    path.write_text(HEADER + a_row(due_date="2026-06-17"), encoding="utf-8")
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'ledger.db'}", outbox=tmp_path / "outbox")
    settings.outbox.mkdir()
    mounted_over(settings.outbox, "letters", small_disk)
    services = open_services(settings)
    enroll(services, path, at=START, who="test", driver="sweep", virtual=True)
    # The call of the first day goes first; the letter is due on the second.
    catch_up(services, START + timedelta(hours=6), who="test", budget=Budget())
    house = services.at(VirtualClock(START + timedelta(hours=26)))
    sweep(house, who="test", budget=Budget())
    assert letters_of(services) == ["planned"]
    [told] = [each for each in waiting_for_people(services) if "could not be written" in each.reason]
    assert told.reason.endswith("could not be written: No space left on device")
    assert told.do == "make room where ARREARS_OUTBOX is; what waits is tried again by itself"
    assert not [p for p in small_disk.rglob("*") if p.is_file()]
    (settings.outbox / "letters").unlink()
    with services.ledger.write() as session:
        # The wait before the next try counts in wall time: nobody sleeps through it here.
        case = session.exec(select(models.Case)).one()
        case.retry_at = None
        session.add(case)
    sweep(house, who="test", budget=Budget())
    assert letters_of(services) == ["done"]
    assert len(list(settings.outbox.rglob("*.pdf"))) == 1
    services.close()


def letters_of(services: Services) -> list[str]:
    return [step["status"] for step in show(services, "A-1")["steps"] if step["channel"] == "letter"]
