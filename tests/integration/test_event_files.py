"""Every kind of outside fact through a file: good ones count once, bad ones are refused by line and change nothing."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from sqlmodel import select

import models
from arrears.intake.events import KINDS, OPTIONAL, REQUIRED
from arrears.operations import steer
from arrears.operations.services import Services
from arrears.operations.show import show
from arrears.operations.take_file import take_event_file
from tests.conftest import a_row
from tests.integration.stories import Portfolio, at, dump, once_told, take_in, until

COLUMNS = (*REQUIRED, *OPTIONAL)
# One good row of each kind, in an order in which each has something to change.
GOOD: dict[str, dict[str, str]] = {
    "text": {"text": "please call me", "number": "+15185550101"},
    "call": {"outcome": "callback_requested", "by": "C. Ollector", "call_back_at": "2026-09-20T18:00:00Z"},
    "number": {"number": "+12025550143", "good": "true", "why": "skip trace"},
    "contact": {"channel": "call", "direction": "inbound", "outcome": "conversation"},
    "promise": {"amount": "20.00", "due_on": "2026-09-30"},
    "withdrawal": {"of": "good-promise"},
    "plan": {"instalments": "2026-09-30=20.00 2026-10-10=30.00", "misses_allowed": "1"},
    "consent": {"channel": "sms", "evidence": "branch form 7"},
    "revocation": {"channels": "sms call", "how": "by letter"},
    "hold": {"kind": "DISPUTE_OPEN", "evidence": "letter of 1 September", "review_on": "2026-10-01"},
    "release": {"kind": "DISPUTE_OPEN"},
    "charge": {"kind": "fee", "amount": "15.00", "currency": "USD"},
    "leftover": {"waive": "true"},
    "adjustment": {"amount": "-5.00", "currency": "USD"},
    "payment": {"amount": "20.00", "currency": "USD"},
    "reversal": {"of": "good-payment", "amount": "5.00"},
    "returned_mail": {"reference": "THE LETTER", "reason": "moved"},
    "address": {
        "street": "9 Elm Street",
        "city": "Troy",
        "region": "NY",
        "postal_code": "12180",
        "country": "US",
        "why": "found",
    },
    "placement_report": {"placement": "THE PLACEMENT", "report": "objected", "reason": "open_promise"},
    "remittance": {"placement": "THE PLACEMENT", "amount": "50.00", "commission": "10.00", "currency": "USD"},
    "referral_report": {"referral": "THE REFERRAL", "report": "judgment", "detail": "26-CV-1", "amount": "1150.50"},
}
BAD: dict[str, tuple[dict[str, str], str]] = {
    "text": ({"text": "STOP", "number": "555-0101"}, "number: expected a number as"),
    "call": ({"outcome": "laughed", "by": "C. Ollector"}, "outcome: Input should be"),
    "number": ({"number": "+12025550143", "good": "perhaps"}, "good: Input should be a valid boolean"),
    "contact": ({"channel": "pigeon", "direction": "inbound"}, "channel: Input should be"),
    "promise": ({"amount": "0", "due_on": "2026-09-30"}, "the amount of a promise must be above zero"),
    "withdrawal": ({}, "of: Field required"),
    "plan": ({"instalments": "2026-10-10=20.00 2026-09-30=30.00"}, "must come one after another"),
    "consent": ({"channel": "sms"}, "evidence: Field required"),
    "revocation": ({"channels": "sms fax", "how": "by letter"}, "channels.1: Input should be"),
    "hold": ({"kind": "BAD_HAIR_DAY"}, "hold 'BAD_HAIR_DAY' is not known; expected one of"),
    "release": ({"kind": "BAD_HAIR_DAY"}, "hold 'BAD_HAIR_DAY' is not known"),
    "charge": ({"kind": "fee", "amount": "15.00", "currency": "EUR"}, "is kept in USD, not EUR"),
    "leftover": ({"waive": ""}, "waive: Field required"),
    "adjustment": ({"amount": "0.00", "currency": "USD"}, "must not be zero"),
    "payment": ({"amount": "1.234", "currency": "USD"}, "more than the 2 decimals"),
    "reversal": ({"of": "good-payment", "amount": "-5.00"}, "above zero"),
    "returned_mail": ({"reference": "THE LETTER", "reason": "because"}, "reason: Input should be"),
    "address": (
        {"street": "9 Elm Street", "city": "Troy", "postal_code": "12180", "country": "ZZ"},
        "country: expected an ISO 3166 code",
    ),
    "placement_report": (
        {"placement": "THE PLACEMENT", "report": "objected", "reason": "because"},
        "expected one of open_promise, recent_payment",
    ),
    "remittance": (
        {"placement": "THE PLACEMENT", "amount": "50.00", "commission": "50.01", "currency": "USD"},
        "the commission must lie between zero and what was collected",
    ),
    "referral_report": (
        {"referral": "THE REFERRAL", "report": "accepted", "amount": "5.00"},
        "an amount belongs to a judgment, not to accepted",
    ),
}
# A-1 has an open call, A-2 was placed and referred.
OF_THE_SECOND = ("placement_report", "remittance", "referral_report")


def a_file(folder: Path, *rows: dict[str, str]) -> Path:
    path = folder / "events.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def a_fact(event: str, name: str, more: dict[str, str], at: str = "2026-09-18T15:00:00Z") -> dict[str, str]:
    account = "A-2" if event in OF_THE_SECOND else "A-1"
    return {"account_id": account, "event": event, "reference": f"{name}-{event}", "at": at, **more}


def named(services: Services, fact: dict[str, str]) -> dict[str, str]:
    """With the names that the ledger gave to A-1's letter, and to A-2's placement and referral."""
    shown = show(services, "A-2")
    names = {
        "THE LETTER": next(s["reference"] for s in show(services, "A-1")["steps"] if s["rung"] == "letter-1"),
        "THE PLACEMENT": shown["placements"][0]["reference"],
        "THE REFERRAL": shown["referrals"][0]["reference"],
    }
    return {column: names.get(cell, cell) for column, cell in fact.items()}


def work(services: Services, portfolio: Portfolio) -> None:
    """A-1 with an open call task, A-2 with an agency and then before a court."""

    def tell() -> None:
        take_in(services, portfolio(a_row("A-1"), a_row("A-2", due_date="2026-05-20", phone="+15185550102")))
        until(services, 46)
        steer.approve(services, "A-2", "legal-1", by="A. Counsel", at=at(services))
        until(services, 48)

    once_told("called, and before a court", services, tell)


@pytest.fixture
def worked(services: Services, portfolio: Portfolio) -> Services:
    work(services, portfolio)
    return services


def test_there_is_a_good_row_and_a_bad_one_of_every_kind() -> None:
    assert set(GOOD) == set(BAD) == set(KINDS)


def test_a_good_row_of_each_kind_counts_once(worked: Services, tmp_path: Path) -> None:
    facts = [named(worked, a_fact(event, "good", more)) for event, more in GOOD.items()]
    taken = take_event_file(worked, a_file(tmp_path, *facts), who="test")
    assert (taken.rejected, len(taken.touched), taken.already) == ([], len(GOOD), 0)
    shown = show(worked, "A-1")
    assert shown["balance"]["amount"] == "1195.50", "1200.50 + 15.00 - 5.00 - 20.00 + 5.00"
    with worked.ledger.read() as session:
        account = session.get_one(models.Account, "A-1")
        assert account.phones == ["+15185550101", "+12025550143"]
        assert "US-DC" in account.jurisdictions, "the law of the new number's place counts from now on"
        second = show(worked, "A-2")
        assert second["balance"]["amount"] == "1150.50", "what the agency collected is the holder's payment"
        assert (second["placements"][0]["remitted"], second["placements"][0]["commission"]) == ("50.00", "10.00")
        assert second["referrals"][0]["judgment"] == "1150.50"
        kinds = {item.kind for item in session.exec(select(models.WorkItem))}
        assert kinds == {"callback", "dispute", "address", "documents"}
    before = dump(worked)
    again = take_event_file(worked, a_file(tmp_path, *facts), who="test")
    assert (again.rejected, again.touched, again.already) == ([], [], len(GOOD))
    assert dump(worked) == before


def test_a_bad_row_of_each_kind_is_refused_by_line_and_changes_nothing(worked: Services, tmp_path: Path) -> None:
    before = dump(worked)
    for event, (more, reason) in BAD.items():
        unknown = named(worked, a_fact(event, "good", GOOD[event])) | {"account_id": "A-9"}
        path = a_file(tmp_path, named(worked, a_fact(event, "bad", more)), unknown)
        taken = take_event_file(worked, path, who="test")
        assert [row.line for row in taken.rejected] == [2, 3]
        assert reason in taken.rejected[0].reason
        assert taken.rejected[1].reason == "account 'A-9' is not in the ledger"
        refused = path.with_name("events.csv.rejected.csv").read_text(encoding="utf-8")
        assert refused.startswith("line,reason,account_id,event")
    assert dump(worked) == before


def test_a_cell_that_slipped_is_not_repeated_in_the_reason(worked: Services, tmp_path: Path) -> None:
    slipped = {"account_id": "A-1", "event": "Ann Example", "reference": "x", "at": "+15185550101"}
    [row] = take_event_file(worked, a_file(tmp_path, slipped), who="test").rejected
    assert row.reason.startswith("event: expected one of address, adjustment, call")
    assert "Ann" not in row.reason


def test_a_release_that_comes_before_its_hold_waits_for_it(worked: Services, tmp_path: Path) -> None:
    hold = a_fact("hold", "x", {"kind": "DISPUTE_OPEN"}, at="2026-09-17T10:00:00Z")
    release = a_fact("release", "x", {"kind": "DISPUTE_OPEN"}, at="2026-09-17T12:00:00Z")
    for fact in (release, hold):
        assert take_event_file(worked, a_file(tmp_path, fact), who="test").touched == ["A-1"]
    assert show(worked, "A-1")["holds"] == []


def test_what_lies_in_the_future_is_refused(worked: Services, tmp_path: Path) -> None:
    before = dump(worked)
    fact = a_fact("payment", "early", GOOD["payment"], at="2062-09-18T15:00:00Z")
    [row] = take_event_file(worked, a_file(tmp_path, fact), who="test").rejected
    assert row.reason == "at 2062-09-18T15:00:00Z lies in the future"
    assert dump(worked) == before


def test_a_rehearsal_takes_nothing(worked: Services, tmp_path: Path) -> None:
    before = dump(worked)
    path = a_file(tmp_path, a_fact("payment", "good", GOOD["payment"]), a_fact("payment", "bad", {"amount": "x"}))
    taken = take_event_file(worked, path, who="test", dry_run=True)
    assert (taken.rows, len(taken.rejected), taken.touched) == (2, 1, [])
    assert dump(worked) == before
    assert not path.with_name("events.csv.rejected.csv").exists()
