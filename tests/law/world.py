"""A portfolio from everywhere, and a year of its life: payments, holds, calls, consents, letters from elsewhere.

Everything is drawn from one seed. Days pass by `catch_up`, the same as `arrears advance`; whatever people do, they
do through the operations.
"""

from __future__ import annotations

import csv
import heapq
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from arrears.clock import VirtualClock
from arrears.engine.contact.facts import ContactChannel
from arrears.engine.vocabulary import Disposition
from arrears.operations.brakes import Budget
from arrears.operations.calls import record_call
from arrears.operations.consent import give_consent, record_contact
from arrears.operations.day_list import day_list
from arrears.operations.enroll import enroll
from arrears.operations.hold import HoldRefused, hold, hold_kinds, release
from arrears.operations.pay import pay
from arrears.operations.replies import receive_text
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services, open_services
from arrears.operations.steer import SteeringRefused, approve
from arrears.operations.sweep import catch_up
from arrears.settings import Settings
from tests.builders import POLICIES
from tests.conftest import HEADER

BEGINS = datetime(2026, 8, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Home:
    """Where a holder lives and what their number looks like; `{n}` is five digits."""

    country: str
    region: str
    city: str
    postal_code: str
    phone: str
    currency: str = "USD"


def _us(region: str, city: str, postal_code: str, area: str) -> Home:
    return Home("US", region, city, postal_code, f"+1{area}52{{n}}")


HOMES: dict[str, Home] = {
    "US-CA": _us("CA", "Los Angeles", "90001", "310"),
    "US-DC": _us("DC", "Washington", "20001", "202"),
    "US-FL": _us("FL", "Miami", "33101", "305"),
    "US-MA": _us("MA", "Boston", "02108", "617"),
    "US-MD": _us("MD", "Baltimore", "21201", "410"),
    "US-NH": _us("NH", "Concord", "03301", "603"),
    "US-NV": _us("NV", "Reno", "89501", "775"),
    "US-NY": _us("NY", "Buffalo", "14201", "716"),
    "US-NY-NYC": _us("NY", "New York", "10001", "212"),
    "US-OK": _us("OK", "Tulsa", "74101", "918"),
    "US-WA": _us("WA", "Seattle", "98101", "206"),
    "US-WV": _us("WV", "Charleston", "25301", "304"),
    # Subdivisions without rules of their own, and people who moved and kept their number.
    "US-TX": _us("TX", "El Paso", "79901", "915"),
    "US-AZ": _us("AZ", "Phoenix", "85001", "602"),
    "US-HI, a number of Boston": _us("HI", "Honolulu", "96801", "617"),
    "US-NY, a number of Los Angeles": _us("NY", "Albany", "12201", "310"),
    "US-MA, a number of Seattle": _us("MA", "Worcester", "01601", "206"),
    "GB": Home("GB", "", "London", "SW1A 1AA", "+4420794{n}", "GBP"),
    "GB-SCT": Home("GB", "SCT", "Edinburgh", "EH1 1AA", "+4413122{n}", "GBP"),
    "DE": Home("DE", "BE", "Berlin", "10115", "+493012{n}", "EUR"),
    "GB, a number of Berlin": Home("GB", "", "Leeds", "LS1 1AA", "+493012{n}", "GBP"),
    "IN": Home("IN", "MH", "Mumbai", "400001", "+9198765{n}", "INR"),
    "CN": Home("CN", "SH", "Shanghai", "200000", "+86138001{n}", "CNY"),
    # No rules at all: a person has to agree to every contact.
    "FR": Home("FR", "", "Paris", "75001", "+331426{n}", "EUR"),
}  # fmt: skip

HEADINGS = [*HEADER.strip().split(","), "email", "time_zone", "holder_id", "sms_consent_on"]


def write_portfolio(path: Path, numbers: Sequence[int], rng: Random, homes: Sequence[str]) -> None:
    """One account after another from every home; every seventh is a second card of the holder before it.

    Every other of those fell due on the same day as the first.
    """
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.DictWriter(stream, HEADINGS)
        rows.writeheader()
        before = 0
        for number in numbers:
            second = number % 7 == 6
            person = number - 1 if second else number
            home = HOMES[homes[(number - 1 if second else number) % len(homes)]]
            late = rng.choice([0, 0, 0, 1, 5, 20, 31, 50, 75, 100, 1200])
            if second and number % 2 == 0:
                late = before  # both cards fell due on one day
            before = late
            due = BEGINS.date() - timedelta(days=late)
            amount = rng.choice(["45.00", "120.00", "800.00"])
            rows.writerow(
                {
                    "account_id": f"Y-{number}",
                    "name": f"Holder {person}",
                    "phone": home.phone.format(n=f"{10_000 + person:05d}"),
                    "street": "1 Main Street",
                    "city": home.city,
                    "region": home.region,
                    "postal_code": home.postal_code,
                    "country": home.country,
                    "due_date": due.isoformat(),
                    "amount_due": amount,
                    "balance": rng.choice(["900.00", "5000.00", "90000.00"]),
                    "currency": home.currency,
                    "email": f"h{person}@example.com" if rng.random() < 0.5 else "",
                    "time_zone": "",
                    "holder_id": f"H-{person}",
                    "sms_consent_on": date(2026, 7, 1).isoformat() if rng.random() < 0.3 else "",
                }
            )


@dataclass
class Year:
    """The life of a ledger, a few hours at a time. `holds`: kinds that are placed; `happened`: what people did."""

    services: Services
    rng: Random
    accounts: list[str]
    holds: list[str]
    happened: Counter[str] = field(default_factory=Counter[str])
    effects: Counter[str] = field(default_factory=Counter[str])
    failed: list[str] = field(default_factory=list[str])
    _later: list[tuple[datetime, int, str, str]] = field(default_factory=list[tuple[datetime, int, str, str]])

    def live(self, days: int, *, events_per_account: float) -> None:
        """From the enrolment on, `days` days."""
        for account in self.accounts:
            for _ in range(int(self.rng.expovariate(1 / events_per_account))):
                self._plan(BEGINS + timedelta(days=self.rng.uniform(0, days)), account, "anything")
        now, decided = BEGINS, BEGINS.date()
        while now < BEGINS + timedelta(days=days):
            now += timedelta(hours=self.rng.randint(3, 9))
            self._pass_to(now - timedelta(seconds=1))
            while self._later and self._later[0][0] <= now:
                _, _, account, what = heapq.heappop(self._later)
                self._happen(account, what, now)
            self._work_the_calls(now)
            if now.date() > decided:
                decided = now.date()
                self._decide_what_waits(now)

    def _pass_to(self, until: datetime) -> None:
        swept = catch_up(self.services, until, who="year", budget=Budget())
        self.effects.update(swept.by_channel)
        self.failed.extend(swept.failed)

    def _plan(self, at: datetime, account: str, what: str) -> None:
        heapq.heappush(self._later, (at, len(self._later) + self.rng.randrange(1 << 30), account, what))

    def _happen(self, account: str, what: str, now: datetime) -> None:
        rng = self.rng
        if what == "anything":
            what = rng.choices(
                ["part", "all", "hold", "opt-out", "consent", "text", "inbound", "by hand", "notice"],
                [20, 2, 31, 6, 10, 8, 11, 6, 6],
            )[0]
        self.happened[what.partition(":")[0]] += 1
        match what.split(":"):
            case ["part"]:
                self._pay(account, str(rng.choice([5, 10, 20])), now)
            case ["all"]:
                self._pay(account, "800.00", now)
            case ["hold"]:
                kind = rng.choice(self.holds)
                until = now + timedelta(days=rng.randint(1, 30)) if rng.random() < 0.3 else None
                if hold(self.services, account, kind, at=now, until=until, channel=None, who="year") and until is None:
                    self._plan(now + timedelta(days=rng.uniform(1, 40)), account, f"release:{kind}")
            case ["opt-out"]:
                channel = rng.choice(["sms", "call", "letter", None])
                if hold(self.services, account, "CHANNEL_OPTOUT", at=now, until=None, channel=channel, who="year"):
                    self._plan(now + timedelta(days=rng.uniform(5, 60)), account, "release:CHANNEL_OPTOUT")
            case ["release", kind]:
                try:
                    release(self.services, account, kind, at=now, who="year")
                except HoldRefused:
                    self.happened["released before"] += 1
            case ["consent"]:
                channel = rng.choice([ContactChannel.SMS, ContactChannel.CALL])
                give_consent(self.services, account, channel, at=now, evidence="said so", who="year")
            case ["text"]:
                text = rng.choice(["STOP", "START", "HELP", "who is this?"])
                receive_text(self.services.at(VirtualClock(now)), account, text, at=now, who="year")
            case ["inbound"]:
                channel = rng.choice([ContactChannel.CALL, ContactChannel.CALL, ContactChannel.EMAIL])
                outcome = "conversation" if channel is ContactChannel.CALL else ""
                self._contact(account, channel, now, inbound=True, outcome=outcome)
            case ["by hand"]:
                outcome = rng.choice(["no_answer", "promise", "voicemail"])
                self._contact(account, ContactChannel.CALL, now, outcome=outcome)
            case ["notice"]:
                # One notice, or all there are: then no rung is added to the ladder, and the gate alone waits for them.
                packs = self.services.rulebook.packs.values()
                kinds = sorted({rule.notice for pack in packs for rule in pack.notices})
                for kind in rng.choice([kinds, [rng.choice(kinds)]]):
                    self._contact(account, ContactChannel.LETTER, now, notice=kind)
            case other:
                raise ValueError(other)

    def _pay(self, account: str, amount: str, now: datetime) -> None:
        reference = f"P-{self.happened.total()}"
        pay(self.services, account, amount, reference=reference, at=now, source="year", who="year")

    def _contact(
        self,
        account: str,
        channel: ContactChannel,
        now: datetime,
        *,
        inbound: bool = False,
        outcome: str = "",
        notice: str = "",
    ) -> None:
        record_contact(
            self.services, account, channel, inbound=inbound, at=now, outcome=outcome, notice=notice, who="year"
        )

    def _work_the_calls(self, now: datetime) -> None:
        for task in sorted((one.task for one in day_list(self.services, now=now)), key=lambda task: task.key):
            if self.rng.random() < 0.6:
                outcome = self.rng.choices(list(Disposition), [3, 2, 2, 30, 20, 12, 0.3, 0.5, 3, 0.2, 1, 1])[0]
                record_call(self.services, task.account_id, outcome, by="C. Ollector", at=now)
                self.happened["call worked"] += 1

    def _decide_what_waits(self, now: datetime) -> None:
        for waiting in waiting_for_people(self.services, limit=10_000):
            if waiting.rung and self.rng.random() < 0.3:
                try:
                    if approve(self.services, waiting.account_id, waiting.rung, by="A. Counsel", at=now):
                        self.happened["approved"] += 1
                except SteeringRefused:
                    self.happened["approval refused"] += 1


def live_a_year(
    settings: Settings,
    folder: Path,
    *,
    accounts: int,
    days: int,
    seed: int,
    homes: Sequence[str] = tuple(HOMES),
    events_per_account: float = 6,
    eager_every: int = 6,
    holds: Sequence[str] | None = None,
) -> Year:
    """Enrol a portfolio and let it live. Every so many accounts one climbs the eager ladder."""
    rng = Random(seed)
    services = open_services(settings, live=False)
    everybody = range(accounts)
    for ladder, numbers in (
        ("card-standard", [number for number in everybody if number % eager_every]),
        ("eager", [number for number in everybody if number % eager_every == 0]),
    ):
        path = folder / f"{ladder}.csv"
        write_portfolio(path, numbers, rng, homes)
        chosen = replace(services, settings=settings.model_copy(update={"ladder": ladder}))
        taken = enroll(chosen, path, at=BEGINS, who="year", driver="sweep", virtual=True)
        assert taken.enrolled == len(numbers), [row.reason for row in taken.rejected]
    with services.ledger.write() as session:
        # A case's id is drawn by chance; references, hours and the order of calls follow from it.
        session.connection().exec_driver_sql("UPDATE cases SET id = account_id")
    kinds = holds or [kind for kind in hold_kinds(services) if kind != "CHANNEL_OPTOUT"]
    year = Year(services, rng, [f"Y-{number}" for number in everybody], list(kinds))
    year.live(days, events_per_account=events_per_account)
    return year


def copy_of_the_policies(folder: Path) -> Path:
    """The policies as shipped, and the eager ladder beside the standard one."""
    shutil.copytree(POLICIES, folder)
    shutil.copy(Path(__file__).parent / "eager.yaml", folder / "ladders" / "eager.yaml")
    return folder
