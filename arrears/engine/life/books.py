"""The account's books: what is owed, since when, and which delinquencies there were.

A fold over everything that happened, in the order in which it happened: what comes late ends in the same
books as what comes in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from arrears.engine.delinquency import local_date
from arrears.engine.life.events import (
    Adjustment,
    Billed,
    Charge,
    LifeEvent,
    Payment,
    Residue,
    Reversal,
    in_order,
)


@dataclass(frozen=True, slots=True)
class Opening:
    """The account as it was taken in: `amount_due` has been owed since `due_on`."""

    due_on: date
    amount_due: int
    balance: int


@dataclass(slots=True)
class Episode:
    """One delinquency. `began`: its first missed due date; `due_on`: the oldest one still unpaid.

    `closed_at` None while it lasts; `outcome` is then empty, else `cured` or `paid`.
    """

    began: date
    due_on: date
    closed_at: datetime | None = None
    outcome: str = ""

    @property
    def furthest(self) -> date:
        """The latest due date it has answered for: one that began early may have taken in an older due."""
        return max(self.began, self.due_on)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Money that came and stayed: a payment less what of it was taken back later."""

    key: str
    at: datetime
    amount: int
    seq: int = 0
    taken_back: tuple[tuple[datetime, int], ...] = ()

    @property
    def kept(self) -> int:
        """What is left of it."""
        return self.amount - sum(amount for _, amount in self.taken_back)

    def kept_by(self, moment: datetime) -> int:
        """What was left of it at `moment`."""
        return self.amount - sum(amount for at, amount in self.taken_back if at <= moment)


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of the balance. `reference` is the event's own, without its register."""

    at: datetime
    what: str
    reference: str
    change: int


@dataclass(frozen=True, slots=True)
class Books:
    """What the account owes and how it came to that. Amounts in minor units.

    `dues`: what is unpaid by due date, oldest first. `charges`: fees and interest unpaid. `residue`: only
    charges are left and nobody has decided about them. `entries` add up to the balance, from the opening on.
    `waiting`: keys of reversals whose payment is not known yet.
    """

    balance: int
    dues: tuple[tuple[date, int], ...]
    charges: int
    residue: bool
    episodes: tuple[Episode, ...]
    receipts: tuple[Receipt, ...]
    entries: tuple[Entry, ...]
    waiting: frozenset[str]

    @property
    def amount_due(self) -> int:
        """Everything that is to be paid now: dues and charges."""
        return sum(amount for _, amount in self.dues) + self.charges

    @property
    def episode(self) -> Episode | None:
        """The delinquency that lasts, if one does."""
        return self.episodes[-1] if self.episodes and self.episodes[-1].closed_at is None else None


def reckon(
    opening: Opening, events: Iterable[LifeEvent], *, zone: str, waives: Callable[[date], bool] = lambda _: False
) -> Books:
    """The books after `events`, in whatever order they are given. `zone`: where the account's days are counted.

    `waives`: whether charges left over are waived at once instead of waiting for a decision, in the delinquency that
    began on a day.
    """
    ledger = _Ledger(opening, zone, waives)
    ordered = in_order(events)
    payments = {event.key: event for event in ordered if isinstance(event, Payment)}
    unknown = frozenset(e.key for e in ordered if isinstance(e, Reversal) and e.of not in payments)

    def moment(event: LifeEvent) -> tuple[datetime, int, bool]:
        if not isinstance(event, Reversal):
            return event.at, event.seq, False
        # A payment taken back before it came is taken back the moment it comes.
        paid = payments[event.of]
        at, seq = max((event.at, event.seq), (paid.at, paid.seq))
        return at, seq, True

    known = [event for event in ordered if event.key not in unknown]
    for event in sorted(known, key=lambda e: (moment(e), e.key)):
        ledger.enter(event, moment(event)[0])
    return ledger.books(unknown)


@dataclass(slots=True)
class _Cover:
    """What one payment paid: amounts by due date, and of the charges; the rest only lowered the balance."""

    dues: list[tuple[date, int]] = field(default_factory=list[tuple[date, int]])
    charges: int = 0
    rest: int = 0


class _Ledger:
    def __init__(self, opening: Opening, zone: str, waives: Callable[[date], bool]) -> None:
        self._zone = zone
        self._waives = waives
        self._balance = opening.balance
        self._dues: dict[date, int] = {opening.due_on: opening.amount_due} if opening.amount_due > 0 else {}
        self._charges = 0
        self._keep_residue = False
        self._episodes: list[Episode] = []
        self._covers: dict[str, _Cover] = {}
        self._receipts: dict[str, Receipt] = {}
        self._entries: list[Entry] = []
        if self._dues:
            self._episodes.append(Episode(opening.due_on, opening.due_on))

    def enter(self, event: LifeEvent, at: datetime) -> None:
        """Book one event, as of `at`, and what follows from it."""
        before = self._balance
        self._book(event, at)
        self._note(at, _what(event), event.key, before)
        before = self._balance
        if self._only_charges_left() and self._waives(self._episodes[-1].began):
            self._waive()
            self._note(at, "waived", event.key, before)
        self._turn_the_page(at)

    def _note(self, at: datetime, what: str, key: str, before: int) -> None:
        if self._balance != before:
            self._entries.append(Entry(at, what, key.partition(":")[2], self._balance - before))

    def _book(self, event: LifeEvent, at: datetime) -> None:
        match event:
            case Payment(amount=amount):
                self._covers[event.key] = self._cover(amount)
                self._receipts[event.key] = Receipt(event.key, at, amount, event.seq)
                self._balance -= amount
            case Reversal(of=of, amount=amount):
                self._take_back(of, amount, at)
            case Charge(amount=amount):
                self._balance += amount
                if self._episodes and self._episodes[-1].closed_at is None:
                    # What a current account is charged is billed with its next statement.
                    self._charges += amount
                    self._keep_residue = False
            case Adjustment(amount=amount) if amount < 0:
                self._cover(-amount)
                self._balance += amount
            case Adjustment(amount=amount):
                self._balance += amount
                if self._dues:
                    self._dues[min(self._dues)] += amount
            case Billed(due_on=due_on, amount=amount, balance=balance):
                self._balance = balance
                if amount > 0:
                    self._dues[due_on] = self._dues.get(due_on, 0) + amount
            case Residue(waive=waive):
                self._keep_residue = not waive
                if waive and self._only_charges_left():
                    self._waive()
            case _:
                pass

    def books(self, waiting: frozenset[str]) -> Books:
        return Books(
            balance=self._balance,
            dues=tuple(sorted(self._dues.items())),
            charges=self._charges,
            residue=self._only_charges_left() and not self._keep_residue,
            episodes=tuple(self._episodes),
            receipts=tuple(self._receipts.values()),
            entries=tuple(self._entries),
            waiting=waiting,
        )

    def _cover(self, amount: int) -> _Cover:
        """Pay the oldest due first, charges last: what a person pays lowers what they are behind with."""
        cover = _Cover()
        for due_on in sorted(self._dues):
            paid = min(amount, self._dues[due_on])
            if paid:
                cover.dues.append((due_on, paid))
                amount -= paid
                self._dues[due_on] -= paid
                if not self._dues[due_on]:
                    del self._dues[due_on]
        cover.charges = min(amount, self._charges)
        self._charges -= cover.charges
        cover.rest = amount - cover.charges
        return cover

    def _take_back(self, of: str, amount: int | None, at: datetime) -> None:
        """Undo a payment, what it paid last first. More than is left of it cannot be taken back."""
        receipt, cover = self._receipts[of], self._covers[of]
        left = min(receipt.kept, amount if amount is not None else receipt.kept)
        if not left:
            return
        self._receipts[of] = replace(receipt, taken_back=(*receipt.taken_back, (at, left)))
        self._balance += left
        rest = min(left, cover.rest)
        cover.rest -= rest
        charges = min(left - rest, cover.charges)
        cover.charges -= charges
        self._charges += charges
        left -= rest + charges
        while left:
            due_on, paid = cover.dues.pop()
            back = min(paid, left)
            if paid > back:
                cover.dues.append((due_on, paid - back))
            self._dues[due_on] = self._dues.get(due_on, 0) + back
            left -= back

    def _only_charges_left(self) -> bool:
        return not self._dues and self._charges > 0

    def _waive(self) -> None:
        self._balance -= self._charges
        self._charges = 0

    def _turn_the_page(self, at: datetime) -> None:
        """End the delinquency that is paid, follow the one that lasts, begin the one that is owed."""
        last = self._episodes[-1] if self._episodes else None
        oldest = min(self._dues, default=None)
        if last is not None and last.closed_at is None:
            if oldest is None and not self._charges:
                self._close(last, at)
            elif oldest is not None and oldest > last.furthest and oldest > local_date(at, self._zone):
                # What was missed is paid; what is not due yet may become another delinquency, not this one.
                self._close(last, at)
                self._episodes.append(Episode(oldest, oldest))
            elif oldest is not None:
                last.due_on = oldest
        elif oldest is not None:
            if last is not None and oldest <= last.furthest:
                # The payment that ended it was taken back: it never ended.
                last.closed_at, last.outcome, last.due_on = None, "", oldest
            else:
                self._episodes.append(Episode(oldest, oldest))
        elif self._charges and last is not None:
            last.closed_at, last.outcome = None, ""

    def _close(self, episode: Episode, at: datetime) -> None:
        episode.closed_at = at
        episode.outcome = "paid" if self._balance <= 0 else "cured"


def _what(event: LifeEvent) -> str:
    match event:
        case Charge(kind=kind):
            return kind
        case Residue():
            return "waived"
        case _:
            return type(event).__name__.lower()
