"""The account's books: what is owed, since when, and which delinquencies there were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.life.books import Books, Opening, reckon
from arrears.engine.life.events import (
    Adjustment,
    Billed,
    Charge,
    LifeEvent,
    Payment,
    Residue,
    Reversal,
)

DUE = date(2026, 8, 1)
NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
ZONE = "America/New_York"
OPENING = Opening(DUE, 120_00, 1200_50)


def on(day: float) -> datetime:
    return NOON + timedelta(days=day)


def paid(amount: int, day: float, key: str = "payments:P-1") -> Payment:
    return Payment(key=key, at=on(day), amount=amount)


def taken_back(day: float, amount: int | None = None, of: str = "payments:P-1", key: str = "reversals:R-1") -> Reversal:
    return Reversal(key=key, at=on(day), of=of, amount=amount)


def charged(amount: int, day: float, kind: str = "fee") -> Charge:
    return Charge(key=f"charges:{kind}-{day}", at=on(day), kind=kind, amount=amount)


def billed(amount: int, due_on: date, day: float, balance: int = 1000_00) -> Billed:
    return Billed(key=f"bills:{due_on}", at=on(day), due_on=due_on, amount=amount, balance=balance)


def books(*events: LifeEvent, **terms: Any) -> Books:
    return reckon(OPENING, events, zone=ZONE, **terms)


def told(of: Books) -> list[tuple[date, date, str]]:
    return [(episode.began, episode.due_on, episode.outcome) for episode in of.episodes]


def test_nothing_happened():
    now = books()
    assert (now.amount_due, now.balance, now.residue) == (120_00, 1200_50, False)
    assert told(now) == [(DUE, DUE, "")]


def test_a_part_lowers_both_and_closes_nothing():
    now = books(paid(50_00, 3))
    assert (now.amount_due, now.balance) == (70_00, 1150_50)
    assert told(now) == [(DUE, DUE, "")]


def test_what_is_past_due_paid_cures_and_everything_paid_pays():
    assert told(books(paid(120_00, 3))) == [(DUE, DUE, "cured")]
    assert told(books(paid(1200_50, 3))) == [(DUE, DUE, "paid")]
    over = books(paid(1300_00, 3))
    assert (over.amount_due, over.balance) == (0, -99_50)


def test_a_payment_taken_back_is_owed_again_and_the_delinquency_never_ended():
    bounced = books(paid(120_00, 3), taken_back(9))
    assert (bounced.amount_due, bounced.balance) == (120_00, 1200_50)
    assert told(bounced) == [(DUE, DUE, "")]
    part = books(paid(120_00, 3), taken_back(9, 20_00))
    assert (part.amount_due, told(part)) == (20_00, [(DUE, DUE, "")])
    twice = books(paid(120_00, 3), taken_back(9, 100_00), taken_back(10, 100_00, key="reversals:R-2"))
    assert twice.amount_due == 120_00, "no more than was paid can be taken back"


def test_what_was_paid_too_much_is_taken_back_first():
    now = books(paid(1300_00, 3), taken_back(9, 1180_00))
    assert (now.amount_due, now.balance) == (0, 1080_50)


def test_a_reversal_waits_for_its_payment():
    early = books(taken_back(9))
    assert (early.amount_due, early.waiting) == (120_00, {"reversals:R-1"})
    assert books(taken_back(1), paid(120_00, 3)).amount_due == 120_00, "however the clocks went"


def test_of_one_instant_what_was_told_first_came_first():
    fee, first = replace(charged(15_00, 3), seq=2), replace(paid(120_00, 3), seq=1)
    assert books(fee, first).amount_due == 0, "a current account's fee is billed with its next statement"
    assert books(replace(fee, seq=0), first).amount_due == 15_00


def test_a_partial_payment_may_move_a_case_back_down_and_never_jumps_it_forward_killbill_2297():
    second = date(2026, 9, 1)
    both = (billed(80_00, second, 20),)
    assert told(books(*both)) == [(DUE, DUE, "")], "the oldest missed due date counts"
    part = books(*both, paid(60_00, 45))
    assert told(part) == [(DUE, DUE, "")], "less than the oldest due changes nothing"
    oldest = books(*both, paid(120_00, 45))
    assert (told(oldest), oldest.amount_due) == ([(DUE, second, "")], 80_00)
    for amount in range(0, 200_00, 7_77):
        now = books(*both, paid(amount, 45))
        assert now.episode is not None
        assert now.episode.due_on >= DUE, "days past due never grow by a payment"


def test_what_is_not_due_yet_is_another_delinquency():
    later = date(2026, 10, 1)
    now = books(billed(80_00, later, 20), paid(120_00, 30))
    assert told(now) == [(DUE, DUE, "cured"), (later, later, "")]
    assert now.amount_due == 80_00


def test_the_next_statement_after_a_cure_begins_a_case_of_its_own():
    later = date(2026, 10, 1)
    now = books(paid(120_00, 3), billed(90_00, later, 40, balance=1170_00))
    assert told(now) == [(DUE, DUE, "cured"), (later, later, "")]
    assert (now.amount_due, now.balance) == (90_00, 1170_00)
    bounced = books(paid(120_00, 3), billed(90_00, later, 40), taken_back(50))
    assert told(bounced) == [(DUE, DUE, "cured"), (later, DUE, "")], "the open case answers for the old due"


def test_an_older_due_that_joins_a_delinquency_and_is_paid_leaves_it_the_same_delinquency():
    second, third = date(2026, 8, 2), date(2026, 8, 20)
    now = books(paid(120_00, 0), billed(1_00, third, 0.1), billed(1_00, second, 1), paid(1_00, 2, "x:2"))
    assert told(now) == [(DUE, DUE, "cured"), (third, third, "")]
    back = books(
        paid(120_00, 0),
        billed(1_00, third, 0.1),
        billed(1_00, second, 1),
        paid(2_00, 2, "x:2"),
        taken_back(3, 1_00, "x:2"),
    )
    assert told(back) == [(DUE, DUE, "cured"), (third, third, "")]


def test_charges_are_paid_last_and_wait_for_a_word_when_only_they_are_left():
    now = books(charged(15_00, 1), paid(120_00, 3))
    assert (now.amount_due, now.charges, now.residue) == (15_00, 15_00, True)
    assert told(now) == [(DUE, DUE, "")]
    waived = books(charged(15_00, 1), paid(120_00, 3), Residue(key="leftovers:1", at=on(4), waive=True))
    assert (waived.amount_due, waived.balance, told(waived)) == (0, 1080_50, [(DUE, DUE, "cured")])
    kept = books(charged(15_00, 1), paid(120_00, 3), Residue(key="leftovers:1", at=on(4), waive=False))
    assert (kept.amount_due, kept.residue, told(kept)) == (15_00, False, [(DUE, DUE, "")])
    by_policy = books(charged(15_00, 1), paid(120_00, 3), waives=lambda began: began == DUE)
    assert (by_policy.amount_due, told(by_policy)) == (0, [(DUE, DUE, "cured")])
    later = DUE + timedelta(days=30)
    again = [billed(90_00, later, 40), replace(charged(15_00, 41), key="charges:2"), paid(90_00, 42, "x:2")]
    next_one = books(charged(15_00, 1), paid(120_00, 3), *again, waives=lambda began: began == DUE)
    assert (next_one.charges, next_one.residue, told(next_one)[0]) == (15_00, True, (DUE, DUE, "cured"))


def test_a_charge_to_a_current_account_is_no_delinquency():
    now = books(paid(120_00, 3), charged(9_00, 5, "interest"))
    assert (now.amount_due, now.balance, told(now)) == (0, 1089_50, [(DUE, DUE, "cured")])


def test_corrections_go_both_ways():
    less = books(Adjustment(key="adjustments:1", at=on(2), amount=-120_00))
    assert (less.amount_due, less.balance, told(less)) == (0, 1080_50, [(DUE, DUE, "cured")])
    more = books(Adjustment(key="adjustments:1", at=on(2), amount=30_00))
    assert (more.amount_due, more.balance) == (150_00, 1230_50)


# Whatever happens ---------------------------------------------------------------------------------------------

days = st.integers(0, 80).map(float)
amounts = st.integers(1, 300_00)


@st.composite
def lives(draw: st.DrawFn) -> list[LifeEvent]:
    events: list[LifeEvent] = []
    for number in range(draw(st.integers(0, 10))):
        day, amount = draw(days), draw(amounts)
        key = f"x:{number}"
        match draw(st.sampled_from(["paid", "paid", "back", "charge", "adjust", "billed", "leftover"])):
            case "paid":
                events.append(paid(amount, day, key))
            case "back":
                of = f"x:{draw(st.integers(0, 10))}"
                events.append(taken_back(day, draw(st.none() | amounts), of, key))
            case "charge":
                events.append(Charge(key=key, at=on(day), kind="fee", amount=amount))
            case "adjust":
                events.append(Adjustment(key=key, at=on(day), amount=draw(st.sampled_from([-1, 1])) * amount))
            case "billed":
                due_on = DUE + timedelta(days=draw(st.integers(1, 120)))
                events.append(Billed(key=key, at=on(day), due_on=due_on, amount=amount, balance=2000_00))
            case _:
                events.append(Residue(key=key, at=on(day), waive=draw(st.booleans())))
    return events


@given(lives(), st.randoms(use_true_random=False))
def test_the_books_do_not_depend_on_the_order_in_which_things_become_known(events: list[LifeEvent], rng: Any):
    shuffled = list(events)
    rng.shuffle(shuffled)
    assert books(*shuffled) == books(*events)


@given(lives())
def test_the_books_add_up(events: list[LifeEvent]):
    now = books(*events)
    assert now.balance == OPENING.balance + sum(entry.change for entry in now.entries)
    assert all(amount > 0 for _, amount in now.dues)
    assert now.charges >= 0
    assert all(0 <= receipt.kept <= receipt.amount for receipt in now.receipts)


@given(lives())
def test_a_delinquency_lasts_exactly_while_something_is_owed(events: list[LifeEvent]):
    now = books(*events)
    assert (now.episode is not None) == (now.amount_due > 0)
    assert all(episode.closed_at is not None for episode in now.episodes[:-1])
    assert len({episode.began for episode in now.episodes}) == len(now.episodes)
    if now.episode is not None and now.dues:
        assert now.episode.due_on == now.dues[0][0]


@given(lives(), amounts, days)
def test_a_payment_more_never_makes_anybody_owe_more_or_longer(events: Sequence[LifeEvent], amount: int, day: float):
    before, after = books(*events), books(*events, paid(amount, 100 + day, "x:more"))
    assert after.amount_due <= before.amount_due
    if before.episode is not None and after.episode is not None:
        assert after.episode.due_on >= before.episode.due_on
