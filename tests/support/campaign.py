"""A portfolio that lives through its thirty days while what carries it is killed, cut off, filled up and slowed down.

The ledger's time is the test's: it goes on from one moment at which something is due to the next when all that was
due has been done, however often that took. So a life under fire can be held, fact for fact, against an undisturbed one.
"""

from __future__ import annotations

import random
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import or_
from sqlmodel import col, select
from twilio.request_validator import RequestValidator

import models
from arrears.clock import VirtualClock, iso
from arrears.engine.vocabulary import CaseStatus, StepStatus
from arrears.ledger.database import LedgerError
from arrears.operations.enroll import enroll
from arrears.operations.services import Services, open_services
from arrears.settings import Settings
from tests.conftest import HEADER, a_row
from tests.support.cluster import Cluster
from tests.support.desk_server import API_TOKEN, SECRET
from tests.support.mortals import Mortals, Order
from tests.support.patrol import Bulletin
from tests.support.prefect_house import Timeout, free_port, wait_for
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, FAULTS, SENDER, TwilioStandIn

BEGINS = datetime(2026, 8, 1, 12, tzinfo=UTC)
ENDS = BEGINS + timedelta(days=40)
POISONED = "A-0013"
LANDLINE = "+15185551017"
# At night nothing is due, so that what happens then happens before all that comes after it, however late it is told.
_NIGHT = timedelta(hours=16)


@dataclass(frozen=True)
class Fact:
    """Something that happens outside at `at`, and how it is told: a JSON event, or a form as Twilio signs it."""

    at: datetime
    path: str
    document: Mapping[str, Any]
    form: bool = False


@dataclass
class Deployment:
    """Sweeps, the service and their ledger, as they run in one campaign."""

    url: str
    folder: Path
    policies: Path
    accounts: int
    days: int
    twilio: TwilioStandIn
    lease_seconds: int
    desk: int = field(default_factory=lambda: free_port())

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.bulletin = Bulletin(self.folder)
        self.bulletin.stand_at(BEGINS)
        self._services: Services | None = None
        self._reported = 0

    @property
    def address(self) -> str:
        """Of the service."""
        return f"http://127.0.0.1:{self.desk}"

    @property
    def settings(self) -> dict[str, Any]:
        """As a machine sets them; most times are short, so that what hangs on them is seen."""
        return {
            "database_url": self.url,
            "outbox": str(self.folder / "outbox"),
            "documents": str(self.folder / "documents"),
            "policies": str(self.policies),
            "database_pool_size": 4,
            "database_pool_overflow": 4,
            "database_connect_seconds": 3,
            "database_lock_seconds": 10,
            # Longer than the stand-in ever takes to accept what has reached it.
            "doubt_seconds": 2,
            "lease_seconds": self.lease_seconds,
            "sweep_batch": max(4, self.accounts // 4),
            "twilio_account_sid": ACCOUNT_SID,
            "twilio_auth_token": AUTH_TOKEN,
            "twilio_from": SENDER,
            "twilio_base_url": self.twilio.url,
            "public_base_url": self.address,
            "secret": SECRET,
            "api_token": API_TOKEN,
        }

    @property
    def services(self) -> Services:
        """The auditor's own look at the ledger."""
        if self._services is None:
            self._services = open_services(Settings(**self.settings))
        return self._services.at(VirtualClock(self.bulletin.moment))

    def close(self) -> None:
        if self._services is not None:
            self._services.close()

    def process(self, command: str, machine: str) -> Order:
        """`patrol`, sweeps without end, or `serve`, the service, on the machine of that name."""
        port = self.desk if command == "serve" else 0
        return Order(self.settings, command, bulletin=str(self.folder), clock=machine, port=port)

    def enroll(self) -> None:
        """People in New York whose payments fell due on so many days; some have two cards, and one row is broken.

        The file comes twice, as files do.
        """
        path = self.folder / "portfolio.csv"
        rows = [
            a_row(
                f"A-{n:04d}",
                name=f"Holder {n}",
                phone=f"+1518555{1000 + n:04d}",
                due_date=f"2026-08-0{1 + n % self.days}",
            ).rstrip()
            + f",H-{n - n % 10 if n % 10 < 2 else n}\n"
            for n in range(self.accounts)
        ]
        path.write_text(HEADER.rstrip() + ",holder_id\n" + "".join(rows), encoding="utf-8")
        for _ in range(2):
            enroll(self.services, path, at=BEGINS, who="test", driver="sweep", virtual=False)
        with self.services.ledger.write() as session:
            case = session.exec(select(models.Case).where(models.Case.account_id == POISONED)).one()
            case.ladder = "burnt"

    def facts(self) -> Iterator[Fact]:
        """What happens to the accounts, by their numbers: half of them have some life of their own."""
        for n in range(self.accounts):
            account, number = f"A-{n:04d}", f"+1518555{1000 + n:04d}"
            match n % 10:
                case 2:
                    yield self._event(account, 3, "payment", amount="120.00", currency="USD")
                case 3:
                    yield self._event(account, 6, "payment", amount="20.00", currency="USD")
                    yield self._event(account, 11, "payment", amount="100.00", currency="USD")
                case 4:
                    yield self._event(account, 3, "hold", kind="DISPUTE_OPEN", evidence="letter of the holder")
                    yield self._event(account, 11, "release", kind="DISPUTE_OPEN")
                case 5:
                    words = {"AccountSid": ACCOUNT_SID, "From": number, "To": SENDER, "Body": "STOP"}
                    sid = f"SM{n:032x}"
                    yield Fact(
                        BEGINS + timedelta(days=6) + _NIGHT, "/twilio/messages", words | {"MessageSid": sid}, form=True
                    )
                case 6:
                    yield self._event(account, 6, "promise", amount="120.00", due_on="2026-08-14")
                case _:
                    pass

    def _event(self, account: str, day: int, event: str, **more: Any) -> Fact:
        at = BEGINS + timedelta(days=day) + _NIGHT
        told = {"account_id": account, "event": event, "reference": f"{account}-{event}-{day}", "at": iso(at)}
        return Fact(at, "/events", told | more)

    def tell(self, fact: Fact) -> None:
        """Tell it until it is taken, and then once more, as whoever got no answer does."""
        for _ in range(2):
            wait_for(f"the taking of {fact.path}", lambda: self._told(fact), seconds=180)

    def _told(self, fact: Fact) -> bool:
        address = f"{self.address}{fact.path}"
        try:
            if fact.form:
                signature = RequestValidator(AUTH_TOKEN).compute_signature(address, fact.document)
                headers = {"X-Twilio-Signature": signature}
                answer = httpx.post(address, data=dict(fact.document), headers=headers, timeout=5, trust_env=False)
            else:
                headers = {"Authorization": f"Bearer {API_TOKEN}"}
                answer = httpx.post(address, json=fact.document, headers=headers, timeout=5, trust_env=False)
        except httpx.HTTPError:
            return False
        # 409: this very form was handled before.
        assert answer.status_code in (200, 201, 204, 409, 503), f"{answer.status_code}: {answer.text}"
        return answer.status_code != 503

    def report_texts(self) -> None:
        """What became of each new text is reported: twice, and its end before its middle. One person's never arrive."""
        for text in self.twilio.accepted()[self._reported :]:
            url = self.twilio.mailbox.callbacks[text["sid"]]
            end = (
                {"MessageStatus": "undelivered", "ErrorCode": "30006"}
                if text["to"] == LANDLINE
                else {"MessageStatus": "delivered"}
            )
            for status in (end, {"MessageStatus": "sent"}, end):
                report = Fact(
                    BEGINS,
                    url.removeprefix(self.address),
                    {"AccountSid": ACCOUNT_SID, "MessageSid": text["sid"], **status},
                    form=True,
                )
                wait_for("the taking of a report", partial(self._told, report), seconds=180)
            self._reported += 1

    def next_moment(self, facts: Sequence[Fact]) -> datetime | None:
        """When something is due next, or happens."""
        with self.services.ledger.read() as session:
            due = session.exec(
                select(models.Case.next_due_at)
                .where(col(models.Case.next_due_at).is_not(None), models.Case.account_id != POISONED)
                .where(models.Case.status != CaseStatus.HALTED)
                .order_by(col(models.Case.next_due_at))
                .limit(1)
            ).first()
            recall = session.exec(
                select(models.Case.recall_at)
                .where(col(models.Case.recall_at).is_not(None))
                .order_by(col(models.Case.recall_at))
            ).first()
        moments = [moment for moment in (due, recall, *(fact.at for fact in facts[:1])) if moment is not None]
        return min(moments, default=None)

    def is_quiet(self) -> bool:
        """Whether everything that is due has been done, and nothing is under way."""
        moment = self.bulletin.moment
        case = models.Case
        with suppress(LedgerError), self.services.ledger.read() as session:
            due = or_(col(case.next_due_at) <= moment, col(case.recall_at) <= moment)
            waits = select(case.id).where(due, case.account_id != POISONED, case.status != CaseStatus.HALTED).limit(1)
            under_way = select(models.Step.id).where(models.Step.status == StepStatus.INTENDED).limit(1)
            unwritten = (
                select(models.PlacementBatch.agency).where(col(models.PlacementBatch.unwritten).is_(True)).limit(1)
            )
            return not any(session.exec(query).first() for query in (waits, under_way, unwritten))
        return False


FaultAt = Callable[[random.Random], str]


class Fire:
    """Faults at random instants, one after the other, as many as it is fed. `log` tells what it did.

    They are dealt as cards are: every one of them comes, in any order, before one comes again.
    """

    def __init__(self, seed: int, pause: float, faults: Iterable[FaultAt]) -> None:
        self._random, self._pause = random.Random(seed), pause
        self._faults = list(faults)
        self._deck: list[FaultAt] = []
        self._fuel = threading.Semaphore(0)
        self._out = threading.Event()
        self._thread = threading.Thread(target=self._burn)
        self.log: list[str] = []
        self.failure: Exception | None = None

    @property
    def untried(self) -> int:
        """How many of the faults have not come once."""
        return max(0, len(self._faults) - len(self.log))

    def feed(self, faults: int) -> None:
        """Let so many more happen: all that happens must leave lives the time to go on."""
        self._fuel.release(faults)

    @contextmanager
    def burning(self) -> Iterator[None]:
        """Burn meanwhile. What goes wrong in it says what was done before."""
        self._began = time.monotonic()
        self._thread.start()
        try:
            yield
        except BaseException as error:
            error.add_note("\n".join(["what was done to it:", *self.log[-40:]]))
            raise
        finally:
            self._out.set()
            self._fuel.release()
            self._thread.join(timeout=120)
        if self.failure is not None:
            raise self.failure

    def _burn(self) -> None:
        while self._faults and not self._out.wait(self._random.expovariate(1 / self._pause)):
            self._fuel.acquire()
            if not self._deck:
                self._deck = self._random.sample(self._faults, len(self._faults))
            try:
                done = self._deck.pop()(self._random)
            except Exception as error:
                self.failure = error
                return
            self.log.append(f"{time.monotonic() - self._began:6.1f} s: {done}")


class Crew:
    """The processes of a deployment, each replaced once it is killed: two machines that sweep, one that serves."""

    def __init__(self, mortals: Mortals, deployment: Deployment) -> None:
        self._mortals, self._deployment = mortals, deployment
        self._orders = {
            "sweep one": deployment.process("patrol", "one"),
            "sweep two": deployment.process("patrol", "two"),
            "service": deployment.process("serve", "one"),
        }
        self._pids = {name: mortals.start(order) for name, order in self._orders.items()}

    @property
    def faults(self) -> Iterator[FaultAt]:
        """kill -9 of each."""
        return (partial(self._kill, name) for name in self._orders)

    @property
    def clocks(self) -> Iterator[FaultAt]:
        """Machine two's clock is set, back by an hour for one thing, and wherever else."""
        for minutes in (-60, -10, 10, 60):
            yield partial(self._set_clock, minutes)

    def end(self) -> Counter[str]:
        """Wait until the sweeps have gone home, and kill the service; how often the sweeps said each thing."""
        said: Counter[str] = Counter()
        for name, pid in self._pids.items():
            if self._orders[name].command == "serve":
                self._mortals.kill(pid)
                continue
            ended = self._mortals.wait(pid)
            assert ended.how == "unharmed", ended
            said.update(ended.boundaries)
        return said

    def _kill(self, name: str, _: random.Random) -> str:
        self._mortals.kill(self._pids[name])
        self._pids[name] = self._mortals.start(self._orders[name])
        return f"{name} killed"

    def _set_clock(self, minutes: int, _: random.Random) -> str:
        self._deployment.bulletin.set_clock("two", timedelta(minutes=minutes))
        return f"machine two's clock {minutes:+} minutes from the true time"


def faults_of_twilio(twilio: TwilioStandIn) -> Iterator[FaultAt]:
    """Whatever the stand-in can do to the next few requests."""

    def order(kind: str, rnd: random.Random) -> str:
        # One after the other: each failure makes the next try wait longer, and lives are to end.
        twilio.faults.clear()
        times = rnd.randint(1, 4)
        twilio.fault(kind, times=times, seconds=1.0, retry_after=1)
        return f"Twilio: {times} x {kind}"

    return (partial(order, kind) for kind in FAULTS)


def faults_of_postgresql(cluster: Cluster) -> Iterator[FaultAt]:
    """Killed, restarted, crowded out, cut off, and its disk full."""

    def killed(_: random.Random) -> str:
        cluster.kill()
        cluster.start()
        return "PostgreSQL killed"

    def restarted(_: random.Random) -> str:
        cluster.stop()
        cluster.start()
        return "PostgreSQL restarted"

    def crowded(rnd: random.Random) -> str:
        taken = cluster.crowd()
        time.sleep(rnd.uniform(0.2, 1.5))
        for connection in taken:
            connection.close()
        return f"{len(taken)} of PostgreSQL's connections taken"

    def cut_off(_: random.Random) -> str:
        return f"{cluster.end_sessions()} sessions ended"

    def full(rnd: random.Random) -> str:
        cluster.fill_disk()
        time.sleep(rnd.uniform(0.2, 1.5))
        cluster.empty_disk()
        # Without room for its log it ends itself.
        cluster.start()
        return "PostgreSQL's disk full"

    yield from (killed, restarted, crowded, cut_off)
    if cluster.is_small:
        yield full
    else:
        warnings.warn("no file system may be mounted here: PostgreSQL's disk is not filled", stacklevel=2)


def live(deployment: Deployment, fire: Fire, *, faults: int) -> None:
    """Thirty days and the days after, moment by moment, each with so many faults as far as there is time."""
    facts = sorted(deployment.facts(), key=lambda fact: fact.at)
    while (moment := retried(lambda: deployment.next_moment(facts))) is not None and moment < ENDS:
        fire.feed(faults)
        deployment.bulletin.stand_at(max(moment, deployment.bulletin.moment))
        while facts and facts[0].at <= moment:
            deployment.tell(facts.pop(0))
        try:
            wait_for(f"all that is due at {moment}", deployment.is_quiet, seconds=600)
            deployment.report_texts()
        except Timeout as error:
            if fire.failure is not None:
                raise fire.failure from error
            raise


def retried(ask: Callable[[], Any]) -> Any:
    """Ask a ledger that may be away just now."""
    answer: list[Any] = []

    def asked() -> bool:
        with suppress(LedgerError):
            answer.append(ask())
            return True
        return False

    wait_for("the ledger", asked, seconds=180)
    return answer[0]
