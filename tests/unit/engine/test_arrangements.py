"""Promises and plans: kept, partly kept, broken, replaced, and until when they hold the ladder back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from arrears.engine.life.arrangements import Arrangement, Kept, arrangements, last_broken, pause
from arrears.engine.life.books import Receipt
from arrears.engine.life.events import Instalment, LifeEvent, Plan, Promise, Withdrawn

MADE = datetime(2026, 9, 1, 15, tzinfo=UTC)
FRIDAY = date(2026, 9, 4)
# Two days of grace after Friday: Monday, midnight in New York.
JUDGED = datetime(2026, 9, 7, 4, tzinfo=UTC)


def promised(amount: int = 50_00, due_on: date = FRIDAY, at: datetime = MADE, key: str = "p1") -> Promise:
    return Promise(key=key, at=at, amount=amount, due_on=due_on)


def came(amount: int, at: datetime, *taken_back: tuple[datetime, int], key: str = "m1") -> Receipt:
    return Receipt(key, at, amount, 1, taken_back)


def standing(*events: LifeEvent, money: tuple[Receipt, ...] = (), now: datetime) -> tuple[Arrangement, ...]:
    return arrangements(events, money, zone="America/New_York", grace_days=2, now=now)


def test_a_promise_holds_until_its_grace_is_over_and_is_then_broken():
    [before] = standing(promised(), now=JUDGED - timedelta(seconds=1))
    assert (before.status, before.holds_until, before.due_on) == (Kept.OPEN, JUDGED, FRIDAY)
    held = pause([before])
    assert held is not None
    assert (held.reason, held.until) == ("promise until 2026-09-04", JUDGED)
    [after] = standing(promised(), now=JUDGED)
    assert (after.status, after.holds_until, after.ended_at) == (Kept.BROKEN, None, JUDGED)
    assert pause([after]) is None
    assert last_broken([after]) == after


@pytest.mark.parametrize(
    ("money", "status", "paid"),
    [
        ((came(50_00, MADE),), Kept.KEPT, 50_00),
        ((came(80_00, JUDGED - timedelta(seconds=1)),), Kept.KEPT, 50_00),
        ((came(50_00, JUDGED),), Kept.BROKEN, 0),
        ((came(50_00, MADE - timedelta(seconds=1)),), Kept.BROKEN, 0),
        ((replace(came(50_00, MADE), seq=-1),), Kept.BROKEN, 0),
        ((came(20_00, MADE), came(29_99, MADE, key="m2")), Kept.PARTLY_KEPT, 49_99),
        ((came(20_00, MADE), came(30_00, MADE, key="m2")), Kept.KEPT, 50_00),
        ((came(50_00, MADE, (JUDGED, 50_00)),), Kept.BROKEN, 0),
    ],
    ids=[
        "at once",
        "in grace",
        "too late",
        "before it",
        "at the same instant, told before",
        "in part",
        "in two parts",
        "and taken back",
    ],
)
def test_what_came_in_time_decides(money: tuple[Receipt, ...], status: Kept, paid: int):
    [judged] = standing(promised(), money=money, now=JUDGED + timedelta(days=1))
    assert (judged.status, judged.paid) == (status, paid)


def test_a_kept_promise_stops_holding_at_once():
    [kept] = standing(promised(), money=(came(50_00, MADE + timedelta(hours=1)),), now=MADE + timedelta(hours=2))
    assert (kept.status, kept.ended_at, kept.holds_until) == (Kept.KEPT, MADE + timedelta(hours=1), None)
    assert last_broken([kept]) is None


def test_a_later_promise_takes_the_place_of_an_open_one_and_has_its_own_money():
    later = promised(60_00, FRIDAY + timedelta(days=7), MADE + timedelta(days=1), "p2")
    first_money, then_money = came(20_00, MADE), came(60_00, MADE + timedelta(days=2), key="m2")
    first, second = standing(promised(), later, money=(first_money, then_money), now=MADE + timedelta(days=3))
    assert (first.status, first.paid) == (Kept.REPLACED, 20_00)
    assert (second.status, second.paid) == (Kept.KEPT, 60_00)


def test_a_promise_made_after_one_broke_leaves_the_breach_on_record():
    later = promised(60_00, FRIDAY + timedelta(days=30), JUDGED + timedelta(days=1), "p2")
    first, second = standing(promised(), later, now=JUDGED + timedelta(days=2))
    assert (first.status, second.status) == (Kept.BROKEN, Kept.OPEN)
    assert last_broken([first, second]) is None


def test_a_promise_withdrawn_holds_nothing():
    gone = Withdrawn(key="w", at=MADE + timedelta(hours=1), of="p1")
    [before] = standing(promised(), gone, now=MADE + timedelta(minutes=59))
    assert before.status is Kept.OPEN
    [after] = standing(promised(), gone, now=MADE + timedelta(hours=1))
    assert (after.status, after.holds_until) == (Kept.WITHDRAWN, None)
    assert last_broken([after]) is None


def a_plan(allowed: int = 0) -> Plan:
    parts = tuple(Instalment(due_on=FRIDAY + timedelta(days=30 * n), amount=40_00) for n in range(3))
    return Plan(key="plan", at=MADE, instalments=parts, misses_allowed=allowed)


def test_a_plan_is_kept_part_by_part_and_may_run_ahead():
    in_time = tuple(came(40_00, MADE + timedelta(days=30 * n), key=f"m{n}") for n in range(3))
    [first] = standing(a_plan(), money=in_time[:1], now=MADE + timedelta(days=20))
    assert (first.status, first.due_on, first.paid) == (Kept.OPEN, FRIDAY + timedelta(days=30), 40_00)
    [kept] = standing(a_plan(), money=in_time, now=MADE + timedelta(days=70))
    assert (kept.status, kept.paid, kept.amount) == (Kept.KEPT, 120_00, 120_00)
    [ahead] = standing(a_plan(), money=(came(120_00, MADE),), now=MADE + timedelta(days=1))
    assert ahead.status is Kept.KEPT


def test_a_missed_instalment_breaches_a_plan_unless_one_may_be_missed():
    [broken] = standing(a_plan(), now=JUDGED)
    assert (broken.status, broken.missed, broken.ended_at) == (Kept.BROKEN, 1, JUDGED)
    [forgiven] = standing(a_plan(allowed=1), now=JUDGED)
    assert (forgiven.status, forgiven.missed) == (Kept.OPEN, 1)
    caught_up = (came(80_00, MADE + timedelta(days=20)), came(40_00, MADE + timedelta(days=60), key="m2"))
    [kept] = standing(a_plan(allowed=1), money=caught_up, now=MADE + timedelta(days=80))
    assert kept.status is Kept.KEPT
    [short] = standing(a_plan(allowed=1), money=caught_up[:1], now=MADE + timedelta(days=90))
    assert short.status is Kept.BROKEN, "what is missing at the end is missing"
