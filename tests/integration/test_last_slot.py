"""Two processes and one slot left: whoever counts a person's contacts counts them alone until the intent is kept."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlmodel import col, select

import models
from arrears.clock import VirtualClock
from arrears.operations.advance import advance
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.moves import next_move
from arrears.operations.services import open_services
from arrears.settings import Settings
from tests.builders import POLICIES
from tests.conftest import HEADER, START, a_row
from tests.support.forks import forks

ROUNDS = 12
RULE = "HOUSE-LAST-SLOT"
CAP = {
    "id": RULE,
    "applies_to": ["first_party", "third_party"],
    "channels": ["sms"],
    "per": "person",
    "most": 1,
    "within": {"days": 7},
    "strength": "policy",
    "evidence": "none",
    "verified": False,
    "source": "test",
}
# The first text is due at 10:00 on the day after the due date, for both cards of every holder.
DUE = START + timedelta(days=1, hours=4)


@dataclass(frozen=True)
class Result:
    """One holder's two cards after a round: status of their first text, and the rules named by who must wait."""

    statuses: list[str]
    rules: list[list[str]]


def policies_with_one_text_a_week(folder: Path) -> Path:
    copy = folder / "policies"
    shutil.copytree(POLICIES, copy)
    path = copy / "contact-rules" / "HOUSE.yaml"
    house: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    house["caps"] = [*(house.get("caps") or []), CAP]
    path.write_text(yaml.safe_dump(house, allow_unicode=True), encoding="utf-8")
    return copy


def card(holder: int, side: int) -> str:
    return f"H{holder}-{side}"


def work(settings: dict[str, Any], side: int, how: str, barrier: Barrier) -> None:
    """One process: at every round, the card on its side of that round's holder."""
    services = open_services(Settings(**settings), live=False).at(VirtualClock(DUE))
    try:
        for holder in range(ROUNDS):
            barrier.wait(timeout=280)
            if how == "advance":
                advance(services, card(holder, side), who=f"side {side}")
            else:
                next_move(services, card(holder, side), who=f"side {side}", budget=Budget())
    except BaseException:
        barrier.abort()
        raise
    finally:
        services.close()


def play(settings: Settings, portfolio: Path, how: str) -> list[Result]:
    """Enrol two cards for each holder, let two processes meet at each, and read what became of them."""
    services = open_services(settings, live=False)
    taken = enroll(services, portfolio, at=START, who="test", driver="sweep", virtual=True)
    assert taken.enrolled == 2 * ROUNDS
    barrier = forks().Barrier(2)
    order = {**settings.model_dump(mode="json", exclude_unset=True)}
    sides = [forks().Process(target=work, args=(order, side, how, barrier)) for side in (0, 1)]
    for side in sides:
        side.start()
    for side in sides:
        side.join(timeout=600)
    assert [side.exitcode for side in sides] == [0, 0]
    with services.ledger.read() as session:
        found = [
            list(
                session.exec(
                    select(models.Step).where(
                        col(models.Step.account_id).in_([card(holder, 0), card(holder, 1)]),
                        models.Step.rung == "sms-1",
                    )
                )
            )
            for holder in range(ROUNDS)
        ]
        results = [
            Result(
                sorted(step.status for step in steps),
                [step.rules for step in steps if step.status == "planned"],
            )
            for steps in found
        ]
    services.close()
    return results


@pytest.fixture
def two_cards_each(tmp_path: Path) -> Path:
    path = tmp_path / "portfolio.csv"
    rows = [
        a_row(card(holder, side), phone=f"+1212555{holder:04d}").strip() + f",{holder}\n"
        for holder in range(ROUNDS)
        for side in (0, 1)
    ]
    path.write_text(HEADER.strip() + ",holder_id\n" + "".join(rows), encoding="utf-8")
    return path


def _plain(settings: Settings) -> dict[str, Any]:
    """On the ladder on which every card goes its own way."""
    where = {"database_url": settings.database_url, "outbox": settings.outbox}
    return {**where, "doubt_seconds": 0, "ladder": "card-standard@1"}


@pytest.fixture
def strict(settings: Settings, tmp_path: Path) -> Settings:
    """The house lets one person have one text in seven days, over all their cards."""
    policies = policies_with_one_text_a_week(tmp_path)
    return Settings(**_plain(settings), policies=policies)


@pytest.mark.parametrize(("how", "taken"), [("next_move", "intended"), ("advance", "done")])
def test_of_two_processes_that_want_the_last_slot_exactly_one_gets_it(
    strict: Settings, two_cards_each: Path, how: str, taken: str
) -> None:
    results = play(strict, two_cards_each, how)
    assert [result.statuses for result in results] == [sorted(["planned", taken])] * ROUNDS
    assert all(RULE in rules for result in results for rules in result.rules)


def test_without_the_rule_both_cards_may_be_texted(settings: Settings, two_cards_each: Path) -> None:
    """The contest above is a real one: nothing but the cap stands between the second card and its text."""
    free = Settings(**_plain(settings))
    assert [result.statuses for result in play(free, two_cards_each, "next_move")] == [["intended"] * 2] * ROUNDS
