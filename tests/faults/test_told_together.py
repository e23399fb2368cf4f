"""Killed at any instant, a text that tells about two cards is sent once, and both know it."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlmodel import select

import models
from arrears.operations.enroll import enroll
from arrears.operations.services import Services
from tests.conftest import HEADER, a_row
from tests.support.audit import books_of, effects_of, step_and_case, told_of
from tests.support.landings import BEGINS
from tests.support.mortals import Mortals, Order, drive

pytestmark = pytest.mark.faults

DUE = BEGINS + timedelta(days=1, hours=4)
PEOPLE = 10


@pytest.fixture
def couples(services: Services, tmp_path: Path) -> Services:
    """Ten people with two cards each, whose first texts are due."""
    rows = (
        a_row(f"P{person}-{side}", phone=f"+1212555{person:04d}").strip() + f",P{person}\n"
        for person in range(PEOPLE)
        for side in (0, 1)
    )
    portfolio = tmp_path / "couples.csv"
    portfolio.write_text(HEADER.strip() + ",holder_id\n" + "".join(rows), encoding="utf-8")
    enroll(services, portfolio, at=BEGINS, who="test", driver="sweep", virtual=True)
    return services


def test_a_text_about_two_cards_is_sent_once_wherever_its_process_is_killed(couples: Services, mortals: Mortals):
    settings = {name: str(getattr(couples.settings, name)) for name in ("database_url", "outbox")}
    command = Order({**settings, "doubt_seconds": 0}, "timeline", DUE.isoformat())
    seen: set[str] = set()
    # Every other boundary on each database: all of them on one or the other.
    for person, at in zip(range(PEOPLE), count(1 if couples.ledger.on_sqlite else 2, 2), strict=False):
        first, second = f"P{person}-0", f"P{person}-1"
        killed = mortals.run(Order(command.settings, "timeline", command.until, account=first, at=at))
        # Whoever comes next may come to either card.
        for account in (second, first) if person % 2 else (first, second):
            drive(couples, Order(command.settings, "timeline", command.until, account=account))
        _told_once(couples, first, second)
        if killed.how == "unharmed":
            break
        seen.add(killed.last)
    else:
        raise AssertionError("more boundaries than people")
    assert seen >= ({"before the effect"} if couples.ledger.on_sqlite else {"before a commit", "after a commit"})


def _told_once(services: Services, *accounts: str) -> None:
    books = books_of(services)
    steps = [step_and_case(books, account, "sms-1")[0] for account in accounts]
    assert [step.status for step in steps] == ["done", "done"]
    [carrier] = [step for step in steps if not step.carried_by]
    [told] = [step for step in steps if step.carried_by]
    assert (told.carried_by, told.proof, told.at) == (carrier.reference, carrier.proof, carrier.at)
    assert (effects_of(books, carrier), effects_of(books, told)) == (1, 0)
    for step in steps:
        events = told_of(books, step)
        assert events["done"] == 1
        assert events["intended"] == 1 + events["put back"]
    with services.ledger.read() as session:
        cases = session.exec(select(models.Case).where(models.Case.account_id == told.account_id)).all()
    assert [(case.stage, case.retry_at, case.next_rung) for case in cases] == [("sms", None, "sms-2")]
