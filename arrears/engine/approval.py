"""Whether a rung is approved: by whom, for what balance, and for how long that holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from arrears.engine.money import Money


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's yes at `at`. `balance`: what was owed then, in minor units; None where nobody wrote it down."""

    by: str
    at: datetime
    balance: int | None = None


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """What an approval is worth.

    A balance above `second_above` of its currency needs two people; one in a currency that is not listed does,
    too, unless nothing is listed. An approval lapses after `valid_days`, and when the balance has changed by more
    than `changed_percent` of what it was; None: never.
    """

    second_above: Mapping[str, Money] = field(default_factory=dict[str, Money])
    valid_days: int | None = None
    changed_percent: int | None = None

    def people_needed(self, balance: Money) -> int:
        """How many different people must approve."""
        if not self.second_above:
            return 1
        limit = self.second_above.get(balance.currency)
        return 1 if limit is not None and balance <= limit else 2


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an approval has come: who stands by it, how many it needs, and why others count no more."""

    counted: tuple[Approval, ...]
    needed: int
    lapsed: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Enough different people have agreed."""
        return len(self.counted) >= self.needed

    @property
    def wants(self) -> str:
        """What is missing, without a name; empty when nothing is."""
        if self.complete:
            return ""
        if self.counted:
            return "waits for a second person's approval"
        return "waits for a person's approval" + (f" again: {self.lapsed[-1]}" if self.lapsed else "")


def standing(given: Sequence[Approval], balance: Money, terms: ApprovalTerms, *, now: datetime) -> Standing:
    """Which of the approvals `given` count at `now`: each person once, and none that has lapsed."""
    counted: dict[str, Approval] = {}
    lapsed: list[str] = []
    for approval in sorted(given, key=lambda each: each.at):
        if why := lapse(approval, balance, terms, now=now):
            lapsed.append(why)
        else:
            counted.setdefault(same_person(approval.by), approval)
    return Standing(tuple(counted.values()), terms.people_needed(balance), tuple(lapsed))


def lapse(approval: Approval, balance: Money, terms: ApprovalTerms, *, now: datetime) -> str:
    """Why the approval counts no more at `now`; empty while it does."""
    if terms.valid_days is not None and now >= approval.at + timedelta(days=terms.valid_days):
        return f"an approval holds for {terms.valid_days} days"
    if terms.changed_percent is not None and approval.balance is not None:
        change = abs(balance.amount - approval.balance)
        if change * 100 > abs(approval.balance) * terms.changed_percent:
            return f"the balance has changed by more than {terms.changed_percent} percent since"
    return ""


def same_person(name: str) -> str:
    """A name as it is compared: capitals and blanks make nobody another person."""
    return " ".join(name.split()).casefold()
