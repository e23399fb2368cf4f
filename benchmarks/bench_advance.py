"""Steps a second of `advance` over 180 virtual days, against bare commits on the same database.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_advance.py [--accounts 10000]

PostgreSQL is measured when ARREARS_TEST_POSTGRES_URL names a server.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import create_engine, text

from arrears.clock import VirtualClock
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.services import open_services
from arrears.operations.sweep import catch_up
from arrears.settings import Settings
from benchmarks.bench_enroll import write
from benchmarks.databases import databases

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
BARE = 2_000


def bare_commits(url: str) -> float:
    """Steps a second if a step were nothing but an insert and an update of a small row, each committed."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA synchronous = FULL")
        connection.execute(text("CREATE TABLE bare (id INTEGER PRIMARY KEY, status TEXT)"))
    with engine.connect() as connection:
        started = time.perf_counter()
        for n in range(BARE):
            connection.execute(text("INSERT INTO bare VALUES (:n, 'intended')"), {"n": n})
            connection.commit()
            connection.execute(text("UPDATE bare SET status = 'done' WHERE id = :n"), {"n": n})
            connection.commit()
        spent = time.perf_counter() - started
    engine.dispose()
    return BARE / spent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=10_000)
    accounts = parser.parse_args().accounts
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "portfolio.csv"
        write(path, accounts)
        for database, url in databases(folder):
            settings = Settings(database_url=url, outbox=folder / f"outbox-{database}")
            services = open_services(settings, live=False).at(VirtualClock(NOW))
            enroll(services, path, at=NOW, who="benchmark", driver="sweep", virtual=True)
            started = time.perf_counter()
            swept = catch_up(services, NOW + timedelta(days=180), who="benchmark", budget=Budget())
            spent = time.perf_counter() - started
            services.close()
            rate, bare = swept.effects / spent, bare_commits(url)
            by_channel = ", ".join(f"{channel} {count:,}" for channel, count in swept.by_channel.items())
            print(f"{database:11} {rate:6,.0f} steps/s ({swept.effects:,} steps: {by_channel}; {spent:.0f} s)")
            print(f"{'':11} {bare:6,.0f} steps/s for two bare commits each: {bare / rate:.1f} x faster")


if __name__ == "__main__":
    main()
