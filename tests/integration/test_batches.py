"""Many accounts decided together end where each of them ends by itself."""

from __future__ import annotations

import csv
import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, col, select

import models
from arrears.channels.effect import Intent, Outcome, Refused, TryAgain
from arrears.clock import VirtualClock
from arrears.engine.vocabulary import ChannelName
from arrears.ledger import state
from arrears.ledger.ahead import read_ahead
from arrears.ledger.cases import CaseFile, read_case_file
from arrears.ledger.database import LedgerBusy
from arrears.operations import batch, brakes
from arrears.operations.advance import advance, record_failure
from arrears.operations.brakes import Budget
from arrears.operations.enroll import enroll
from arrears.operations.moves import Standstill
from arrears.operations.services import Services, open_services
from arrears.operations.sweep import catch_up, due_accounts, sweep
from arrears.settings import ROOT, Settings
from tests.conftest import HEADER, START
from tests.support.ledgers import new_postgres_database

PEOPLE = 12
UNTIL = START + timedelta(days=50)


def portfolio(folder: Path) -> Path:
    """The sample portfolio, a third of whose people have two cards more, due on other days."""
    path = folder / "portfolio.csv"
    rows = list(csv.DictReader((ROOT / "demo/portfolio.csv").open()))[:PEOPLE]
    columns = HEADER.strip().split(",")
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow([*columns, "holder_id"])
        for number, row in enumerate(rows):
            for card in range(3 if number % 3 == 0 else 1):
                due = f"2026-08-{1 + card:02d}"
                changed = row | {"account_id": f"{row['account_id']}-{card}", "due_date": due}
                out.writerow([*(changed[name] for name in columns), f"H-{number}"])
    return path


def story(services: Services) -> list[tuple[Any, ...]]:
    """Every step with all that was told to the gate, in an order that no id has a part in."""
    with services.ledger.read() as session:
        rows = session.exec(select(models.Step).order_by(col(models.Step.account_id), col(models.Step.due_at))).all()
        return sorted(
            (s.account_id, s.rung, s.attempt, s.status, s.due_at, str(s.at), s.reason, s.proof,
             str(s.not_before), bool(s.carried_by), str(sorted(s.verdict.items())))
            for s in rows
        )  # fmt: skip


def cases(services: Services) -> list[tuple[Any, ...]]:
    with services.ledger.read() as session:
        rows = session.exec(select(models.Case)).all()
        return sorted(
            (c.account_id, c.status, c.stage, str(c.next_due_at), str(c.next_rung), c.next_reason, c.retry_at is None)
            for c in rows
        )


def one_by_one(services: Services, until: datetime) -> None:
    """What `catch_up` does, with every account by itself."""
    with services.ledger.read() as session:
        queue = [
            (due, key) for due, key in session.exec(select(models.Case.next_due_at, models.Case.account_id)) if due
        ]
    heapq.heapify(queue)
    clock = VirtualClock(queue[0][0])
    virtual = services.at(clock)
    while queue and queue[0][0] <= until:
        due, account_id = heapq.heappop(queue)
        clock.moment = max(clock.moment, due)
        rest = advance(virtual, account_id, who="test").rest
        if isinstance(rest, Standstill) and rest.until is not None:
            heapq.heappush(queue, (rest.until, account_id))


def house(url: str, folder: Path, **more: Any) -> Services:
    services = open_services(Settings(database_url=url, outbox=folder / "outbox", **more), live=False)
    folder.mkdir(parents=True, exist_ok=True)
    enroll(services.at(VirtualClock(START)), portfolio(folder), at=START, who="test", driver="sweep", virtual=True)
    with services.ledger.write() as session:
        # A case's id is drawn by chance, and the hours over which contacts are spread follow from it.
        session.connection().exec_driver_sql("UPDATE cases SET id = account_id")
    return services


@pytest.fixture
def another_url(database_url: str, tmp_path: Path) -> Iterator[str]:
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'another.db'}"
    else:
        with new_postgres_database() as url:
            yield url


def test_many_together_end_where_each_ends_alone(database_url: str, another_url: str, tmp_path: Path) -> None:
    alone, together = house(another_url, tmp_path / "alone"), house(database_url, tmp_path / "together")
    try:
        one_by_one(alone, UNTIL)
        catch_up(together, UNTIL, who="test", budget=Budget())
        assert len(story(together)) > 4 * PEOPLE
        assert story(together) == story(alone)
        assert cases(together) == cases(alone)
    finally:
        alone.close()
        together.close()


class Poisoned:
    """Texts that fail unforeseen for one account."""

    def __init__(self, inner: Any, account_id: str) -> None:
        self._inner, self._account_id = inner, account_id

    def perform(self, intent: Intent) -> Outcome:
        if intent.account_id == self._account_id:
            raise RuntimeError("nobody foresaw this")
        return self._inner.perform(intent)

    def look_up(self, intent: Intent) -> Any:
        return self._inner.look_up(intent)


@pytest.fixture
def due(database_url: str, tmp_path: Path) -> Iterator[Services]:
    """Everybody's first text is due."""
    services = house(database_url, tmp_path / "due")
    yield services.at(VirtualClock(START + timedelta(days=3, hours=8)))
    services.close()


def firsts(services: Services) -> dict[str, str]:
    with services.ledger.read() as session:
        rows = session.exec(select(models.Step).where(models.Step.rung == "sms-1")).all()
        return {step.account_id: step.status for step in rows}


def lines(services: Services) -> list[str]:
    """Every text that went out."""
    return [line for file in (services.settings.outbox / "sms").iterdir() for line in file.read_text().splitlines()]


def with_texts_by(services: Services, channel: Any) -> Services:
    return replace(services, channels={**services.channels, ChannelName.SMS: channel})


def test_an_effect_that_fails_unforeseen_stops_its_own_account_only(due: Services) -> None:
    poisoned = with_texts_by(due, Poisoned(due.channels[ChannelName.SMS], "EB-1002-0"))
    swept = sweep(poisoned, who="test", budget=Budget())
    assert swept.failed == ["EB-1002-0"]
    statuses = firsts(due)
    assert statuses.pop("EB-1002-0") == "intended"
    assert set(statuses.values()) <= {"done", "skipped", "planned"}
    assert list(statuses.values()).count("done") >= PEOPLE - 5


def test_a_decision_that_fails_unforeseen_stops_its_own_account_only(due: Services) -> None:
    with due.ledger.write() as session:
        session.get_one(models.Account, "EB-1002-0").zones = ["Nowhere/Atall"]
    swept = sweep(due, who="test", budget=Budget())
    assert swept.failed == ["EB-1002-0"]
    assert list(firsts(due).values()).count("done") >= PEOPLE - 5
    with due.ledger.read() as session:
        events = session.exec(select(models.Event).where(models.Event.what == "failure")).all()
        assert [event.account_id for event in events] == ["EB-1002-0"]


class Bulky(Poisoned):
    """The same for a channel that makes many at once: one poisoned intent, and none of them is made."""

    def perform_all(self, intents: Sequence[Intent]) -> list[Outcome]:
        if any(intent.account_id == self._account_id for intent in intents):
            raise RuntimeError("nobody foresaw this")
        return self._inner.perform_all(intents)


def test_an_intent_that_spoils_its_bulk_stops_its_own_account_only(due: Services) -> None:
    spoilt = with_texts_by(due, Bulky(due.channels[ChannelName.SMS], "EB-1002-0"))
    swept = sweep(spoilt, who="test", budget=Budget())
    assert swept.failed == ["EB-1002-0"]
    statuses = firsts(due)
    assert statuses.pop("EB-1002-0") == "intended"
    assert list(statuses.values()).count("done") >= PEOPLE - 5
    out = [json.loads(line)["reference"] for line in lines(due)]
    assert len(out) == len(set(out)) >= 8


def test_a_case_that_somebody_has_locked_stops_its_own_account_only(
    due: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(session: Session, account_id: str, **more: Any) -> CaseFile:
        if account_id == "EB-1002-0" and settling:
            raise LedgerBusy("another session kept a lock")
        return read_case_file(session, account_id, **more)

    settling: list[bool] = []

    class Then(Poisoned):
        def perform(self, intent: Intent) -> Outcome:
            settling.append(True)
            return self._inner.perform(intent)

    for module in ("advance", "batch", "moves", "perform"):
        monkeypatch.setattr(f"arrears.operations.{module}.read_case_file", locked)
    swept = sweep(with_texts_by(due, Then(due.channels[ChannelName.SMS], "")), who="test", budget=Budget())
    assert swept.failed == ["EB-1002-0"]
    statuses = firsts(due)
    assert statuses.pop("EB-1002-0") == "intended"
    assert list(statuses.values()).count("done") >= PEOPLE - 5


@pytest.mark.parametrize("failures", [4, 60, 100_000])
def test_a_closed_case_that_fails_for_ever_is_looked_at_seldom(due: Services, failures: int) -> None:
    with due.ledger.write() as session:
        case = session.exec(select(models.Case).where(models.Case.account_id == "EB-1002-0")).one()
        case.status, case.failures = "closed", failures
    rest = record_failure(due, "EB-1002-0", RuntimeError(), who="test")
    assert rest.wall_until is not None
    assert rest.wall_until - due.clock.wall() <= timedelta(days=1)


class Refusing:
    """Takes texts in bulk, and refuses or puts off some of them."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def perform(self, intent: Intent) -> Outcome:
        raise AssertionError("what can be made in bulk was made singly")

    def perform_all(self, intents: list[Intent]) -> list[Outcome]:
        answers: dict[str, Outcome] = {
            "EB-1002-0": Refused("30005", "unknown number"),
            "EB-1003-0": TryAgain("busy", timedelta(minutes=5)),
        }
        good = [intent for intent in intents if intent.account_id not in answers]
        made = iter(self._inner.perform_all(good))
        return [answers.get(intent.account_id) or next(made) for intent in intents]

    def look_up(self, intent: Intent) -> Any:
        return self._inner.look_up(intent)


def test_of_many_effects_made_as_one_each_has_its_own_outcome(due: Services) -> None:
    refusing = with_texts_by(due, Refusing(due.channels[ChannelName.SMS]))
    swept = sweep(refusing, who="test", budget=Budget())
    statuses = firsts(due)
    assert (statuses["EB-1002-0"], statuses["EB-1003-0"]) == ("failed", "planned")
    assert swept.by_channel["sms"] == len(lines(due)) > PEOPLE - 5


def test_two_sweeps_at_once_share_the_work_and_repeat_none(due: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second begins while the first has decided and not yet made anything."""
    if due.ledger.on_sqlite:
        pytest.skip("SQLite has one writer at a time: a second sweep waits for the first")
    seen: list[int] = []
    make = batch._make

    def and_sweep(services: Services, moves: Any, pool: Any) -> Any:
        if not seen:
            seen.append(len(moves))
            seen.append(sweep(due, who="second", budget=Budget()).effects)
        return make(services, moves, pool)

    monkeypatch.setattr(batch, "_make", and_sweep)
    swept = sweep(due, who="first", budget=Budget())
    assert seen[0] > 0
    assert seen[1] == 0, "the second made what the first had intended"
    assert swept.effects == len(lines(due)) > PEOPLE - 5


def test_a_run_s_ceiling_holds_within_a_batch(due: Services) -> None:
    swept = sweep(due, who="test", budget=Budget(5))
    assert swept.effects == 5
    assert swept.braked == "the ceiling of effects for this run is reached"


def test_a_day_s_ceiling_holds_within_a_batch(due: Services) -> None:
    capped = replace(due, settings=due.settings.model_copy(update={"most_effects_per_day": 7}))
    assert sweep(capped, who="test", budget=Budget()).effects == 7
    assert sweep(capped, who="test", budget=Budget()).effects == 0


def test_a_day_s_effects_are_noted_counted_anew_now_and_then_and_never_exceed_the_ceiling(
    due: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    count = brakes._count

    def counted(*args: Any) -> int:
        counts.append(count(*args))
        return counts[-1]

    monkeypatch.setattr(brakes, "_count", counted)
    settings = due.settings.model_copy(update={"most_effects_per_day": 100, "sweep_batch": 1})
    capped = replace(due, settings=settings)
    made = sweep(capped, who="test", budget=Budget(7)).effects
    assert made == 7
    # While there are none yet, and after each two; not before every intent.
    assert [each for each in counts if each] == [2, 4, 6]
    assert _noted(due) == 7
    low = replace(due, settings=settings.model_copy(update={"most_effects_per_day": 8}))
    assert sweep(low, who="test", budget=Budget()).effects == 1
    # What the note has too much of, because it was put back, is there for others once it is counted anew.
    with due.ledger.write() as session:
        step = session.exec(select(models.Step).where(models.Step.status == "done")).first()
        assert step is not None
        step.status = "planned"
    assert _noted(due) == 8
    assert sweep(low, who="test", budget=Budget()).effects == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_far_from_the_day_s_ceiling_two_decide_at_once_and_neither_passes_it(
    due: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brakes, "_NEAR", 0)
    monkeypatch.setattr(brakes, "_is_inexact", lambda before, exact, per_day: before >= per_day)
    settings = due.settings.model_copy(update={"most_effects_per_day": 7, "sweep_batch": 4})
    capped = replace(due, settings=settings)
    assert sweep(capped, who="test", budget=Budget(1)).effects == 1
    note, made = brakes.note_made, list[int]()

    def late(session: Session, budget: Budget) -> None:
        """Another sweep, from the beginning to its end, between the decisions and the commit of this one."""
        if budget is mine and not made:
            made.append(sweep(capped, who="other", budget=Budget()).effects)
        note(session, budget)

    monkeypatch.setattr("arrears.operations.batch.note_made", late)
    mine = Budget()
    swept = sweep(capped, who="mine", budget=mine)
    assert (made, swept.effects) == ([6], 0)
    assert swept.braked == "the ceiling of 7 effects for this day is reached"
    assert len(lines(due)) == 7
    assert _noted(due) == 7


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("days", "shared"), [(0, False), (1, True)], ids=["an agency", "midnight"])
@pytest.mark.parametrize(("others", "passed"), [(4, False), (10, True)])
def test_what_was_made_in_company_counts_before_others_are_kept_off_and_before_the_day_ends(
    due: Services, monkeypatch: pytest.MonkeyPatch, days: int, shared: bool, others: int, passed: bool
) -> None:
    monkeypatch.setattr(brakes, "_NEAR", 0)
    monkeypatch.setattr(brakes, "_is_inexact", lambda *_: False)
    now, budget = due.clock.now(), Budget()
    day = now.date()

    def say(made: int) -> None:
        with due.ledger.write() as session:
            state.put(session, state.EFFECTS_TODAY, f"{day}T00:00:00+00:00 {made} {made}")

    def looks(session: Session, after: int, *, shared: bool) -> brakes.Brake | None:
        return brakes.braked(session, budget, per_day=10, now=now + timedelta(days=after), shared=shared)

    say(3)
    with due.ledger.session() as session, due.ledger.writing(session):
        read_ahead(session, ["EB-1001-0"], since=now, wait=True)
        assert looks(session, 0, shared=True) is None
        brakes.spend(session, budget)
        # Nobody was kept from it.
        say(others)
        if passed:
            with pytest.raises(brakes.CeilingPassed):
                looks(session, days, shared=shared)
            return
        # Nothing is counted here, so that of the next day's effects nothing is known.
        assert (looks(session, days, shared=shared) is None) is (days == 0)
        row = session.get_one(models.LedgerState, state.EFFECTS_TODAY)
        assert row.value == f"{day}T00:00:00+00:00 5 4"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_outcomes_that_would_pass_the_ceiling_with_what_follows_are_committed_with_everybody_kept_off(
    due: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alone: list[bool] = []

    def passing(session: Session, budget: Budget) -> None:
        alone.append(brakes._ALONE in session.info)
        if len(alone) == 2:
            raise brakes.CeilingPassed

    monkeypatch.setattr("arrears.operations.batch.note_made", passing)
    swept = sweep(due, who="test", budget=Budget())
    assert alone[:3] == [False, False, True]
    assert swept.effects == len(lines(due)) > PEOPLE - 5
    assert "one by one" not in caplog.text
    assert set(firsts(due).values()) <= {"done", "planned", "skipped"}


def _noted(services: Services) -> int:
    with services.ledger.read() as session:
        return int(session.get_one(models.LedgerState, "effects_today").value.split()[1])


def test_a_payment_between_intent_and_effect_stops_its_own_text_only(
    due: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = batch._make

    def pay_first(services: Services, moves: Any, pool: Any) -> Any:
        with due.ledger.write() as session:
            _pay(session, "EB-1002-0")
        return make(services, moves, pool)

    monkeypatch.setattr(batch, "_make", pay_first)
    sweep(due, who="test", budget=Budget())
    statuses = firsts(due)
    assert statuses["EB-1002-0"] == "skipped"
    assert list(statuses.values()).count("done") > PEOPLE - 5


def _pay(session: Session, account_id: str) -> None:
    session.get_one(models.Account, account_id).amount_due = 0


def test_the_longest_due_comes_first_and_a_case_of_which_only_the_recall_is_due_last(due: Services) -> None:
    now = due.clock.now()
    with due.ledger.write() as session:
        rows = session.exec(select(models.Case).order_by(col(models.Case.account_id))).all()
        for case in rows:
            case.next_due_at = now + timedelta(days=1)
        rows[0].next_due_at, rows[0].recall_at = None, now - timedelta(days=9)
        rows[1].next_due_at = now
        rows[2].next_due_at, rows[2].recall_at = now - timedelta(days=1), now
        rows[3].next_due_at, rows[3].status = now - timedelta(days=2), "halted"
        expected = [rows[2].account_id, rows[1].account_id, rows[0].account_id]
    assert due_accounts(due, limit=10) == expected
    assert due_accounts(due, limit=2) == expected[:2]
