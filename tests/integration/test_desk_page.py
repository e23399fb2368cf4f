"""The holder's page over real HTTP: what it shows, what each form does, once, and what a bad one is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select

import models
from arrears.operations.links import Purpose, make_mark
from arrears.operations.pay import pay
from arrears.operations.services import Services, ledger_clock
from arrears.operations.show import show
from tests.integration.stories import Portfolio, at, dump, last, steps, take_in, until
from tests.support.desk_server import serving
from tests.support.ledgers import sqlite_ledger


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What the page shows and asks for turns on no database."""
    return sqlite_ledger(tmp_path / "ledger.db")


@dataclass
class Browser:
    """A browser at the link of the first text, following where it is sent."""

    services: Services
    link: str
    # Making a client takes longer than all else here.
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    def look(self) -> httpx.Response:
        return self.client.get(self.link)

    def send(self, form: str, *, nonce: str = "", **fields: Any) -> httpx.Response:
        found = re.search(r'name="nonce" value="([0-9a-f]{16})"', self.look().text)
        assert found
        fields = {"nonce": nonce or found[1], **fields}
        return self.client.post(f"{self.link}/{form}", data=fields, follow_redirects=True)


@pytest.fixture
def browser(services: Services, portfolio: Portfolio) -> Iterator[Browser]:
    take_in(services, portfolio())
    until(services, 2)
    with serving(services) as (house, address):
        yield Browser(house, f"{address}/a/{a_mark(house)}")


def a_mark(house: Services, *, days: int = 30, purpose: Purpose = Purpose.HOLDER) -> str:
    expires = ledger_clock(house).now() + timedelta(days=days)
    return make_mark(house.settings, purpose, last(house, "sms-1")["reference"], expires=expires)


def work(services: Services) -> list[tuple[str, str]]:
    with services.ledger.read() as session:
        return [(item.kind, item.note) for item in session.exec(select(models.WorkItem))]


def test_the_page_shows_what_is_owed_and_nothing_of_who_owes_it(browser: Browser) -> None:
    before = dump(browser.services)
    page = browser.look()
    assert page.status_code == 200
    for shown in ("$120.00", "August 1, 2026", "$1,200.50", "Example Bank"):
        assert shown in page.text
    for hidden in ("Ann", "Example St", "Main Street", "5185550101", "A-1", "12207", "<script"):
        assert hidden not in page.text
    assert dump(browser.services) == before, "messaging programs open links to preview them"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")


def test_a_promise_on_the_page_pauses_the_ladder_and_a_reload_makes_no_second(browser: Browser) -> None:
    day = date(2026, 8, 20)
    said = browser.send("promise", amount="$1,20.00".replace(",", ""), due_on=day.isoformat(), nonce="0" * 16)
    assert (said.status_code, "Your promise is recorded" in said.text) == (200, True)
    assert "You promised" in said.text
    again = browser.send("promise", amount="120.00", due_on=day.isoformat(), nonce="0" * 16)
    assert again.status_code == 200
    [promise] = show(browser.services, "A-1")["arrangements"]
    assert (promise["amount"], promise["due_on"], promise["status"]) == ("120.00", "2026-08-20", "open")
    assert show(browser.services, "A-1")["status"] == "held"


IMPOSSIBLE: list[tuple[dict[str, str], str]] = [
    ({"amount": "lots", "due_on": "2026-08-20"}, "We could not read the amount"),
    ({"amount": "", "due_on": "2026-08-20"}, "We could not read the amount"),
    ({"amount": "1e5", "due_on": "2026-08-20"}, "We could not read the amount"),
    ({"amount": "50.00", "due_on": "soon"}, "Please choose a day"),
    ({"amount": "50.00"}, "Please choose a day"),
    ({"amount": "50.00", "due_on": "2026-08-01"}, "the promise is for 2026-08-01, which is past"),
    ({"amount": "50.00", "due_on": "2027-08-01"}, "none further away than 45 days"),
    ({"amount": "0.00", "due_on": "2026-08-20"}, "must be above zero"),
    ({"amount": "0.001", "due_on": "2026-08-20"}, "more than the 2 decimals"),
    ({"amount": "50.00", "due_on": "2026-08-20", "nonce": "short"}, "This form was too old"),
]


def test_a_promise_that_cannot_be_is_told_so_and_changes_nothing(browser: Browser) -> None:
    before = dump(browser.services)
    for fields, told in IMPOSSIBLE:
        page = browser.send("promise", **fields)
        assert (page.status_code, told in page.text, 'role="alert"' in page.text) == (422, True, True), fields
    assert dump(browser.services) == before


def test_a_dispute_stops_everything_about_this_debt_until_a_person_has_looked(browser: Browser) -> None:
    page = browser.send("dispute", words="I never had\nthis <card>")
    assert "while a person looks into" in page.text
    assert show(browser.services, "A-1")["holds"][0]["kind"] == "DISPUTE_OPEN"
    assert work(browser.services) == [("dispute", "on the holder's page: I never had this <card>")]
    until(browser.services, 60)
    assert steps(browser.services) == [("sms-1", "done")]


def test_who_asks_for_time_gets_thirty_days_at_once_and_a_person_after_that(browser: Browser) -> None:
    assert "we will not press you" in browser.send("time", words="I lost my job").text
    assert browser.send("time", words="still").status_code == 200
    [hold] = show(browser.services, "A-1")["holds"]
    assert hold["kind"] == "HARDSHIP"
    assert [kind for kind, _ in work(browser.services)] == ["hardship", "hardship"]
    until(browser.services, 31)
    assert steps(browser.services) == [("sms-1", "done")]
    until(browser.services, 34)
    assert len(steps(browser.services)) > 1


def test_a_channel_is_closed_by_ticking_it_and_one_must_be_ticked(browser: Browser) -> None:
    assert "at least one way of contact" in browser.send("stop").text
    assert "at least one way of contact" in browser.send("stop", channel="letter").text
    page = browser.send("stop", channel=["sms", "call"])
    assert "You will not hear from us that way any more" in page.text
    assert "Text messages (stopped)" in page.text
    assert sorted(hold["channel"] for hold in show(browser.services, "A-1")["holds"]) == ["call", "sms"]


def test_a_paid_account_says_so_and_takes_no_promise(browser: Browser) -> None:
    pay(browser.services, "A-1", "120.00", reference="P-1", at=at(browser.services), source="test", who="test")
    page = browser.look()
    assert "Nothing is past due" in page.text
    assert "Promise to pay" not in page.text
    assert browser.send("promise", amount="10.00", due_on="2026-08-20").status_code == 422


def test_an_expired_link_a_changed_one_and_one_for_another_purpose_open_nothing(browser: Browser) -> None:
    house, before = browser.services, dump(browser.services)
    address = browser.link.rpartition("/")[0]
    expired = httpx.get(f"{address}/{a_mark(house, days=-1)}", timeout=60)
    assert (expired.status_code, "has expired" in expired.text) == (410, True)
    whole = a_mark(house)
    changed = [
        whole[:place] + ("A" if whole[place] != "A" else "B") + whole[place + 1 :] for place in range(0, len(whole), 3)
    ]
    for mark in (*changed, a_mark(house, purpose=Purpose.STATUS), "x", "%00", "é", whole + "=", "a.b.c"):
        for answer in (
            browser.client.get(f"{address}/{mark}"),
            browser.client.post(f"{address}/{mark}/dispute", data={"nonce": "0" * 16}),
        ):
            assert answer.status_code == 404, mark
    assert dump(house) == before


def test_a_link_works_for_the_days_it_was_given(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio())
    until(services, 2)
    with serving(services) as (house, address):
        link = f"{address}/a/{a_mark(house)}"
        until(services, 4)
        assert httpx.get(link, timeout=60).status_code == 200
        until(services, 33)
        assert httpx.get(link, timeout=60).status_code == 410
