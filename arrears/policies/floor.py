"""The call floor's policy: `policies/floor.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field

from arrears.engine.floor import Weights
from arrears.engine.vocabulary import Disposition
from arrears.policies.amounts import read_amounts
from arrears.policies.check import Row, check
from arrears.policies.fields import Text, one_of
from arrears.policies.source import read_document

_Points = Annotated[int, Field(ge=0, le=1000)]


class _BalanceRow(Row):
    points: _Points
    full_at: dict[str, Text]


class _DaysRow(Row):
    points: _Points
    full_at: Annotated[int, Field(ge=1, le=3650)]


class _PromiseRow(Row):
    points: _Points
    days: Annotated[int, Field(ge=0, le=365)]


class _HourRow(Row):
    points: _Points


class _ScoreRow(Row):
    balance: _BalanceRow
    days_past_due: _DaysRow
    promise: _PromiseRow
    best_hour: _HourRow


class _RecordingRow(Row):
    one_party: list[Text]
    all_parties: dict[str, Text]


class _File(Row):
    score: _ScoreRow
    claim_minutes: Annotated[int, Field(ge=1, le=480)]
    attempts_per_day: Annotated[int, Field(ge=1, le=20)]
    note_needed: list[Annotated[Disposition, one_of(Disposition, "outcome of a call")]]
    recording: _RecordingRow


@dataclass(frozen=True)
class Floor:
    """The rules of one call floor. `all_parties`: places where everybody on the line must agree, with the law."""

    weights: Weights
    claim: timedelta
    attempts_per_day: int
    note_needed: frozenset[Disposition]
    one_party: frozenset[str]
    all_parties: Mapping[str, str]

    def may_record(self, jurisdictions: Sequence[str]) -> bool:
        """Whether one party's consent is enough in every place that may apply; not where a place is unknown."""
        return any(place in self.one_party for place in jurisdictions) and not any(
            place in self.all_parties for place in jurisdictions
        )


def load_floor(path: Path) -> Floor:
    """The file at `path`. Raises PolicyError with every problem, each with its line."""
    document = read_document(path)
    file = check(document, (), _File)
    balances = read_amounts(document, ("score", "balance", "full_at"), file.score.balance.full_at if file else {})
    document.settle()
    assert file is not None, "what is not reported is there"
    score = file.score
    return Floor(
        weights=Weights(
            balance=score.balance.points,
            full_balance=balances,
            days_past_due=score.days_past_due.points,
            full_days=score.days_past_due.full_at,
            promise=score.promise.points,
            promise_days=score.promise.days,
            best_hour=score.best_hour.points,
        ),
        claim=timedelta(minutes=file.claim_minutes),
        attempts_per_day=file.attempts_per_day,
        note_needed=frozenset(file.note_needed),
        one_party=frozenset(file.recording.one_party),
        all_parties=file.recording.all_parties,
    )
