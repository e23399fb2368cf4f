"""Decisions a second on one core, and what one costs in units of a local-time conversion.

PYTHONPATH=. .venv/bin/python benchmarks/bench_decide.py
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as local_time
from zoneinfo import ZoneInfo

from arrears.engine.case import Case, Step, Suspension
from arrears.engine.decide import decide
from arrears.engine.money import Money
from arrears.engine.vocabulary import ChannelName, StepStatus
from arrears.policies.ladders import load_ladders
from arrears.settings import ROOT

DUE = date(2026, 8, 1)
ROUNDS = 20_000


def a_case(dpd: int, made: list[tuple[str, int]], **other: object) -> tuple[Case, datetime]:
    """A case `dpd` days past due with these (rung, day) done."""
    begins = datetime(2026, 8, 1, 14, tzinfo=UTC)
    attempts: dict[str, int] = {}
    steps: list[Step] = []
    for rung, day in made:
        attempts[rung] = attempts.get(rung, 0) + 1
        channel = ChannelName(rung.partition("-")[0])
        steps.append(Step(rung, attempts[rung], channel, StepStatus.DONE, at=begins + timedelta(days=day)))
    money = Money(12_000, "USD"), Money(120_000, "USD")
    case = Case("A-1", DUE, *money, "America/New_York", steps=tuple(steps), **other)  # pyright: ignore[reportArgumentType]
    return case, begins + timedelta(days=dpd, hours=-3)


def main() -> None:
    ladder = load_ladders(ROOT / "policies" / "ladders").current["card-standard"]
    texts = [("sms-1", 1), ("sms-2", 5), ("sms-3", 15)]
    calls = [("call-1", day) for day in range(30, 87, 4)]
    letters = [("letter-1", 45), ("letter-2", 60), ("letter-3", 75)]
    population = {
        "fresh": a_case(0, []),
        "between texts": a_case(9, texts[:2]),
        "mid-ladder, 9 steps": a_case(52, texts + calls[:5] + letters[:1]),
        "placed, 22 steps": a_case(100, texts + calls + letters + [("agency-1", 90)]),
        "waits for approval": a_case(130, texts + calls + letters + [("agency-1", 90)]),
        "held": a_case(20, texts, suspension=Suspension("DISPUTE_OPEN", None)),
    }
    total = 0.0
    for name, (case, now) in population.items():
        started = time.perf_counter()
        for _ in range(ROUNDS):
            decide(case, ladder, now=now)
        spent = time.perf_counter() - started
        total += spent
        print(f"{name:22} {ROUNDS / spent:>10,.0f} decisions/s")
    zone = ZoneInfo("America/New_York")
    started = time.perf_counter()
    for _ in range(ROUNDS):
        datetime.combine(DUE, local_time(10), tzinfo=zone).astimezone(UTC)
    conversion = (time.perf_counter() - started) / ROUNDS
    mixed = len(population) * ROUNDS / total
    print(f"{'mixed':22} {mixed:>10,.0f} decisions/s; one costs {1 / mixed / conversion:.1f} local-time conversions")


if __name__ == "__main__":
    main()
