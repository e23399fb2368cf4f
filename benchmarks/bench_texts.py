"""Texts a second through the official client to a Twilio on this machine: unlimited, at a set rate by sender, swept.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_texts.py [--texts 200] [--rate 10] [--senders 2] [--threads 4]
    ... --prefect     at the pace of Prefect's own limits; PREFECT_API_URL names the server
    ... --latency 0.1 how long that Twilio takes to answer a sweep, in seconds

Everybody is due the first text: intent, HTTP, outcome, each committed. `--threads` workers share the accounts, and so
does the limit, which is kept sender by sender. What counts is the sending itself, from the first POST to the last; the
first second's worth may go at once.

Then sweeps, so many effects at once (ARREARS_EFFECTS_AT_ONCE), to a Twilio in a process of its own that answers over
TLS and takes its time: on connections that are used again, and on a new one for each. Here the whole sweep counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import certifi
import requests

from arrears.channels.sms.twilio_http import Transports
from arrears.clock import VirtualClock
from arrears.engine.vocabulary import ChannelName
from arrears.operations.advance import advance
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.pace import LocalPace, NoPace, Pace
from arrears.operations.services import Services, open_services
from arrears.operations.sweep import sweep
from arrears.settings import Settings
from benchmarks.bench_enroll import write
from benchmarks.databases import databases
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, SENDER, TwilioStandIn

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
DUE = NOW + timedelta(days=2, hours=5)


class Noted:
    """A pace that notes when each text was let go."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.at: list[float] = []

    def wait(self, sender: str, *, at_most: timedelta) -> bool:
        let_go = self._pace.wait(sender, at_most=at_most)
        self.at.append(time.perf_counter())
        return let_go


def measured(services: Services, accounts: list[str], pace: Pace, threads: int) -> float:
    """Texts a second over all of them."""
    noted = Noted(pace)
    house = replace(services, pace=noted)
    with ThreadPoolExecutor(threads) as pool:
        made = sum(pool.map(lambda account: advance(house, account, who="benchmark").effects, accounts))
    assert made == len(accounts), f"{made} of {len(accounts)} went out"
    return (len(noted.at) - 1) / (max(noted.at) - min(noted.at))


AT_ONCE = (8, 16, 32)


@contextmanager
def twilio_beyond_tls(folder: Path, latency: float) -> Generator[str]:
    """The URL of a stand-in that takes `latency` seconds over a text; this process trusts it as it trusts the world."""
    both, trusted = folder / "twilio.pem", folder / "trusted.pem"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*made, "-keyout", both, "-out", folder / "certificate.pem"], check=True, capture_output=True)
    certificate = (folder / "certificate.pem").read_text()
    both.write_text(both.read_text() + certificate)
    trusted.write_text(Path(certifi.where()).read_text() + certificate)
    os.environ["REQUESTS_CA_BUNDLE"] = str(trusted)
    command = [sys.executable, "-m", "tests.support.twilio_stand_in", "--certificate", both]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            slow = [{"fault": "slow", "seconds": latency, "times": None}]
            requests.post(f"{url}/_faults", json=slow, timeout=10).raise_for_status()
            yield url
        finally:
            server.terminate()


def swept(services: Services, accounts: list[str]) -> tuple[float, float]:
    """Texts a second of one sweep over all of them, and milliseconds of processor time a text."""
    began, spent = time.perf_counter(), time.process_time()
    made = sweep(services, who="benchmark", budget=Budget(), accounts=accounts)
    assert len(accounts) == made.by_channel[ChannelName.SMS], made
    seconds = time.perf_counter() - began
    return len(accounts) / seconds, (time.process_time() - spent) * 1000 / len(accounts)


def sweeps(url: str, folder: Path, twilio: str, texts: int) -> None:
    """Print what sweeps make, by effects at once and by what becomes of connections."""
    folder.mkdir()
    path = folder / "swept.csv"
    write(path, 2 * texts * len(AT_ONCE))
    settings = Settings(
        database_url=url,
        outbox=folder / "outbox-swept",
        twilio_account_sid=ACCOUNT_SID,
        twilio_auth_token=AUTH_TOKEN,
        twilio_from=SENDER,
        twilio_base_url=twilio,
    )  # type: ignore[call-arg]
    services = open_services(settings).at(VirtualClock(NOW))
    enroll(services, path, at=NOW, who="benchmark", driver="sweep", virtual=True)
    services = services.at(VirtualClock(DUE))
    ids = iter([f"B-{n}" for n in range(2 * texts * len(AT_ONCE))])
    for at_once in AT_ONCE:
        house = replace(services, settings=settings.model_copy(update={"effects_at_once": at_once}))
        for seconds, how in ((0, "a new connection for each"), (Transports.seconds, "connections used again")):
            Transports.seconds = seconds
            rate, spent = swept(house, list(islice(ids, texts)))
            print(f"{'':11} {rate:6.1f} texts/s swept, {at_once} at once, {how}; {spent:.1f} ms of processor time each")
    services.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=200, help="for each figure")
    parser.add_argument("--rate", type=float, default=10, help="texts a second and sender")
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--prefect", action="store_true")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds, of a Twilio that is swept")
    wanted = parser.parse_args()
    os.environ["NO_PROXY"] = "127.0.0.1"
    senders = ",".join(f"{SENDER[:-2]}{number:02}" for number in range(10, 10 + wanted.senders))
    pace: Pace = LocalPace(wanted.rate)
    if wanted.prefect:
        from arrears.orchestration.pace import PrefectPace

        pace = PrefectPace(wanted.rate)
    with tempfile.TemporaryDirectory() as name, TwilioStandIn() as twilio:
        folder = Path(name)
        path = folder / "portfolio.csv"
        write(path, 2 * wanted.texts)
        for database, url in databases(folder):
            settings = Settings(
                database_url=url,
                outbox=folder / f"outbox-{database}",
                twilio_account_sid=ACCOUNT_SID,
                twilio_auth_token=AUTH_TOKEN,
                twilio_from=SENDER,
                twilio_base_url=twilio.url,
                twilio_senders=f"US={senders}",
            )  # type: ignore[call-arg]
            services = open_services(settings).at(VirtualClock(NOW))
            enroll(services, path, at=NOW, who="benchmark", driver="sweep", virtual=True)
            services = services.at(VirtualClock(DUE))
            ids = [f"B-{n}" for n in range(2 * wanted.texts)]
            before = len(twilio.accepted())
            free = measured(services, ids[: wanted.texts], NoPace(), wanted.threads)
            paced = measured(services, ids[wanted.texts :], pace, wanted.threads)
            services.close()
            assert len(twilio.accepted()) - before == 2 * wanted.texts
            limit = wanted.rate * wanted.senders
            by = "Prefect's limits" if wanted.prefect else "this process"
            print(f"{database:11} {free:6.1f} texts/s unlimited, {wanted.threads} threads")
            print(f"{'':11} {paced:6.1f} texts/s at a limit of {limit:g}/s kept by {by}: {paced / limit:.2f} of it")
    with tempfile.TemporaryDirectory() as name, twilio_beyond_tls(Path(name), wanted.latency) as url:
        for database, ledger in databases(Path(name)):
            print(f"{database}, a Twilio that takes {wanted.latency:g} s:")
            sweeps(ledger, Path(name) / database, url, wanted.texts)


if __name__ == "__main__":
    main()
