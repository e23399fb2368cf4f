"""Rows a second into SQLite and PostgreSQL, against reading the file alone; peak memory of each.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_enroll.py [--rows 100000]

PostgreSQL is measured when ARREARS_TEST_POSTGRES_URL names a server.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from arrears.intake.portfolio import read_portfolio
from arrears.operations.enroll import enroll
from arrears.operations.services import open_services
from arrears.settings import Settings
from benchmarks.databases import databases

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
HEADER = "account_id,name,phone,street,city,region,postal_code,country,due_date,amount_due,balance,currency\n"


def write(path: Path, rows: int, due: str = "2026-08-01") -> None:
    """A portfolio of New Yorkers and Californians with different numbers."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write(HEADER)
        for n in range(rows):
            area, state = (212, "NY") if n % 2 else (415, "CA")
            phone = f"+1{area}{2 + n // 10_000 % 8}{n % 1_000_000:06d}"
            stream.write(f"B-{n},Ann Example,{phone},1 Main St,City,{state},10001,US,{due},120.00,1200.50,USD\n")


def reading(path: Path) -> None:
    for _ in read_portfolio(path):
        pass


def enrolling(path: Path, url: str) -> None:
    services = open_services(Settings(database_url=url, outbox=path.parent / "outbox"), live=False)
    result = enroll(services, path, at=NOW, who="benchmark", driver="sweep")
    assert result.enrolled == result.rows, result.rejected[:3]
    services.close()


def measured(work: Callable[..., None], *arguments: object) -> tuple[float, float]:
    """Seconds and peak MiB of `work` in a process of its own."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_measure, args=(answers, work, arguments))
    process.start()
    found = answers.get()
    process.join()
    return found


def _measure(answers, work: Callable[..., None], arguments: tuple[object, ...]) -> None:
    started = time.perf_counter()
    work(*arguments)
    answers.put((time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "portfolio.csv"
        write(path, rows)
        alone, memory = measured(reading, path)
        print(f"{'reading alone':14} {rows / alone:>9,.0f} rows/s  {memory:6.0f} MiB peak")
        for name, url in databases(Path(folder)):
            spent, memory = measured(enrolling, path, url)
            print(f"{name:14} {rows / spent:>9,.0f} rows/s  {memory:6.0f} MiB peak  {spent / alone:.1f} x reading")


if __name__ == "__main__":
    main()
