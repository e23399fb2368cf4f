"""A busy month against a plain model of balances, holds and statuses: whatever happens, the two agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from arrears.clock import VirtualClock
from arrears.operations.arrange import promise, withdraw
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.hold import hold, release
from arrears.operations.pay import ChargeKind, charge, leftover, pay, reverse
from arrears.operations.services import Services, open_services
from arrears.operations.show import show
from arrears.operations.sweep import sweep
from arrears.settings import Settings
from tests.conftest import HEADER, START, a_row
from tests.support.ledgers import ledger_on

NEW_YORK = ZoneInfo("America/New_York")
BY = {"source": "test", "who": "test"}
# Kinds that stop everything, and whether they cover the person or the one debt.
KINDS = {"DISPUTE_OPEN": False, "PAYMENT_PLAN_ACTIVE": False, "DECEASED": True, "VULNERABLE": True}


@dataclass
class Promise:
    """What was promised, and what has come for it."""

    reference: str
    amount: int
    until: datetime
    came: dict[str, int] = field(default_factory=dict[str, int])
    over: bool = False

    def holds(self, at: datetime) -> bool:
        return not self.over and at < self.until and sum(self.came.values()) < self.amount


@dataclass
class Model:
    """One account, kept with nothing but sums and sets."""

    person: str
    due: int = 120_00
    charges: int = 0
    balance: int = 1200_50
    keep_charges: bool = False
    closed: str = ""
    holds: set[str] = field(default_factory=set[str])
    payments: dict[str, tuple[int, int, int]] = field(default_factory=dict[str, tuple[int, int, int]])
    promises: list[Promise] = field(default_factory=list[Promise])

    @property
    def leftover(self) -> bool:
        return not self.closed and self.due == 0 and self.charges > 0 and not self.keep_charges

    def turn(self) -> None:
        if self.due + self.charges == 0:
            self.closed = self.closed or ("paid" if self.balance <= 0 else "cured")
        else:
            self.closed = ""


def dollars(amount: int) -> str:
    return f"{amount // 100}.{amount % 100:02d}"


class Month(RuleBasedStateMachine):
    """Three accounts, two of them one person's."""

    services: Services
    numbers = count(1)

    @initialize()
    def begin(self) -> None:
        self.n = next(self.numbers)
        self.clock = VirtualClock(START)
        self.here = self.services.at(self.clock)
        self.references = count(1)
        persons = {f"{name}{self.n}": f"{person}{self.n}" for name, person in (("A", "H"), ("B", "H"), ("C", "J"))}
        self.accounts = {account: Model(person) for account, person in persons.items()}
        self.seen: set[str] = set()
        path = self.services.settings.outbox.parent / f"portfolio-{self.n}.csv"
        rows = (a_row(account).strip() + f",{person}\n" for account, person in persons.items())
        path.write_text(HEADER.strip() + ",holder_id\n" + "".join(rows), encoding="utf-8")
        enroll(self.here, path, at=START, who="test", driver="sweep")

    def reference(self) -> str:
        return f"{self.n}-{next(self.references)}"

    def pick(self, which: int) -> tuple[str, Model]:
        return list(self.accounts.items())[which]

    # What happens

    @rule(which=st.integers(0, 2), amount=st.sampled_from([1, 50_00, 120_00, 135_00, 1300_00]))
    def pays(self, which: int, amount: int) -> None:
        account, model = self.pick(which)
        reference = self.reference()
        pay(self.here, account, dollars(amount), reference=reference, at=self.clock.now(), **BY)
        due = min(amount, model.due)
        charges = min(amount - due, model.charges)
        model.due, model.charges, model.balance = model.due - due, model.charges - charges, model.balance - amount
        model.payments[reference] = (due, charges, amount)
        for made in model.promises[-1:]:
            if made.holds(self.clock.now()):
                made.came[reference] = amount
        model.turn()

    @rule(which=st.integers(0, 2), last=st.booleans())
    def bounces(self, which: int, last: bool) -> None:
        account, model = self.pick(which)
        if not model.payments:
            return
        of = list(model.payments)[-1 if last else 0]
        reverse(self.here, account, of, amount=None, reference=self.reference(), at=self.clock.now(), **BY)
        due, charges, amount = model.payments.pop(of)
        model.due, model.charges, model.balance = model.due + due, model.charges + charges, model.balance + amount
        for made in model.promises:
            if made.came.pop(of, 0) and made is not model.promises[-1]:
                made.over = True
        model.turn()

    @rule(which=st.integers(0, 2))
    def is_charged(self, which: int) -> None:
        account, model = self.pick(which)
        charge(self.here, account, ChargeKind.FEE, "15.00", reference=self.reference(), at=self.clock.now(), **BY)
        model.balance += 15_00
        if not model.closed:
            model.charges += 15_00
            model.keep_charges = False

    @precondition(lambda self: any(model.leftover for model in self.accounts.values()))
    @rule(waive=st.booleans())
    def somebody_decides_about_charges(self, waive: bool) -> None:
        account, model = next((a, m) for a, m in self.accounts.items() if m.leftover)
        leftover(self.here, account, waive=waive, at=self.clock.now(), who="test")
        if waive:
            model.balance -= model.charges
            model.charges = 0
        model.keep_charges = not waive
        model.turn()

    @rule(which=st.integers(0, 2), kind=st.sampled_from(sorted(KINDS)))
    def is_held_or_released(self, which: int, kind: str) -> None:
        account, model = self.pick(which)
        if kind in model.holds:
            release(self.here, account, kind, at=self.clock.now(), who="test")
            model.holds.discard(kind)
        else:
            hold(self.here, account, kind, at=self.clock.now(), until=None, channel=None, who="test")
            model.holds.add(kind)

    @rule(which=st.integers(0, 2), days=st.integers(0, 9), amount=st.sampled_from([20_00, 120_00]))
    def promises(self, which: int, days: int, amount: int) -> None:
        account, model = self.pick(which)
        if model.closed:
            return
        reference, now = self.reference(), self.clock.now()
        due_on: date = now.astimezone(NEW_YORK).date() + timedelta(days=days)
        promise(self.here, account, dollars(amount), due_on, reference=reference, at=now, **BY)
        for made in model.promises:
            made.over = True
        until = datetime.combine(due_on + timedelta(days=3), time(0), tzinfo=NEW_YORK).astimezone(UTC)
        model.promises.append(Promise(reference, amount, until))

    @rule(which=st.integers(0, 2))
    def takes_a_promise_back(self, which: int) -> None:
        account, model = self.pick(which)
        for made in model.promises[-1:]:
            if made.holds(self.clock.now()):
                withdraw(self.here, account, made.reference, at=self.clock.now(), **BY)
                made.over = True

    @rule(hours=st.integers(1, 60))
    def time_passes(self, hours: int) -> None:
        for _ in range(hours // 6 + 1):
            self.clock.moment += timedelta(hours=6)
            sweep(self.here, who="test", budget=Budget(), accounts=list(self.accounts))
            self._nothing_went_out_that_should_not()

    # What must be so

    def stands_still(self, account: str, at: datetime) -> bool:
        model = self.accounts[account]
        others = [m for m in self.accounts.values() if m.person == model.person]
        of_the_person = any(KINDS[kind] for other in others for kind in other.holds)
        return bool(
            model.holds or of_the_person or model.leftover or any(made.holds(at) for made in model.promises[-1:])
        )

    def _nothing_went_out_that_should_not(self) -> None:
        now = self.clock.now()
        for account, model in self.accounts.items():
            for step in show(self.here, account)["steps"]:
                mark = f"{step['reference']}/{step['attempt']}"
                if step["status"] == "done" and mark not in self.seen:
                    self.seen.add(mark)
                    assert not model.closed, f"{step['rung']} went out to a closed account"
                    assert not self.stands_still(account, now), f"{step['rung']} went out while the case stood still"

    @invariant()
    def both_tell_the_same(self) -> None:
        now = self.clock.now()
        for account, model in getattr(self, "accounts", {}).items():
            shown = show(self.here, account)
            assert shown["balance"]["amount"] == (
                dollars(model.balance) if model.balance >= 0 else f"-{dollars(-model.balance)}"
            )
            assert shown["amount_due"]["amount"] == dollars(model.due + model.charges)
            if model.closed:
                assert (shown["status"], shown["outcome"]) == ("closed", model.closed)
                continue
            own = {held["kind"] for held in shown["holds"] if held["set_for"] == account}
            assert own == model.holds
            if self.stands_still(account, now):
                assert shown["status"] == "held", shown
            else:
                assert shown["status"] in ("current", "delinquent") or model.promises, shown


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def deployment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp(f"month-{request.param}")
    with ledger_on(request.param, folder) as url:
        opened = open_services(Settings(database_url=url, outbox=folder / "outbox", doubt_seconds=0))
        yield opened
        opened.close()


def test_a_busy_month_ends_as_the_plain_model_says(deployment: Services) -> None:
    class Here(Month):
        services = deployment

    run_state_machine_as_test(
        Here,
        settings=settings(
            # SQLite is the faster to ask.
            max_examples=25 if deployment.ledger.on_sqlite else 10,
            stateful_step_count=20,
            suppress_health_check=list(HealthCheck),
        ),
    )
