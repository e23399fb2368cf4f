"""What makes up a balance: what was owed on one day, and what came to it since, by kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from arrears.engine.delinquency import local_date
from arrears.engine.life.books import Books, Entry, Receipt


@dataclass(frozen=True, slots=True)
class Itemisation:
    """The claim on the day it is made, in minor units: `owed` at the end of `since`, and the changes after it.

    `payments` counts money received less money taken back, `credits` corrections, waivers and new statements with
    their sign. `owed + interest + fees - payments + credits` is the balance.
    """

    since: date
    owed: int
    interest: int
    fees: int
    payments: int
    credits: int

    @property
    def total(self) -> int:
        """The balance claimed."""
        return self.owed + self.interest + self.fees - self.payments + self.credits


def itemise(opening: int, entries: Iterable[Entry], *, since: date, zone: str) -> Itemisation:
    """The books' `opening` balance and `entries`, with everything up to the end of `since` taken together."""
    owed = opening
    by_kind = {"interest": 0, "fee": 0, "payment": 0, "other": 0}
    for entry in entries:
        if local_date(entry.at, zone) <= since:
            owed += entry.change
        else:
            by_kind[_kind(entry)] += entry.change
    return Itemisation(since, owed, by_kind["interest"], by_kind["fee"], -by_kind["payment"], by_kind["other"])


def _kind(entry: Entry) -> str:
    if entry.what in ("payment", "reversal"):
        return "payment"
    return entry.what if entry.what in ("interest", "fee") else "other"


def last_receipt(books: Books) -> Receipt | None:
    """The last payment of which anything was kept."""
    kept = [receipt for receipt in books.receipts if receipt.kept > 0]
    return max(kept, key=lambda receipt: (receipt.at, receipt.seq), default=None)
