"""Mail that came back: no letter goes there any more, whichever way it is told, until an address is known."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from sqlmodel import select

import models
from arrears.clock import VirtualClock
from arrears.engine.vocabulary import ReturnReason
from arrears.operations.brakes import Budget
from arrears.operations.mail import found, returned
from arrears.operations.moves import Intended, next_move
from arrears.operations.perform import carry_out
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services
from arrears.operations.show import show
from arrears.operations.take_file import take_returned_file
from tests.conftest import START, a_row
from tests.integration.stories import Portfolio, dump, last, once_told, take_in, until

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NEW_HOME = {"street": "9 Elm Street", "city": "Troy", "region": "NY", "postal_code": "12180", "country": "US"}


@pytest.fixture
def written(services: Services, portfolio: Portfolio) -> Services:
    """The first letter has gone out."""

    def tell() -> None:
        take_in(services, portfolio())
        until(services, 46)

    once_told("written to", services, tell)
    return services


def back(services: Services, letter: str, reason: ReturnReason = ReturnReason.MOVED, day: float = 47) -> bool:
    return returned(services, letter, reason, at=START + timedelta(days=day), source="test", who="test").new


def moved(services: Services, reference: str = "T-1", day: float = 63, **other: str) -> bool:
    at = START + timedelta(days=day)
    told = {"reference": reference, "at": at, "source": "test", "who": "test", "why": "skip trace"}
    return found(services, "A-1", **(NEW_HOME | other), **told).new  # type: ignore[arg-type]


def letters(services: Services) -> list[tuple[str, str]]:
    return [(s["rung"], s["status"]) for s in show(services, "A-1")["steps"] if s["channel"] == "letter"]


def address_of(services: Services, rung: str) -> dict[str, str]:
    with services.ledger.read() as session:
        step = session.exec(select(models.Step).where(models.Step.rung == rung, models.Step.status == "done")).one()
    return step.payload["context"]["address"]


def test_no_letter_goes_to_an_address_that_mail_came_back_from_until_another_is_known(written: Services) -> None:
    letter = last(written, "letter-1")["reference"]
    assert back(written, letter)
    assert not back(written, letter), "once by the letter"
    until(written, 62)
    shown = show(written, "A-1")
    assert letters(written) == [("letter-1", "done")]
    assert "letter-2 waits for an address: mail came back from the one we have" in shown["next"]["reason"]
    assert shown["mail"] == {
        "address": "bad",
        "returned": [{"letter": letter, "on": "2026-09-17", "reason": "moved"}],
    }
    [item] = waiting_for_people(written)
    assert item.reason == f"letter {letter} came back (moved): find the address, `arrears address A-1`"
    assert moved(written)
    assert not moved(written)
    assert waiting_for_people(written) == [], "the search is over"
    until(written, 65)
    assert letters(written) == [("letter-1", "done"), ("letter-2", "done")]
    assert address_of(written, "letter-2") == NEW_HOME
    assert show(written, "A-1")["mail"]["address"] == "good"


@on_sqlite
def test_a_notice_that_must_be_served_holds_back_what_needs_it_and_a_person_is_told(written: Services) -> None:
    back(written, last(written, "letter-1")["reference"])
    until(written, 110)
    assert ("agency-1", "done") not in [(step["rung"], step["status"]) for step in show(written, "A-1")["steps"]]
    assert any("find the address" in each.reason for each in waiting_for_people(written))
    moved(written, day=110)
    until(written, 125)
    assert ("agency-1", "done") in [(s["rung"], s["status"]) for s in show(written, "A-1")["steps"]]


@on_sqlite
@pytest.mark.parametrize("reason", [ReturnReason.REFUSED, ReturnReason.UNCLAIMED])
def test_who_refuses_a_letter_lives_there(written: Services, reason: ReturnReason) -> None:
    back(written, last(written, "letter-1")["reference"], reason)
    assert show(written, "A-1")["mail"]["address"] == "good"
    assert waiting_for_people(written) == []
    until(written, 62)
    assert ("letter-2", "done") in letters(written)


@on_sqlite
def test_in_whatever_order_they_are_told_the_latest_address_counts_and_only_its_own_mail_spoils_it(
    services: Services, portfolio: Portfolio
) -> None:
    orders = {f"A-{n}": order for n, order in enumerate(permutations(("back", "first move", "second move")))}
    take_in(services, portfolio(*(a_row(account, phone=f"+1518555020{account[-1]}") for account in orders)))
    until(services, 46)
    ends: set[str] = set()
    for account, order in orders.items():
        letter = next(s["reference"] for s in show(services, account)["steps"] if s["rung"] == "letter-1")
        for what in order:
            if what == "back":
                back(services, letter)
                continue
            day, street = (48.0, "1 Old Lane") if what == "first move" else (50.0, "2 New Lane")
            told = {"at": START + timedelta(days=day), "why": "", "source": "test", "who": "test"}
            found(services, account, **(NEW_HOME | {"street": street}), reference=f"{account}/{what}", **told)  # type: ignore[arg-type]
        with services.ledger.read() as session:
            row = session.get_one(models.Account, account)
        mail = show(services, account)["mail"]["address"]
        ends.add(f"{row.street}, {row.opening_address}, {sorted(row.zones)}, {sorted(row.jurisdictions)}, {mail}")
    [end] = ends
    assert end.startswith("2 New Lane, 1 main street|albany")
    assert end.endswith("good")


@on_sqlite
def test_the_same_address_may_be_found_good_again(written: Services) -> None:
    back(written, last(written, "letter-1")["reference"])
    home = {"street": "1 Main Street", "city": "Albany", "region": "NY", "postal_code": "12207"}
    assert moved(written, **home)
    assert show(written, "A-1")["mail"]["address"] == "good"


def test_the_lenders_next_file_may_bring_the_address_but_not_the_old_one_again(
    written: Services, portfolio: Portfolio
) -> None:
    back(written, last(written, "letter-1")["reference"])
    same = take_in(written, portfolio(a_row()), at=START + timedelta(days=48))
    assert (same.moved, same.already) == (0, 1)
    other = a_row(street="9 Elm Street", city="Troy", postal_code="12180")
    at = START + timedelta(days=49)
    assert take_in(written, portfolio(other), at=at, dry_run=True).moved == 1
    assert take_in(written, portfolio(other), at=at).moved == 1
    assert take_in(written, portfolio(other), at=at).moved == 0
    assert take_in(written, portfolio(a_row()), at=at + timedelta(days=1)).moved == 0, "an old file says nothing new"
    assert show(written, "A-1")["mail"]["address"] == "good"
    until(written, 62)
    assert address_of(written, "letter-2")["street"] == "9 Elm Street"


@on_sqlite
def test_all_that_a_person_has_at_the_address_waits(services: Services, portfolio: Portfolio) -> None:
    rows = [a_row(account, holder_id="H-1") for account in ("A-1", "A-2")]
    path = portfolio(*rows)
    path.write_text(path.read_text().replace("currency\n", "currency,holder_id\n", 1))
    take_in(services, path)
    until(services, 46)
    both = [show(services, account)["steps"][-1] for account in ("A-1", "A-2")]
    letter = next(s["carried_by"] or s["reference"] for s in both if s["rung"] == "letter-1")
    back(services, letter)
    assert [show(services, account)["mail"]["address"] for account in ("A-1", "A-2")] == ["bad", "bad"]
    assert len(waiting_for_people(services)) == 1, "one person, one search"


@on_sqlite
def test_mail_that_comes_back_between_intent_and_effect_stops_it(written: Services) -> None:
    letter = last(written, "letter-1")["reference"]
    house = written.at(VirtualClock(START + timedelta(days=60, hours=2)))
    until(written, 59.9)
    move = next_move(house, "A-1", who="test", budget=Budget())
    assert isinstance(move, Intended)
    assert move.intent.rung == "letter-2"
    back(house, letter)
    assert carry_out(house, move.intent, move.channel, who="test") == "planned"
    until(written, 62)
    assert ("letter-2", "done") not in letters(written)


@on_sqlite
def test_a_file_takes_good_rows_once_and_refuses_bad_ones_by_line_and_reason(written: Services, tmp_path: Path) -> None:
    letter = last(written, "letter-1")["reference"]
    path = tmp_path / "returned.csv"
    path.write_text(
        "reference,returned_on,reason\n"
        f"{letter.lower()},2026-09-17,No such address\n"
        "ZZZZZZZZ,2026-09-17,moved\n"
        f"{letter},17/09/2026,moved\n"
        f"{letter},2026-09-17,gone fishing\n"
        f"{letter},2026-08-01,moved\n"
        f"{letter},2026-09-17,moved\n"
    )
    before = dump(written)
    assert take_returned_file(written, path, who="test", dry_run=True).rows == 6
    assert dump(written) == before
    taken = take_returned_file(written, path, who="test")
    assert taken.touched == ["A-1"]
    for row, (line, reason) in zip(
        taken.rejected,
        [
            (3, "there is no letter with the reference 'ZZZZZZZZ'"),
            (4, "returned_on '17/09/2026' is no date"),
            (5, "reason is not known; expected one of moved, unknown"),
            (6, f"letter {letter} was sent on 2026-09-15, after it is said to have come back"),
            (7, f"reference '{letter}' was already used for another returned_mail"),
        ],
        strict=True,
    ):
        assert row.line == line
        assert row.reason.startswith(reason)
    assert (tmp_path / "returned.csv.rejected.csv").read_text().count("\n") == 6
    again = take_returned_file(written, path, who="test")
    assert (again.touched, again.already) == ([], 1)
