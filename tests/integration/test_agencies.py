"""Accounts at an agency: what it reports, what comes back, and the files in which recalls leave."""

from __future__ import annotations

import csv
import json
from datetime import date, timedelta
from typing import Any

import pytest
from sqlmodel import select

import models
from arrears.clock import VirtualClock
from arrears.engine.life.events import Billed
from arrears.engine.life.placements import PlacementReport, ReferralReport
from arrears.engine.vocabulary import Party
from arrears.ledger.cases import read_case_file
from arrears.operations import steer
from arrears.operations.agencies import (
    ReportRefused,
    all_placements,
    recall_by_hand,
    remit,
    report_placement,
    report_referral,
)
from arrears.operations.brakes import Budget
from arrears.operations.hold import hold
from arrears.operations.inbox import receive
from arrears.operations.pay import pay
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services
from arrears.operations.show import show
from arrears.operations.sweep import sweep
from tests.conftest import START
from tests.integration.stories import Portfolio, at, dump, once_told, take_in, until

PLACED_ON = 92


@pytest.fixture
def placed(services: Services, portfolio: Portfolio) -> Services:
    """A-1, with the agency for about a day."""

    def tell() -> None:
        take_in(services, portfolio())
        until(services, PLACED_ON)

    once_told("placed", services, tell)
    assert show(services, "A-1")["placements"][0]["status"] == "placed"
    return services


def the_placement(services: Services) -> dict[str, Any]:
    return show(services, "A-1")["placements"][0]


def told(services: Services, report: str, reference: str = "AG-1", **more: Any) -> bool:
    placement = the_placement(services)["reference"]
    return report_placement(
        services,
        placement,
        PlacementReport(report),
        reference=reference,
        at=at(services),
        source="test",
        who="test",
        **more,
    ).new


def recalls(services: Services) -> list[tuple[str, str, str]]:
    """Every line of every recall file: account, pending or final, why."""
    found: list[tuple[str, str, str]] = []
    for path in sorted(services.settings.outbox.glob("agency/*/*.recalls.csv")):
        rows = list(csv.DictReader(path.open(encoding="utf-8-sig")))
        manifest = json.loads(path.with_suffix(".manifest.json").read_text())
        assert (manifest["format"], manifest["count"]) == ("arrears-recall/1", len(rows))
        found += [(row["account_id"], row["recall"], row["reason"]) for row in rows]
    return found


def actor(services: Services) -> Party:
    with services.ledger.read() as session:
        return read_case_file(session, "A-1").actor


def test_a_paid_account_is_called_back_finally_by_the_next_sweep(placed: Services) -> None:
    assert actor(placed) is Party.THIRD
    pay(placed, "A-1", "120.00", reference="P-1", at=at(placed), source="test", who="test")
    assert the_placement(placed)["status"] == "recalled"
    assert recalls(placed) == [], "written when whoever drives comes to rest"
    sweep(placed.at(VirtualClock(at(placed))), who="test", budget=Budget())
    assert recalls(placed) == [("A-1", "final", "paid")]
    assert actor(placed) is Party.FIRST
    until(placed, 400)
    assert recalls(placed) == [("A-1", "final", "paid")], "once"


def test_a_hold_that_stops_everything_calls_the_account_back(placed: Services) -> None:
    hold(placed, "A-1", "BANKRUPTCY_STAY", at=at(placed), until=None, channel=None, who="test")
    until(placed, PLACED_ON + 1)
    assert recalls(placed) == [("A-1", "final", "held")]


def test_an_opt_out_from_texts_does_not(placed: Services) -> None:
    hold(placed, "A-1", "CHANNEL_OPTOUT", at=at(placed), until=None, channel="sms", who="test")
    until(placed, PLACED_ON + 10)
    assert recalls(placed) == []


def test_without_result_the_agency_is_asked_and_five_days_later_it_is_final(placed: Services) -> None:
    placed_at = the_placement_at(placed)
    days = (placed_at + timedelta(days=180) - START).days
    until(placed, days)
    assert recalls(placed) == []
    until(placed, days + 2)
    assert (recalls(placed), the_placement(placed)["status"]) == ([("A-1", "pending", "no result")], "recalling")
    assert actor(placed) is Party.THIRD
    until(placed, days + 7)
    assert recalls(placed) == [("A-1", "pending", "no result"), ("A-1", "final", "no result")]


def the_placement_at(services: Services) -> Any:
    return all_placements(services, limit=1)[0][0].at


def test_an_objection_in_time_keeps_the_account_for_thirty_days(placed: Services) -> None:
    days = (the_placement_at(placed) + timedelta(days=182) - START).days
    until(placed, days)
    assert told(placed, "objected", reason="open_promise")
    until(placed, days + 20)
    assert len(recalls(placed)) == 1
    until(placed, days + 32)
    assert recalls(placed)[-1] == ("A-1", "final", "no result")


def test_a_refused_account_is_the_banks_again_and_a_person_hears_of_it(placed: Services) -> None:
    assert told(placed, "acknowledged", "AG-0")
    assert told(placed, "refused", reason="out of area")
    assert not told(placed, "refused", reason="out of area")
    assert (the_placement(placed)["status"], actor(placed)) == ("refused", Party.FIRST)
    assert "placement" in [item.reason for item in waiting_for_people(placed)]
    until(placed, 300)
    assert recalls(placed) == []


def test_a_remittance_is_the_holders_payment_once_and_keeps_the_commission(placed: Services) -> None:
    placement = the_placement(placed)["reference"]
    for _ in range(2):
        remit(placed, placement, "50.00", "12.50", reference="RM-1", at=at(placed), source="test", who="test")
    assert show(placed, "A-1")["balance"]["amount"] == "1150.50"
    assert (the_placement(placed)["remitted"], the_placement(placed)["commission"]) == ("50.00", "12.50")
    before = dump(placed)
    for gross, commission in (("50.00", "50.01"), ("50.00", "-1.00"), ("0.00", "0.00")):
        with pytest.raises(ReportRefused if gross != "0.00" else Exception):
            remit(placed, placement, gross, commission, reference="RM-2", at=at(placed), source="test", who="test")
    assert dump(placed) == before


def test_an_account_that_the_agency_collected_in_full_is_not_called_back_by_hand_again(placed: Services) -> None:
    placement = the_placement(placed)["reference"]
    closed = remit(placed, placement, "120.00", "30.00", reference="RM-1", at=at(placed), source="test", who="test")
    assert closed.closed
    assert not recall_by_hand(placed, placement, why="asked for", at=at(placed), who="test")
    with pytest.raises(ReportRefused, match="no placement 'NOTHING'"):
        recall_by_hand(placed, "NOTHING", why="asked for", at=at(placed), who="test")


def test_a_recall_by_hand_leaves_with_the_next_sweep(placed: Services) -> None:
    assert recall_by_hand(placed, the_placement(placed)["reference"], why="sold", at=at(placed), who="test")
    until(placed, PLACED_ON + 1)
    assert recalls(placed) == [("A-1", "final", "sold")]


def test_a_payment_that_clears_one_due_while_another_falls_due_calls_the_account_back_too(
    services: Services, portfolio: Portfolio
) -> None:
    take_in(services, portfolio())
    until(services, PLACED_ON)
    billed = Billed(key="test:B-1", at=at(services), due_on=date(2026, 11, 20), amount=80_00, balance=1280_50)
    receive(services, "A-1", billed, received_at=at(services), via="test", who="test")
    pay(services, "A-1", "120.00", reference="P-1", at=at(services), source="test", who="test")
    until(services, PLACED_ON + 1)
    assert recalls(services) == [("A-1", "final", "paid")]
    assert show(services, "A-1")["amount_due"]["amount"] == "80.00"


def test_a_court_takes_the_account_from_the_agency_and_reports(placed: Services) -> None:
    until(placed, 130)
    steer.approve(placed, "A-1", "legal-1", by="A. Counsel", at=at(placed))
    until(placed, 131)
    assert recalls(placed) == [("A-1", "final", "referred to court")]
    [referral] = show(placed, "A-1")["referrals"]
    assert referral["status"] == "referred"

    def court(report: ReferralReport, reference: str, **more: Any) -> bool:
        name = referral["reference"]
        return report_referral(
            placed, name, report, reference=reference, at=at(placed), source="test", who="test", **more
        ).new

    assert court(ReferralReport.ACCEPTED, "C-1")
    assert court(ReferralReport.SUIT_FILED, "C-2", detail="26-CV-1")
    assert not court(ReferralReport.SUIT_FILED, "C-2", detail="26-CV-1")
    with pytest.raises(ReportRefused, match="an amount belongs to a judgment"):
        court(ReferralReport.ACCEPTED, "C-3", amount="5.00")
    assert court(ReferralReport.JUDGMENT, "C-4", amount="1200.50")
    assert show(placed, "A-1")["referrals"][0]["judgment"] == "1200.50"
    assert court(ReferralReport.WITHDRAWN, "C-5", detail="settled")
    assert f"referral {referral['reference']} withdrawn" in [item.reason for item in waiting_for_people(placed)]


def test_what_a_crash_left_unwritten_is_in_the_file_of_the_day(placed: Services) -> None:
    """The row of the recall is committed; the process that wrote it never came to rest."""
    pay(placed, "A-1", "120.00", reference="P-1", at=at(placed), source="test", who="test")
    with placed.ledger.read() as session:
        [batch] = session.exec(select(models.RecallBatch)).all()
    assert batch.unwritten
    until(placed, PLACED_ON + 5)
    [path] = placed.settings.outbox.glob("agency/*/*.recalls.csv")
    assert path.name.startswith(f"{batch.day}")
