"""A case keeps the ladder it started with until somebody moves it on purpose."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from arrears.clock import VirtualClock
from arrears.operations.migrate_ladder import migrate_ladder
from arrears.operations.pay import ChargeKind, charge, pay
from arrears.operations.replay import replay
from arrears.operations.services import Services, UnknownLadder, open_services
from arrears.operations.show import show
from arrears.settings import Settings
from tests.builders import POLICIES
from tests.conftest import START, a_row
from tests.integration.stories import Portfolio, at, dump, last, steps, take_in, until


@pytest.fixture
def house(settings: Settings, tmp_path: Path) -> Settings:
    """A deployment with policies of its own, which a test may edit."""
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    return settings.model_copy(update={"policies": policies})


@pytest.fixture
def edited(house: Settings, clock: VirtualClock, portfolio: Portfolio) -> Iterator[Services]:
    """A-1 was enrolled on version 3; then the current ladder became version 4, which calls at 20 days past due."""
    before = open_services(house).at(clock)
    take_in(before, portfolio())
    before.close()
    current = house.policies / "ladders" / "card-standard.yaml"
    shutil.copy(current, current.with_name("card-standard@3.yaml"))
    text = current.read_text()
    assert "version: 3\n" in text
    assert "due: {dpd: 30" in text
    current.write_text(text.replace("version: 3\n", "version: 4\n").replace("due: {dpd: 30", "due: {dpd: 20"))
    after = open_services(house).at(clock)
    yield after
    after.close()


def move(services: Services, *, version: int | None = None, accounts: tuple[str, ...] = (), dry_run: bool = False):
    return migrate_ladder(
        services, "card-standard", version, accounts=list(accounts), who="test", at=at(services), dry_run=dry_run
    )


def test_a_case_climbs_the_version_it_started_with(edited: Services, portfolio: Portfolio) -> None:
    take_in(edited, portfolio(a_row("A-1"), a_row("A-2")))
    assert show(edited, "A-1")["ladder"] == "card-standard@3"
    assert show(edited, "A-2")["ladder"] == "card-standard@4"
    until(edited, 21)
    assert ("call-1", "done") in steps(edited, "A-2")
    assert ("call-1", "done") not in steps(edited, "A-1")
    until(edited, 31)
    assert last(edited, "call-1")["at"] == "2026-08-31T14:00:00Z"


def test_a_migrated_case_climbs_the_new_version_from_where_it_stands(edited: Services) -> None:
    until(edited, 16)
    assert move(edited).moved == {"card-standard@3": 1}
    until(edited, 21)
    assert steps(edited) == [("sms-1", "done"), ("sms-2", "done"), ("sms-3", "done"), ("call-1", "done")]
    assert last(edited, "call-1")["at"] == "2026-08-21T14:00:00Z"
    assert move(edited).moved == {}
    assert move(edited, version=3).moved == {"card-standard@4": 1}


def test_a_rehearsed_migration_counts_and_moves_nothing(edited: Services) -> None:
    before = dump(edited)
    assert move(edited, dry_run=True).moved == {"card-standard@3": 1}
    assert dump(edited) == before


def test_charges_waived_by_the_ladder_of_their_time_stay_so_under_the_next(
    house: Settings, clock: VirtualClock, portfolio: Portfolio
) -> None:
    current = house.policies / "ladders" / "card-standard.yaml"
    asks = current.read_text()
    assert "leftover_charges: ask" in asks
    current.write_text(asks.replace("leftover_charges: ask", "leftover_charges: waive"))
    before = open_services(house).at(clock)
    take_in(before, portfolio())
    charge(before, "A-1", ChargeKind.FEE, "15.00", reference="F-1", at=at(before), source="test", who="test")
    pay(before, "A-1", "120.00", reference="P-1", at=at(before) + timedelta(days=1), source="test", who="test")
    assert show(before, "A-1")["outcome"] == "cured"
    before.close()
    shutil.copy(current, current.with_name("card-standard@3.yaml"))
    current.write_text(asks.replace("version: 3\n", "version: 4\n"))
    after = open_services(house).at(clock)
    take_in(after, portfolio(a_row("A-1", due_date="2026-09-01", amount_due="100.00")), at=START + timedelta(days=32))
    until(after, 33)
    shown = show(after, "A-1")
    assert (shown["ladder"], shown["status"]) == ("card-standard@4", "delinquent")
    assert shown["amount_due"]["amount"] == "100.00"
    assert not replay(after, "A-1", who="test")
    # Nothing is left over of what was waived then.
    pay(after, "A-1", "60.00", reference="P-2", at=START + timedelta(days=33), source="test", who="test")
    assert show(after, "A-1")["status"] == "delinquent"
    pay(after, "A-1", "40.00", reference="P-3", at=START + timedelta(days=33), source="test", who="test")
    assert show(after, "A-1")["outcome"] == "cured"
    after.close()


def test_only_the_accounts_asked_for_are_moved(edited: Services) -> None:
    assert move(edited, accounts=("A-9",)).moved == {}
    assert show(edited, "A-1")["ladder"] == "card-standard@3"


def test_there_is_no_moving_to_a_version_that_is_not_there(edited: Services) -> None:
    with pytest.raises(UnknownLadder, match=r"card-standard@7.*there is card-standard@1, .*@3, card-standard@4"):
        move(edited, version=7)


def test_a_case_whose_ladder_was_thrown_away_is_kept_for_a_person(house: Settings, edited: Services) -> None:
    (house.policies / "ladders" / "card-standard@3.yaml").unlink()
    orphaned = open_services(house)
    swept = until(orphaned, 2)
    assert (swept.effects, swept.failed) == (0, ["A-1"])
    assert show(orphaned, "A-1")["next"]["reason"] == "failed: UnknownLadder, 1 in a row"
    assert datetime.fromisoformat(show(orphaned, "A-1")["as_of"]).day == 3
    orphaned.close()
