"""Placements written into one day's file: rows a second and memory, by layout, then encrypted for the agency.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_placement.py [--rows 100000]

From the ledger's rows (SQLite) to the finished file and manifest, each layout in a process of its own so that its peak
memory is its own; then the file is encrypted to a key of age and to one of OpenPGP.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pyrage
import pysequoia
from sqlalchemy import insert
from sqlmodel import select

import models
from arrears.channels.agency import AgencyFolder, PlacementRow
from arrears.channels.sealing import seal
from arrears.clock import VirtualClock
from arrears.engine.money import Money
from arrears.engine.partners import AgeKey, Codes, Layout, OpenPgpKey, Partner, Partners, PublicKey
from arrears.ledger.database import Ledger
from arrears.operations.enroll import enroll
from arrears.operations.place import write_agency_files
from arrears.operations.services import open_services
from arrears.rendering.context import Address
from arrears.settings import Settings
from benchmarks.bench_enroll import write

NOW = datetime(2026, 11, 1, 14, tzinfo=UTC)
DAY = date(2026, 11, 1)


def filled(folder: Path, rows: int) -> str:
    """A ledger with `rows` placements of one day, owed to a file."""
    portfolio = folder / "portfolio.csv"
    write(portfolio, 1)
    settings = Settings(database_url=f"sqlite:///{folder / 'ledger.db'}", outbox=folder / "outbox")
    services = open_services(settings, live=False).at(VirtualClock(datetime(2026, 8, 1, 12, tzinfo=UTC)))
    enroll(services, portfolio, at=services.clock.now(), who="benchmark", driver="sweep", virtual=True)
    with services.ledger.write() as session:
        case = session.exec(select(models.Case)).one()
        placed = [_placed(case, number) for number in range(rows)]
        session.connection().execute(insert(models.Placement), placed)
        session.add(models.PlacementBatch(agency="northside", day=DAY, unwritten=True))
    services.close()
    return settings.database_url


def _placed(case: models.Case, number: int) -> dict[str, object]:
    reference = f"P{number:07d}"
    row = PlacementRow(
        placement_id=reference,
        account_id=f"A-{number}",
        reference=reference,
        creditor="Example Bank",
        holder_name="Maria Gonzalez",
        phone="+16175550123",
        address=Address("12 Main Street", "Springfield", "NY", "10001", "US"),
        balance=Money(120_050 + number, "USD"),
        due_date=date(2026, 8, 1),
        days_past_due=92,
        placed_at="2026-11-01T14:00:00Z",
    )
    return {
        "reference": reference,
        "account_id": case.account_id,
        "case_id": case.id,
        "agency": "northside",
        "day": DAY,
        "balance": row.balance.amount,
        "currency": "USD",
        "status": "placed",
        "row": row.to_json(),
        "at": NOW,
    }


def written(folder: Path, url: str, layout: Layout, rows: int) -> None:
    """One layout, measured in this process."""
    partner = Partner("northside", layout=layout, codes=Codes("NJ750", "OZ12"))
    ledger, outbox = Ledger.open(url), folder / layout.value
    with ledger.write() as session:
        batch = session.exec(select(models.PlacementBatch)).one()
        batch.unwritten = True
    before = _peak()
    started, busy = time.perf_counter(), time.process_time()
    assert write_agency_files(ledger, AgencyFolder(outbox), VirtualClock(NOW), Partners({"northside": partner})) == ()
    took, busy = time.perf_counter() - started, time.process_time() - busy
    [file] = [path for path in outbox.rglob("*") if path.suffix in (".csv", ".txt")]
    size = file.stat().st_size / 2**20
    print(
        f"{layout.value}: {rows / took:,.0f} rows/s by the clock, {rows / busy:,.0f} a second of processor time "
        f"({took:.1f} and {busy:.1f} s, {size:,.0f} MiB), "
        f"{_peak():.0f} MiB peak, {before:.0f} before"
    )
    keys: dict[str, PublicKey] = {
        "age": AgeKey(str(pyrage.x25519.Identity.generate().to_public())),
        "OpenPGP": _openpgp_key(),
    }
    for name, key in keys.items():
        started, mine = time.perf_counter(), time.process_time()
        seal(file, folder / "sealed", key, now=datetime(2026, 11, 1, tzinfo=UTC))
        sealed, mine = time.perf_counter() - started, time.process_time() - mine
        print(
            f"  with {name}: {rows / (took + sealed):,.0f} and {rows / (busy + mine):,.0f} rows/s "
            f"({sealed:.2f} and {mine:.2f} s more), {_peak():.0f} MiB peak"
        )
    file.unlink()


def _openpgp_key() -> OpenPgpKey:
    certificate = pysequoia.Tsk.generate(user_id="Northside <files@northside.example>").extract_certificate()
    return OpenPgpKey(bytes(certificate), certificate.fingerprint)


def _peak() -> float:
    """MiB; what getrusage tells would include the process that this one was started from."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    fresh = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = filled(folder, rows)
        for layout in Layout:
            process = fresh.Process(target=written, args=(folder, url, layout, rows))
            process.start()
            process.join()
            assert process.exitcode == 0


if __name__ == "__main__":
    main()
