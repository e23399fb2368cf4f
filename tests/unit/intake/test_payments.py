"""Payment rows: what goes in, and why the others do not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from arrears.engine.money import Money
from arrears.intake.payments import payment_warnings
from arrears.intake.rows import PortfolioError
from tests.unit.intake.files import HEADER, PAYMENT_HEADER, a_file, payments, row


def a_payment_file(folder: Path, *lines: str, header: str = PAYMENT_HEADER) -> Path:
    return a_file(folder, *lines, name="payments.csv", header=header)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-08-04T15:20:00Z", datetime(2026, 8, 4, 15, 20, tzinfo=UTC)),
        ("2026-08-04T15:20+01:00", datetime(2026, 8, 4, 14, 20, tzinfo=UTC)),
        ("2026-08-04 15:20:30.5-0700", datetime(2026, 8, 4, 22, 20, 30, 500_000, tzinfo=UTC)),
        ("2026-08-04", datetime(2026, 8, 4, tzinfo=UTC)),
    ],
)
def test_a_payment_is_made_at_an_instant_or_at_the_midnight_of_a_day(
    tmp_path: Path, text: str, moment: datetime
) -> None:
    taken, rejected = payments(a_payment_file(tmp_path, f"A-1,45.00,USD,PAY-1,{text}"))
    assert rejected == []
    assert [(p.line, p.account_id, p.amount, p.reference, p.paid_at) for p in taken] == [
        (2, "A-1", Money(4_500, "USD"), "PAY-1", moment)
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("A-1,0.00,USD,PAY-1,2026-08-04", "amount is zero"),
        ("A-1,-5,USD,PAY-1,2026-08-04", "amount is below zero"),
        ("A-1,45.00,XXQ,PAY-1,2026-08-04", "currency 'XXQ' is not known; expected an ISO 4217 code such as USD"),
        ("A-1,45.00,USD,,2026-08-04", "reference is missing"),
        (f"A-1,45.00,USD,{'x' * 129},2026-08-04", "reference is longer than 128 characters"),
        ("A-1,45.00,USD,PAY-1,2026-08-04T15:20:00", "paid_at '2026-08-04T15:20:00' is no instant"),
        ("A-1,45.00,USD,PAY-1,yesterday", "paid_at is no instant"),
        ("A-1,45.00,USD,PAY-1,0001-01-01T00:00+14:00", "paid_at '0001-01-01T00:00+14:00' is no instant"),
        ("A-1,45.00,USD,PAY-1,1899-12-31", "paid_at '1899-12-31' lies outside 1990 to 2100"),
        ("A-1,45.00,USD,PAY-1", "4 cells; expected 5 as in the header"),
        ("A 1,45.00,USD,PAY-1,2026-08-04", "account_id may hold letters"),
    ],
)
def test_a_bad_payment_is_refused_with_its_reason(tmp_path: Path, line: str, says: str) -> None:
    taken, rejected = payments(a_payment_file(tmp_path, line))
    assert taken == []
    assert [r.line for r in rejected] == [2]
    assert rejected[0].reason.startswith(says)


def test_an_account_may_pay_twice_in_a_file(tmp_path: Path) -> None:
    path = a_payment_file(tmp_path, "A-1,1.00,USD,P-1,2026-08-04", "A-1,1.00,USD,P-2,2026-08-04")
    assert len(payments(path)[0]) == 2


def test_a_portfolio_is_no_payment_file(tmp_path: Path) -> None:
    with pytest.raises(PortfolioError, match=r"payments\.csv:1: the header lacks amount, reference, paid_at"):
        payments(a_payment_file(tmp_path, row(), header=HEADER))


def test_the_method_is_known_and_other_columns_are_a_warning(tmp_path: Path) -> None:
    path = a_payment_file(tmp_path, header=f"{PAYMENT_HEADER},method,branch")
    assert payment_warnings(path) == ("payments.csv: column 'branch' is not known and not read",)
