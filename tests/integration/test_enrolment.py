"""A portfolio goes in once, whatever happens on the way; an account that owes nothing yet is current."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlmodel import col, func, select

import models
from arrears.ledger.cases import UnknownAccount
from arrears.operations import steer
from arrears.operations.hold import hold
from arrears.operations.pay import pay, reverse
from arrears.operations.services import Services
from arrears.operations.show import show, status
from tests.conftest import START, a_row
from tests.integration.stories import Portfolio, dump, steps, take_in, until


class PowerCut(Exception):
    """The machine went down."""


def count(services: Services, table: type[models.Account | models.Case]) -> int:
    with services.ledger.read() as session:
        return session.exec(select(func.count()).select_from(table)).one()


def test_an_enrolment_cut_short_between_batches_is_completed_by_running_it_again(
    services: Services, portfolio: Portfolio
) -> None:
    file = portfolio(*(a_row(f"A-{n}") for n in range(1, 1_101)), a_row("A-x", currency="USX"))

    def cut(rows: int) -> None:
        raise PowerCut

    with pytest.raises(PowerCut):
        take_in(services, file, progress=cut)
    assert count(services, models.Account) == 1_000
    again = take_in(services, file)
    assert (again.rows, again.enrolled, again.already, len(again.rejected)) == (1_101, 100, 1_000, 1)
    assert count(services, models.Account) == count(services, models.Case) == 1_100


def test_an_id_twice_in_one_file_goes_in_once(services: Services, portfolio: Portfolio) -> None:
    result = take_in(services, portfolio(a_row("A-1"), a_row("A-1", balance="9999.00")))
    assert result.enrolled == 1
    assert [(row.line, row.reason) for row in result.rejected] == [(3, "account_id was used on line 2 already")]
    assert show(services, "A-1")["balance"]["amount"] == "1200.50"


def test_a_rehearsed_enrolment_counts_and_leaves_nothing_behind(services: Services, portfolio: Portfolio) -> None:
    before = dump(services)
    file = portfolio(a_row("A-1"), a_row("A-2", due_date="2026-05-01"), a_row("A-3", currency="USX"))
    result = take_in(services, file, at=START + timedelta(days=1, hours=3), dry_run=True)
    assert (result.enrolled, len(result.rejected)) == (2, 1)
    assert dict(result.first) == {"sms": 1, "letter": 1}
    assert dump(services) == before
    assert [path.name for path in file.parent.glob("*.rejected.csv")] == []


def test_a_file_mended_after_its_refusals_leaves_no_refusals(services: Services, portfolio: Portfolio) -> None:
    refused = take_in(services, portfolio(a_row("A-1", currency="USX"))).rejected_path
    assert refused is not None
    assert refused.read_text().count("\n") == 2
    assert take_in(services, portfolio(a_row("A-1"))).rejected_path is None
    assert not refused.exists()


def test_an_account_due_in_the_future_is_current_until_its_day_and_then_climbs(
    services: Services, portfolio: Portfolio
) -> None:
    take_in(services, portfolio(a_row(due_date="2026-08-20")))
    until(services, 19)
    assert (show(services, "A-1")["status"], show(services, "A-1")["days_past_due"]) == ("current", 0)
    until(services, 21)
    assert show(services, "A-1")["status"] == "delinquent"
    assert steps(services) == [("sms-1", "done")]


def test_an_account_without_a_case_says_so_when_something_is_asked_of_it(
    services: Services, portfolio: Portfolio
) -> None:
    take_in(services, portfolio(a_row("A-2", amount_due="0.00")))
    pay(services, "A-2", "10.00", reference="P-1", at=START, source="test", who="test")
    assert show(services, "A-2")["balance"]["amount"] == "1190.50"
    with pytest.raises(UnknownAccount, match="has no case: it was never past due"):
        steer.halt(services, "A-2", why="-", who="test", at=START)
    hold(services, "A-2", "DECEASED", at=START, until=None, channel=None, who="test")
    assert [each["kind"] for each in show(services, "A-2")["holds"]] == ["DECEASED"]
    with pytest.raises(UnknownAccount, match="'A-9' is not in the ledger"):
        show(services, "A-9")


def test_every_account_is_counted_once(services: Services, portfolio: Portfolio) -> None:
    take_in(
        services,
        portfolio(
            a_row("A-1"), a_row("A-2", amount_due="0.00"), a_row("A-3", due_date=str(date(2027, 1, 1))), a_row("A-4")
        ),
    )
    hold(services, "A-4", "DISPUTE_OPEN", at=START, until=None, channel=None, who="test")
    until(services, 2)
    counted = status(services)
    assert counted.by_status == {"current": 2, "delinquent": 1, "held": 1, "halted": 0, "closed": 0}
    assert counted.by_stage == {"none": 3, "sms": 1, "call": 0, "letter": 0, "agency": 0, "legal": 0}


def test_an_account_that_was_cured_and_is_behind_again_gets_a_case_of_its_own(
    services: Services, portfolio: Portfolio
) -> None:
    take_in(services, portfolio(a_row()))
    until(services, 6)
    pay(services, "A-1", "120.00", reference="P-1", at=START + timedelta(days=6), source="test", who="test")
    assert take_in(services, portfolio(a_row())).already == 1, "the same row again changes nothing"
    assert show(services, "A-1")["status"] == "closed"
    october = a_row(due_date="2026-10-01", amount_due="90.00", balance="1170.00")
    later = START + timedelta(days=65)
    until(services, 65)
    again = take_in(services, portfolio(october), at=later)
    assert (again.renewed, again.already, again.enrolled, again.opened) == (1, 0, 0, ["A-1"])
    assert take_in(services, portfolio(october), at=later).already == 1
    shown = show(services, "A-1")
    assert (shown["status"], shown["days_past_due"], shown["steps"]) == ("delinquent", 4, [])
    assert (shown["amount_due"]["amount"], shown["balance"]["amount"]) == ("90.00", "1170.00")
    assert until(services, 67).effects == 2
    with services.ledger.read() as session:
        cases = session.exec(select(models.Case).order_by(col(models.Case.began))).all()
    assert [(str(case.began), case.status, case.outcome) for case in cases] == [
        ("2026-08-01", "closed", "cured"),
        ("2026-10-01", "delinquent", ""),
    ]


def test_what_is_before_a_court_is_not_begun_anew_by_the_next_portfolio(
    services: Services, portfolio: Portfolio
) -> None:
    take_in(services, portfolio(a_row()))
    until(services, 121)
    steer.approve(services, "A-1", "legal-1", by="A. Counsel", at=START + timedelta(days=121))
    until(services, 130)
    assert show(services, "A-1")["outcome"] == "referred"
    row = a_row(due_date="2026-12-01", amount_due="240.00")
    again = take_in(services, portfolio(row), at=START + timedelta(days=130))
    assert (again.renewed, again.opened) == (1, [])
    assert show(services, "A-1")["outcome"] == "referred"


def test_an_account_that_was_current_may_fall_behind(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio(a_row(amount_due="0.00")))
    assert show(services, "A-1")["status"] == "current"
    behind = take_in(services, portfolio(a_row()), at=START + timedelta(days=3))
    assert behind.renewed == 1
    assert show(services, "A-1")["amount_due"]["amount"] == "120.00"


def test_a_bounced_payment_joins_the_case_that_is_open_by_then(services: Services, portfolio: Portfolio) -> None:
    take_in(services, portfolio(a_row()))
    pay(services, "A-1", "120.00", reference="P-1", at=START + timedelta(days=1), source="test", who="test")
    take_in(services, portfolio(a_row(due_date="2026-10-01", amount_due="90.00")), at=START + timedelta(days=65))
    when = START + timedelta(days=66)
    reverse(services, "A-1", "P-1", amount=None, reference="R-1", at=when, source="test", who="test")
    with services.ledger.read() as session:
        cases = session.exec(select(models.Case).order_by(col(models.Case.began))).all()
    assert [(str(case.began), str(case.due_date), case.status) for case in cases] == [
        ("2026-08-01", "2026-08-01", "closed"),
        ("2026-10-01", "2026-08-01", "delinquent"),
    ]
    assert show(services, "A-1")["amount_due"]["amount"] == "210.00"
