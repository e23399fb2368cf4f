"""What a partner's file says, whatever its layout: one fact a line, and the totals by which the file is whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from arrears.engine.life.placements import PlacementReport


@dataclass(frozen=True, slots=True)
class Collected:
    """Money of the holder's that came through the partner. Amounts are decimal text, in `currency` or the account's.

    `commission`: what the partner keeps; None where the layout does not say.
    """

    amount: str
    commission: str | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Such money taken back: returned unpaid, charged back. `of`: the payment's reference, where the layout says it.

    `amount` and the `commission` given back are above zero.
    """

    of: str
    amount: str
    commission: str | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Reported:
    """What the partner says of the placement. `balance`: what it was given, where it repeats it."""

    report: PlacementReport
    reason: str = ""
    balance: str = ""


@dataclass(frozen=True, slots=True)
class NumberTold:
    """Whether the holder can be reached at a number, as the partner found it."""

    number: str
    good: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class RestrictionTold:
    """A reason not to collect: a death, a dispute, a request to cease. `kind` is a hold's."""

    kind: str
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class ForAPerson:
    """Something that no rule answers: a new address, costs, a status of the partner's own. `words` may be personal."""

    what: str
    words: str = ""


Fact = Collected | TakenBack | Reported | NumberTold | RestrictionTold | ForAPerson


@dataclass(frozen=True, slots=True)
class Line:
    """One fact about one account. `line`: the physical line it stands on.

    `placement` is empty where the layout names the account alone, `account_id` where it names a `file_number` of ours.
    `reference` is the partner's, once for each fact.
    """

    line: int
    placement: str
    account_id: str
    reference: str
    at: datetime
    fact: Fact
    file_number: str = ""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong, on which line (0: the file). `expected` and `came` may hold amounts, `what` not."""

    line: int
    what: str
    expected: str = ""
    came: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """What the partner says the file adds up to: its facts, and by currency what was collected and kept of it.

    Decimal text; money taken back counts below zero. `commissions` None: the partner does not say.
    """

    count: int
    collected: Mapping[str, str] | None = None
    commissions: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class PartnerFile:
    """One file as it was read. `number`: the partner's own, empty where there is none."""

    lines: tuple[Line, ...]
    wrong: tuple[Wrong, ...] = ()
    number: str = ""
    totals: tuple[Totals, ...] = field(default=())
