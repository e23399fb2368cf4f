"""Texts a second through the official client to a Twilio on this machine: unlimited, and at a set rate by sender.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_texts.py [--texts 200] [--rate 10] [--senders 2] [--threads 4]
    ... --prefect     at the pace of Prefect's own limits; PREFECT_API_URL names the server

Everybody is due the first text: intent, HTTP, outcome, each committed. `--threads` workers share the accounts, and so
does the limit, which is kept sender by sender. What counts is the sending itself, from the first POST to the last; the
first second's worth may go at once.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from arrears.clock import VirtualClock
from arrears.operations.advance import advance
from arrears.operations.enroll import enroll
from arrears.operations.pace import LocalPace, NoPace, Pace
from arrears.operations.services import Services, open_services
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=200, help="for each figure")
    parser.add_argument("--rate", type=float, default=10, help="texts a second and sender")
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--prefect", action="store_true")
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


if __name__ == "__main__":
    main()
