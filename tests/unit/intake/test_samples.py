"""The sample files: they go in whole, and nobody could be rung up by them."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from arrears.engine.contact.facts import ContactChannel
from arrears.engine.contact.replies import read_reply
from arrears.engine.money import Money
from arrears.engine.vocabulary import ChannelName, Disposition
from arrears.intake.portfolio import PortfolioRow
from arrears.policies.hold_kinds import HoldKind
from arrears.policies.ladders import load_ladders
from arrears.settings import ROOT
from tests.builders import shipped_rules
from tests.unit.intake.files import payments, portfolio

DEMO = ROOT / "demo"

# Kept for fiction by their regulators: 555-01XX in the North American plan, Ofcom's and the
# Bundesnetzagentur's drama numbers. India and China keep none: these begin as no subscriber's number does.
_FICTION = re.compile(
    r"\+1\d{3}55501\d{2}|\+442079460\d{3}|\+447700900\d{3}|\+493023125\d{3}|\+915550100\d{3}|\+8610001000\d{3}"
)

# What a promise or plan is about: an amount, and in how many days.
_AGREED = re.compile(r"\d+\.\d\d in \d+ days")

_AREA_CODES = {
    "AZ": {"602"},
    "CA": {"310", "415"},
    "CO": {"303"},
    "FL": {"305", "850"},
    "HI": {"808"},
    "IL": {"312"},
    "MA": {"617"},
    "NY": {"212"},
    "TX": {"512", "915"},
    "WA": {"206"},
}


@dataclass(frozen=True)
class Event:
    """One line of life.csv; `detail` is what stands before a space, `more` what stands after it."""

    day: float
    account_id: str
    event: str
    detail: str
    more: str


def life() -> list[Event]:
    """What happens along the way, in the file's order."""
    with (DEMO / "life.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [Event(float(r["day"]), r["account_id"], r["event"], *(*r["detail"].split(" ", 1), "")[:2]) for r in rows]


def of(event: str) -> set[str]:
    """The accounts to which it happens."""
    return {it.account_id for it in life() if it.event == event}


def money(it: Event, account: PortfolioRow) -> Money:
    """What is paid, in the account's currency."""
    return account.balance if it.detail == "all" else Money.parse(it.detail, account.balance.currency)


def paid(account: PortfolioRow) -> int:
    """Minor units paid over the whole sample life."""
    payments_made = [it for it in life() if (it.event, it.account_id) == ("payment", account.account_id)]
    return sum(money(it, account).amount for it in payments_made)


def test_the_sample_portfolio_goes_in_whole() -> None:
    taken, rejected = portfolio(DEMO / "portfolio.csv")
    assert rejected == []
    assert len(taken) == 20
    assert {row.country for row in taken} == {"US", "GB", "DE", "IN", "CN"}
    states = {row.region for row in taken if row.country == "US"}
    assert states == {"NY", "CA", "TX", "FL", "IL", "WA", "MA", "HI", "AZ", "CO"}
    assert all(180 <= Decimal(row.balance.decimal_text()) <= 9400 for row in taken)
    assert {row.creditor for row in taken} == {"Example Bank"}
    assert all(row.zones for row in taken)


def test_most_sample_accounts_are_due_on_the_day_the_demo_starts() -> None:
    overdue = [(date(2026, 8, 1) - row.due_date).days for row in portfolio(DEMO / "portfolio.csv")[0]]
    assert overdue.count(0) > 10
    assert max(overdue) == 20
    assert overdue.count(-24) == 1
    assert all(-3 <= days <= 20 for days in overdue if days != -24)


def test_sample_numbers_are_those_kept_for_fiction() -> None:
    assert [r.phone for r in portfolio(DEMO / "portfolio.csv")[0] if not _FICTION.fullmatch(r.phone)] == []


def test_sample_numbers_ring_where_their_holders_live_but_for_one_who_moved_and_kept_hers() -> None:
    elsewhere = [
        row.account_id
        for row in portfolio(DEMO / "portfolio.csv")[0]
        if row.country == "US" and not row.time_zone and row.phone[2:5] not in _AREA_CODES[row.region]
    ]
    assert elsewhere == ["EB-1010"]


def test_the_sample_payments_go_in_whole_and_pay_sample_accounts() -> None:
    taken, rejected = payments(DEMO / "payments.csv")
    assert rejected == []
    assert {p.account_id for p in taken} <= {row.account_id for row in portfolio(DEMO / "portfolio.csv")[0]}


def test_every_event_of_the_sample_life_is_one_that_the_trade_knows() -> None:
    accounts = {row.account_id: row for row in portfolio(DEMO / "portfolio.csv")[0]}
    ladder = load_ladders(ROOT / "policies" / "ladders").find("card-standard")
    assert ladder is not None
    for it in life():
        account = accounts[it.account_id]
        match it.event:
            case "payment":
                assert 0 < money(it, account).amount <= account.balance.amount
            case "call":
                assert it.detail in set(Disposition)
                assert not it.more or (it.detail == "promise" and _AGREED.fullmatch(it.more))
            case "plan":
                assert _AGREED.fullmatch(f"{it.detail} {it.more}")
            case "hold" | "release":
                assert it.detail in set(HoldKind)
                assert not it.more or it.more in set(ChannelName)
            case "reply":
                assert it.detail
            case "approve":
                assert it.detail in ladder.by_name
                assert it.more.startswith("by ")
            case other:
                raise AssertionError(other)


def test_the_sample_life_is_told_day_by_day() -> None:
    days = [it.day for it in life()]
    assert days == sorted(days)


def test_every_sample_account_pays_is_held_or_is_approved_for_court() -> None:
    released = {(it.account_id, it.detail) for it in life() if it.event == "release"}
    kept = {it.account_id for it in life() if it.event == "hold" and it.detail != "CHANNEL_OPTOUT"}
    held = kept - {account_id for account_id, _ in released}
    clears = {row.account_id for row in portfolio(DEMO / "portfolio.csv")[0] if paid(row) >= row.amount_due.amount}
    everybody = {row.account_id for row in portfolio(DEMO / "portfolio.csv")[0]}
    assert of("approve") == everybody - clears - held
    assert len(clears) >= 5
    assert len(of("approve")) >= 8


def test_in_the_sample_life_a_dispute_ends_after_twenty_days_and_vulnerability_does_not() -> None:
    (disputed,) = [it for it in life() if (it.event, it.detail) == ("hold", "DISPUTE_OPEN")]
    (settled,) = [it for it in life() if it.event == "release"]
    assert (settled.account_id, settled.detail, settled.day - disputed.day) == (disputed.account_id, "DISPUTE_OPEN", 20)
    assert [it.day for it in life() if it.detail == "VULNERABLE"]


def test_in_the_sample_life_a_plan_is_kept_and_a_stop_names_its_channel() -> None:
    (plan,) = [it for it in life() if it.event == "plan"]
    payment = [it for it in life() if (it.event, it.account_id) == ("payment", plan.account_id)][-1]
    assert plan.day < payment.day < plan.day + 33
    assert (plan.detail, plan.more) == (payment.detail, "in 33 days")
    (reply,) = [f"{it.detail} {it.more}" for it in life() if it.event == "reply"]
    keywords = [rule for pack in shipped_rules().matching(("US",)) for rule in pack.keywords]
    assert read_reply(reply, keywords).channels == {ContactChannel.SMS}
