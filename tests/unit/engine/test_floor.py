"""Whom the floor calls next, and how the work is shared: laws that hold for every list."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.floor import Dealable, HourTried, Prospect, Weights, chance, deal, score
from arrears.engine.money import Money

WEIGHTS = Weights(30, {"USD": 500_000}, 25, 90, 25, 7, 20)
NOON = datetime(2026, 12, 1, 12, 30, tzinfo=UTC)
prospects = st.builds(
    Prospect,
    balance=st.builds(Money, st.integers(-1000, 2_000_000), st.sampled_from(["USD", "XXX"])),
    days_past_due=st.integers(-5, 400),
    promised=st.none() | st.dates(date(2026, 11, 1), date(2026, 12, 31)),
    best_from=st.just(time(10)),
    best_to=st.just(time(14)),
    tried=st.lists(st.builds(HourTried, st.integers(0, 23), st.booleans()), max_size=12).map(tuple),
)


def points(prospect: Prospect, name: str, at: datetime = NOON) -> int:
    return next(part.points for part in score(prospect, WEIGHTS, local_now=at).parts if part.name == name)


@given(prospects, st.integers(1, 500_000))
def test_a_higher_balance_never_lowers_the_score_nor_do_more_days(prospect: Prospect, more: int) -> None:
    before = score(prospect, WEIGHTS, local_now=NOON).points
    richer = replace(prospect, balance=prospect.balance + Money(more, prospect.balance.currency))
    assert score(richer, WEIGHTS, local_now=NOON).points >= before
    later = replace(prospect, days_past_due=prospect.days_past_due + more)
    assert score(later, WEIGHTS, local_now=NOON).points >= before


@given(prospects)
def test_the_score_is_the_sum_of_its_parts_and_no_part_is_worth_more_than_its_weight(prospect: Prospect) -> None:
    parts = score(prospect, WEIGHTS, local_now=NOON).parts
    assert [part.name for part in parts] == ["balance", "days past due", "promise", "best hour"]
    assert all(0 <= part.points <= most for part, most in zip(parts, (30, 25, 25, 20), strict=True))
    assert all(part.why for part in parts)


def test_a_promise_counts_on_its_day_and_for_a_week_when_it_was_not_kept() -> None:
    plain = Prospect(Money(0, "USD"), 0, None, time(10), time(14), ())
    today = NOON.date()
    counted = {days: points(replace(plain, promised=today - timedelta(days=days)), "promise") for days in (-1, 0, 7, 8)}
    assert counted == {-1: 0, 0: 25, 7: 25, 8: 0}


def test_the_hour_at_which_this_person_answers_beats_the_one_at_which_they_do_not() -> None:
    tried = (*[HourTried(12, reached=True)] * 3, *[HourTried(18, reached=False)] * 3)
    prospect = Prospect(Money(0, "USD"), 0, None, time(10), time(14), tried)
    assert points(prospect, "best hour") == 16
    assert points(prospect, "best hour", NOON.replace(hour=18)) == 4
    assert points(prospect, "best hour", NOON.replace(hour=15)) == 10
    assert chance(tried, 12) == (4, 5)


def test_who_was_never_called_is_called_in_the_ladders_hours() -> None:
    prospect = Prospect(Money(0, "USD"), 0, None, time(10), time(14), ())
    assert (points(prospect, "best hour"), points(prospect, "best hour", NOON.replace(hour=14))) == (10, 0)


tasks = st.lists(
    st.builds(Dealable, st.uuids().map(str), st.sampled_from("ABCDEFGH"), st.integers(0, 100)),
    max_size=30,
    unique_by=lambda task: task.key,
)
names = st.lists(st.sampled_from(["Ann", "Bob", "Cem", "Dee"]), min_size=1, max_size=4, unique=True)


@given(tasks, names, st.randoms())
def test_a_deal_gives_every_task_once_and_a_person_to_one_collector_whatever_the_order(tasks, names, random) -> None:
    hands = deal(tasks, names)
    person = {task.key: task.person for task in tasks}
    assert sorted(key for hand in hands for key in hand.keys) == sorted(person)
    people = [{person[key] for key in hand.keys} for hand in hands]
    assert sum(len(theirs) for theirs in people) == len(set(person.values()))
    shuffled, other_names = list(tasks), list(names)
    random.shuffle(shuffled)
    random.shuffle(other_names)
    assert deal(shuffled, other_names) == hands


@given(tasks, names)
def test_no_two_hands_differ_by_more_than_the_best_person_is_worth(tasks: list[Dealable], names: list[str]) -> None:
    hands = deal(tasks, names)
    worth = {person: sum(t.points for t in tasks if t.person == person) for person in {t.person for t in tasks}}
    gap = max(hand.points for hand in hands) - min(hand.points for hand in hands)
    assert gap <= max(worth.values(), default=0)
