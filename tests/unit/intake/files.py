"""Builders of portfolio and payment files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from arrears.intake.payments import PaymentRow, read_payments
from arrears.intake.portfolio import REQUIRED, PortfolioRow, read_portfolio
from arrears.intake.rows import RejectedRow

HEADER = ",".join(REQUIRED)
PAYMENT_HEADER = "account_id,amount,currency,reference,paid_at"

GOOD: Mapping[str, str] = {
    "account_id": "A-1",
    "name": "Nora Whitfield",
    "phone": "+12125550101",
    "street": "14 Alder Row",
    "city": "New York",
    "region": "NY",
    "postal_code": "10001",
    "country": "US",
    "due_date": "2026-08-01",
    "amount_due": "412.00",
    "balance": "9400.00",
    "currency": "USD",
}


def cells(**changed: str) -> list[str]:
    """A good portfolio row's required cells, some changed."""
    return [{**GOOD, **changed}[column] for column in REQUIRED]


def row(**changed: str) -> str:
    """A good portfolio row as a line, some cells changed; nothing is quoted."""
    return ",".join(cells(**changed))


def a_file(folder: Path, *lines: str, name: str = "portfolio.csv", header: str = HEADER, newline: str = "\n") -> Path:
    """A file of the header and `lines`."""
    path = folder / name
    path.write_bytes(newline.join([header, *lines, ""]).encode())
    return path


def portfolio(path: Path) -> tuple[list[PortfolioRow], list[RejectedRow]]:
    """What goes in and what is refused."""
    rows = list(read_portfolio(path))
    return [r for r in rows if isinstance(r, PortfolioRow)], [r for r in rows if isinstance(r, RejectedRow)]


def payments(path: Path) -> tuple[list[PaymentRow], list[RejectedRow]]:
    """What goes in and what is refused."""
    rows = list(read_payments(path))
    return [r for r in rows if isinstance(r, PaymentRow)], [r for r in rows if isinstance(r, RejectedRow)]
