"""Portfolio files for tests and benchmarks."""

from __future__ import annotations

HEADER = "account_id,name,phone,street,city,region,postal_code,country,due_date,amount_due,balance,currency\n"


def a_row(account_id: str = "A-1", **other: str) -> str:
    """One line of a portfolio file: a holder in Albany, New York, whose payment was due on 2026-08-01."""
    cells = {
        "account_id": account_id,
        "name": "Ann Example",
        "phone": "+15185550101",
        "street": "1 Main Street",
        "city": "Albany",
        "region": "NY",
        "postal_code": "12207",
        "country": "US",
        "due_date": "2026-08-01",
        "amount_due": "120.00",
        "balance": "1200.50",
        "currency": "USD",
    }
    return ",".join((cells | other).values()) + "\n"
