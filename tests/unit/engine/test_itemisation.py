"""What makes up a claim: it adds up, whatever happened and whenever it is cut."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.life.books import Entry, Opening, reckon
from arrears.engine.life.events import Adjustment, Charge, LifeEvent, Payment, Reversal
from arrears.engine.life.itemisation import itemise, last_receipt

START = datetime(2026, 8, 1, 12, tzinfo=UTC)
ZONE = "America/New_York"


def entry(day: int, what: str, change: int) -> Entry:
    return Entry(START + timedelta(days=day), what, f"R-{day}", change)


def test_what_came_after_the_day_is_told_by_kind_and_what_came_before_is_not():
    entries = [
        entry(1, "interest", 500),
        entry(10, "interest", 700),
        entry(11, "fee", 1500),
        entry(12, "payment", -5000),
        entry(13, "reversal", 2000),
        entry(14, "waived", -100),
    ]
    made = itemise(120_000, entries, since=date(2026, 8, 5), zone=ZONE)
    assert (made.owed, made.interest, made.fees, made.payments, made.credits) == (120_500, 700, 1500, 3000, -100)
    assert made.total == 120_000 + sum(each.change for each in entries)


def test_a_day_ends_where_the_account_is():
    late = Entry(datetime(2026, 8, 6, 3, 59, tzinfo=UTC), "fee", "F", 100)  # 23:59 on the fifth in New York
    assert itemise(0, [late], since=date(2026, 8, 5), zone=ZONE).owed == 100


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 200), st.sampled_from(["pay", "fee", "interest", "adjust", "reverse"]), st.integers(1, 9999)
    )
)


@given(EVENTS, st.integers(-10, 210))
def test_an_itemisation_adds_up_to_the_balance_wherever_it_is_cut(told: list[tuple[int, str, int]], cut: int):
    events: list[LifeEvent] = []
    for number, (day, what, amount) in enumerate(told):
        at, key = START + timedelta(days=day), f"{what}:{number}"
        match what:
            case "pay":
                events.append(Payment(key=key, at=at, amount=amount))
            case "adjust":
                events.append(Adjustment(key=key, at=at, amount=-amount))
            case "reverse":
                events.append(Reversal(key=key, at=at, of=next((e.key for e in events if isinstance(e, Payment)), "")))
            case kind:
                events.append(Charge(key=key, at=at, kind=kind, amount=amount))
    books = reckon(Opening(START.date(), 12_000, 120_000), events, zone=ZONE)
    made = itemise(120_000, books.entries, since=START.date() + timedelta(days=cut), zone=ZONE)
    assert made.total == books.balance
    assert made.interest >= 0
    assert made.fees >= 0


def test_a_payment_taken_back_is_not_the_last():
    first = Payment(key="p:1", at=START, amount=500)
    second = Payment(key="p:2", at=START + timedelta(days=3), amount=700)
    back = Reversal(key="r:1", at=START + timedelta(days=5), of="p:2")
    books = reckon(Opening(START.date(), 12_000, 120_000), [first, second, back], zone=ZONE)
    receipt = last_receipt(books)
    assert receipt is not None
    assert (receipt.key, receipt.kept) == ("p:1", 500)
    assert last_receipt(reckon(Opening(START.date(), 12_000, 120_000), [], zone=ZONE)) is None
