"""Gate verdicts a second on one core with 50 contacts in the past, and the gate's share of `advance`.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_gate.py [--accounts 60] [--profile]

Every verdict is about another instant, so nothing can be answered from before.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path

from arrears.clock import VirtualClock
from arrears.engine.contact.facts import Consent, ContactChannel, Facts, Hold, NoticeGiven, PastContact, Proposal
from arrears.engine.contact.gate import gate
from arrears.engine.contact.rules import Rulebook
from arrears.engine.vocabulary import Party
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.services import open_services
from arrears.operations.sweep import catch_up
from arrears.policies.contact_rules import load_rulebook
from arrears.settings import ROOT, Settings
from benchmarks.bench_enroll import write

NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
VERDICTS = 40_000
PAST = 50
CALL, SMS, LETTER = ContactChannel.CALL, ContactChannel.SMS, ContactChannel.LETTER
HOLDERS = (
    (("US", "US-NY", "US-NY-NYC"), ("America/New_York",)),
    (("US", "US-CA"), ("America/Los_Angeles",)),
    (("US", "US-MA", "US-WA"), ("America/New_York", "America/Los_Angeles")),
    (("US", "US-TX"), ("America/Chicago", "America/Denver")),
    (("GB",), ("Europe/London",)),
    (("DE",), ("Europe/Berlin",)),
    (("IN",), ("Asia/Kolkata",)),
    (("CN",), ("Asia/Shanghai",)),
)


def a_past(channels: tuple[ContactChannel, ...], every: timedelta) -> tuple[PastContact, ...]:
    """Fifty contacts, one every so often, of which every tenth was a conversation."""
    return tuple(
        PastContact(
            channel=channel,
            at=NOW - every * (PAST - n),
            outcome="promise" if n % 10 == 5 and channel is CALL else "no_answer" if channel is CALL else "",
            number="+12125550101",
            debt="A-1" if n % 3 else "A-2",
            actor=Party.FIRST,
        )
        for n, channel in enumerate(islice(cycle(channels), PAST))
    )


def questions() -> list[tuple[Proposal, Facts]]:
    """Each holder, each channel: left alone lately, called daily, and under a hold."""
    rare, dense = a_past((CALL, SMS, CALL, LETTER), timedelta(days=4)), a_past((CALL, SMS), timedelta(hours=20))
    found: list[tuple[Proposal, Facts]] = []
    for places, zones in HOLDERS:
        known = Facts(
            jurisdictions=places,
            zones=zones,
            consents=(Consent(SMS, NOW - timedelta(days=120)),),
            notices=(NoticeGiven("default_notice", NOW - timedelta(days=60)),),
            limitation_ends=date(2030, 1, 1),
            days_past_due=70,
            accelerated=False,
        )
        for channel in (CALL, SMS, LETTER):
            for actor in Party:
                what = Proposal(channel, actor, number="+12125550101", debt="A-1")
                found.append((what, replace(known, history=rare)))
                found.append((what, replace(known, history=dense)))
        held = (Hold("DISPUTE_OPEN", NOW - timedelta(days=3)),)
        found.append((Proposal(CALL, Party.FIRST, debt="A-1"), replace(known, history=dense, holds=held)))
    return found


def measure_verdicts(rulebook: Rulebook) -> None:
    asked = questions()
    spent, made, places = dict[str, float](), Counter[str](), dict[str, tuple[int, float]]()
    started = time.perf_counter()
    for n, (what, about) in enumerate(islice(cycle(asked), VERDICTS)):
        gate(what, rulebook, about, now=NOW + timedelta(seconds=n))
    whole = time.perf_counter() - started
    for n, (what, about) in enumerate(islice(cycle(asked), VERDICTS)):
        began = time.perf_counter()
        verdict = gate(what, rulebook, about, now=NOW + timedelta(seconds=n))
        kind = type(verdict).__name__.lower()
        took = time.perf_counter() - began
        spent[kind] = spent.get(kind, 0.0) + took
        made[kind] += 1
        asked_here, took_here = places.get(about.jurisdictions[-1], (0, 0.0))
        places[about.jurisdictions[-1]] = asked_here + 1, took_here + took
    for kind, count in made.most_common():
        print(f"{kind:8} {count / spent[kind]:>9,.0f} verdicts/s ({count / VERDICTS:.0%} of them)")
    slowest, place = min((count / took, place) for place, (count, took) in places.items())
    print(f"{'slowest':8} {slowest:>9,.0f} verdicts/s ({place})")
    print(f"{'mixed':8} {VERDICTS / whole:>9,.0f} verdicts/s, {PAST} contacts in each past, {len(asked)} questions")


def measure_share(accounts: int) -> None:
    """The gate's part of the time that `advance` takes, by the profiler: both sides bear its weight alike."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "portfolio.csv", accounts)
        begins = datetime(2026, 8, 1, 12, tzinfo=UTC)
        settings = Settings(database_url=f"sqlite:///{folder / 'ledger.db'}", outbox=folder / "outbox")
        services = open_services(settings, live=False).at(VirtualClock(begins))
        enroll(services, folder / "portfolio.csv", at=begins, who="benchmark", driver="sweep", virtual=True)
        profile = cProfile.Profile()
        swept = profile.runcall(catch_up, services, begins + timedelta(days=180), who="benchmark", budget=Budget())
        services.close()
    stats = pstats.Stats(profile)
    functions = stats.stats  # type: ignore[attr-defined]
    whole = stats.total_tt  # type: ignore[attr-defined]

    def of(file: str, function: str) -> tuple[int, float]:
        found = [row for (path, _, name), row in functions.items() if path.endswith(file) and name == function]
        return sum(row[1] for row in found), sum(row[3] for row in found)

    calls, inside = of("engine/contact/gate.py", "gate")
    _, spread = of("engine/contact/spread.py", "spread_out")
    _, facts = of("operations/facts.py", "gate_facts")
    print(f"advance  {swept.effects:,} steps of {accounts} accounts over 180 days: {calls:,} verdicts")
    print(
        f"         gate {inside / whole:.1%} of the time, spreading {spread / whole:.1%}, its facts {facts / whole:.1%}"
    )


def show_hot_spots(rulebook: Rulebook) -> None:
    profile = cProfile.Profile()
    asked = questions()
    profile.enable()
    for n, (what, about) in enumerate(islice(cycle(asked), VERDICTS // 4)):
        gate(what, rulebook, about, now=NOW + timedelta(seconds=n))
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(18)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=60)
    parser.add_argument("--profile", action="store_true", help="Show where a verdict's time goes.")
    options = parser.parse_args()
    rulebook = load_rulebook(ROOT / "policies" / "contact-rules")
    measure_verdicts(rulebook)
    if options.profile:
        show_hot_spots(rulebook)
    if options.accounts:
        measure_share(options.accounts)


if __name__ == "__main__":
    main()
