"""Payments taken in a second: each in a transaction of its own, and two hundred to a transaction.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_events.py [--accounts 1000]

Every account pays twice: a part, then what clears it, so that half of the events close a case. PostgreSQL is
measured when ARREARS_TEST_POSTGRES_URL names a server.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from arrears.clock import VirtualClock
from arrears.engine.life.events import Payment
from arrears.ledger.life import key_of
from arrears.operations.enroll import enroll
from arrears.operations.inbox import take
from arrears.operations.services import Services, open_services
from arrears.settings import Settings
from benchmarks.bench_enroll import write
from benchmarks.databases import databases

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
BATCH = 200


def payments(accounts: range, when: str) -> list[tuple[str, Payment]]:
    """Two payments for each account: all the first ones, then all that clear."""
    found: list[tuple[str, Payment]] = []
    for amount in (20_00, 100_00):
        for n in accounts:
            reference = f"{when}-{n}-{amount}"
            found.append((f"B-{n}", Payment(key=key_of("payments", reference), at=NOW, amount=amount)))
    return found


def measured(services: Services, events: list[tuple[str, Payment]], size: int) -> float:
    """Events a second, `size` to a transaction."""
    started = time.perf_counter()
    for begin in range(0, len(events), size):
        with services.ledger.write() as session:
            for account_id, event in events[begin : begin + size]:
                taken = take(
                    services,
                    session,
                    account_id,
                    event,
                    received_at=NOW,
                    via="benchmark",
                    who="benchmark",
                )
                assert taken.new
    return len(events) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=1000)
    accounts = parser.parse_args().accounts
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "portfolio.csv"
        write(path, accounts)
        for database, url in databases(folder):
            services = open_services(Settings(database_url=url, outbox=folder / "outbox"), live=False)
            services = services.at(VirtualClock(NOW))
            enroll(services, path, at=NOW, who="benchmark", driver="sweep")
            single = measured(services, payments(range(accounts // 2), "one"), 1)
            batch = measured(services, payments(range(accounts // 2, accounts), "many"), BATCH)
            services.close()
            print(f"{database:11} {single:6,.0f} events/s one by one, {batch:6,.0f} in batches of {BATCH}")


if __name__ == "__main__":
    main()
