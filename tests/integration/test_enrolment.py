"""A portfolio goes in once, whatever happens on the way; an account that owes nothing yet is current."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlmodel import func, select

import models
from arrears.ledger.cases import UnknownAccount
from arrears.operations.hold import hold
from arrears.operations.pay import pay
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
        hold(services, "A-2", "DISPUTE_OPEN", at=START, until=None, channel=None, who="test")
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
