"""The facts of a legal referral, beside those every contact has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from arrears.engine.money import Money
from arrears.rendering.context import ChronologyLine, StatementLine


@dataclass(frozen=True, slots=True)
class IndexLine:
    """One member of the pack: its path in the zip, its SHA-256 in hex, its size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class ReferralFacts:
    """What the templates under `legal/` may use beside the `ContactContext`.

    `limitation_ends` is the first day on which the claim is time-barred, None when nobody has established
    it. `approved_at` is ISO 8601 UTC; it and `approved_by` are empty without an approval. `statement_total`
    is the sum of the statement. `index` is empty except on the index page.
    """

    statement: tuple[StatementLine, ...]
    statement_total: Money
    chronology: tuple[ChronologyLine, ...]
    approved_by: str
    approved_at: str
    limitation_ends: date | None
    index: tuple[IndexLine, ...]
