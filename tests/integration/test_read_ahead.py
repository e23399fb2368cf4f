"""What one transaction read of a person serves the next, unless anybody has written about them in between."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

import models
from arrears.clock import VirtualClock
from arrears.ledger.ahead import Person, forget, person_of, read_ahead
from arrears.ledger.cases import lock_person
from arrears.operations.brakes import Budget
from arrears.operations.services import Services
from arrears.operations.sweep import sweep
from tests.conftest import HEADER, START, a_row
from tests.integration.stories import take_in

PEOPLE = ["A-1", "B-1"]
SINCE = START - timedelta(days=30)


def rows(folder: Path, *accounts: tuple[str, str, str]) -> Path:
    """A portfolio of these accounts, holders and numbers."""
    lines = [a_row(account_id, phone=phone).strip() + f",{holder}\n" for account_id, holder, phone in accounts]
    path = folder / f"{accounts[0][0]}.csv"
    path.write_text(HEADER.strip() + ",holder_id\n" + "".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def two_people(services: Services, tmp_path: Path) -> Services:
    """Each has had a text about one account."""
    take_in(services, rows(tmp_path, ("A-1", "A", "+15185550101"), ("B-1", "B", "+15185550102")))
    sweep(services.at(VirtualClock(START + timedelta(days=3, hours=8))), who="test", budget=Budget())
    return services


def read(session: Session) -> tuple[Person, Person]:
    """What is read ahead of the two."""
    assert read_ahead(session, PEOPLE, since=SINCE, wait=True) == PEOPLE
    one, other = person_of(session, holder_id="A"), person_of(session, account_id="B-1")
    assert one is not None
    assert other is not None
    return one, other


def pay(session: Session) -> None:
    session.get_one(models.Account, "B-1").amount_due = 0


def halt(session: Session) -> None:
    session.exec(select(models.Case).where(models.Case.account_id == "B-1")).one().status = "halted"


def fail(session: Session) -> None:
    session.exec(select(models.Step).where(models.Step.account_id == "B-1")).one().status = "failed"


def remark(session: Session) -> None:
    event = models.LifeEvent(
        source="test", external_id="1", account_id="B-1", kind="number", happened_at=START, received_at=START,
        data={"number": "+12125550100", "good": False, "why": ""}, via="test", recorded_by="test",
    )  # fmt: skip
    session.add(event)


def consent(session: Session) -> None:
    session.add(models.Consent(account_id="B-1", channel="sms", at=START, recorded_by="test"))


def call(session: Session) -> None:
    session.add(models.Contact(account_id="B-1", channel="call", direction="inbound", at=START, recorded_by="test"))


def approve(session: Session) -> None:
    case = session.exec(select(models.Case).where(models.Case.account_id == "B-1")).one()
    session.add(models.Approval(case_id=case.id, rung="legal-1", approved_by="somebody", at=START))


def hold(session: Session) -> None:
    session.add(models.Hold(account_id="B-1", holder_id="B", kind="dispute", since=START, set_by="test"))


def hold_by_number(session: Session) -> None:
    [number] = session.get_one(models.Account, "B-1").phones
    session.add(models.Hold(account_id="A-1", holder_id="A", number=number, kind="opt_out", since=START, set_by="test"))


def shown(person: Person) -> object:
    case, account = person.newest["B-1"]
    return (
        account.amount_due, case.status, [step.status for step in person.steps[case.id]], person.life["B-1"],
        len(person.consents["B-1"]), len(person.contacts), len(person.approvals[case.id]), len(person.holds),
    )  # fmt: skip


@pytest.mark.parametrize("change", [pay, halt, fail, remark, consent, call, approve, hold, hold_by_number])
def test_whatever_is_written_about_a_person_in_between_is_seen(
    two_people: Services, change: Callable[[Session], object]
) -> None:
    ledger = two_people.ledger
    with ledger.session() as session:
        with ledger.writing(session):
            before = shown(read(session)[1])
        with ledger.write() as other:
            change(other)
        with ledger.writing(session):
            after = shown(read(session)[1])
    with ledger.write() as session:
        assert after == shown(read(session)[1])
    assert after != before


def test_an_account_that_falls_due_in_between_is_seen(two_people: Services, tmp_path: Path) -> None:
    ledger = two_people.ledger
    with ledger.session() as session:
        with ledger.writing(session):
            assert list(read(session)[1].newest) == ["B-1"]
        take_in(two_people, rows(tmp_path, ("B-2", "B", "+15185550102")))
        with ledger.writing(session):
            assert list(read(session)[1].newest) == ["B-1", "B-2"]


def test_of_whom_nothing_was_written_nothing_is_read_again(two_people: Services) -> None:
    ledger = two_people.ledger

    def read_twice() -> tuple[bool, bool]:
        with ledger.session() as session:
            with ledger.writing(session):
                before = read(session)
            with ledger.write() as somebody:
                somebody.get_one(models.Account, "B-1").balance += 1
            with ledger.writing(session):
                one, other = (again is known for again, known in zip(read(session), before, strict=True))
                return one, other

    expected = (not ledger.on_sqlite, False)  # SQLite does not tell which rows are new
    # A transaction that others of the server have had under way since the two were enrolled makes both be read.
    assert any(read_twice() == expected for _ in range(500))


def test_own_changes_are_known_and_what_was_forgotten_is_read(two_people: Services) -> None:
    ledger = two_people.ledger
    with ledger.session() as session:
        with ledger.writing(session):
            one, other = read(session)
            one.newest["A-1"][0].next_reason = "changed by us"
            hold(session)
            forget(session, "B")
        with ledger.writing(session):
            again = read(session)
            assert again[0].newest["A-1"][0].next_reason == "changed by us"
            assert again[1] is not other
            assert [row.kind for row in again[1].holds] == ["dispute"]


def test_nothing_of_a_transaction_that_failed_is_kept(two_people: Services) -> None:
    ledger = two_people.ledger

    def fail_in(session: Session) -> None:
        with ledger.writing(session):
            read(session)[0].newest["A-1"][0].next_reason = "never committed"
            raise ZeroDivisionError

    with ledger.session() as session:
        with pytest.raises(ZeroDivisionError):
            fail_in(session)
        with ledger.writing(session):
            assert read(session)[0].newest["A-1"][0].next_reason != "never committed"


def test_what_is_committed_while_a_lock_is_waited_for_is_seen(two_people: Services) -> None:
    ledger = two_people.ledger

    def due() -> int:
        with ledger.write() as session:
            return read(session)[1].newest["B-1"][1].amount_due

    with ThreadPoolExecutor(1) as pool:
        with ledger.write() as payer:
            lock_person(payer, "B-1")
            pay(payer)
            payer.flush()
            waiting = pool.submit(due)
            while not (ledger.on_sqlite or waits_for(payer)):
                assert not waiting.done()
        assert waiting.result() == 0


def waits_for(session: Session) -> bool:
    """Whether anybody waits for a lock of this transaction."""
    blocked = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
    return session.connection().execute(blocked).scalar_one() > 0
