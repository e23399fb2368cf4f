"""What sweeps leave in the ledger about themselves: whichever process ran one, every other can tell of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session

import models
from arrears.clock import iso, parse_instant
from arrears.ledger import state
from arrears.ledger.absent import insert_if_absent
from arrears.operations.services import Services

LAST_SWEEP = "last_sweep"
SWEEP_TOTALS = "sweep_totals"


@dataclass(frozen=True, slots=True)
class LastSweep:
    """The sweep that ended last, at `at` (wall time), after so many seconds."""

    at: datetime
    seconds: float
    looked_at: int
    effects: int
    failed: int


@dataclass(frozen=True, slots=True)
class SweepTotals:
    """All sweeps of this ledger together."""

    sweeps: int = 0
    failed: int = 0
    seconds: float = 0.0
    effects: Mapping[str, int] = field(default_factory=dict[str, int])


def record_sweep(
    services: Services, *, seconds: float, looked_at: int, failed: int, by_channel: Mapping[str, int]
) -> LastSweep:
    """Keep what one sweep did and how long it took."""
    swept = LastSweep(services.clock.wall(), seconds, looked_at, sum(by_channel.values()), failed)
    last = {
        "at": iso(swept.at),
        "seconds": round(seconds, 3),
        "looked_at": looked_at,
        "effects": swept.effects,
        "failed": failed,
    }
    with services.ledger.write() as session:
        row = _locked(session)
        total = _totals(row.value)
        effects = {
            channel: total.effects.get(channel, 0) + by_channel.get(channel, 0)
            for channel in sorted({*total.effects, *by_channel})
        }
        row.value = json.dumps(
            {
                "sweeps": total.sweeps + 1,
                "failed": total.failed + failed,
                "seconds": round(total.seconds + seconds, 3),
                "effects": effects,
            }
        )
        session.add(row)
        state.put(session, LAST_SWEEP, json.dumps(last))
    return swept


def last_sweep(session: Session) -> LastSweep | None:
    """The sweep that ended last; None before the first."""
    kept = state.get(session, LAST_SWEEP)
    if kept is None:
        return None
    told = json.loads(kept)
    return LastSweep(parse_instant(told["at"]), told["seconds"], told["looked_at"], told["effects"], told["failed"])


def sweep_totals(session: Session) -> SweepTotals:
    """All sweeps of this ledger together."""
    return _totals(state.get(session, SWEEP_TOTALS) or "{}")


def _totals(kept: str) -> SweepTotals:
    return SweepTotals(**json.loads(kept))


def _locked(session: Session) -> models.LedgerState:
    """The totals' row, nobody else's until the end of the transaction: several sweeps may end at once."""
    insert_if_absent(session, models.LedgerState, {"name": SWEEP_TOTALS, "value": "{}"})
    row = session.get(models.LedgerState, SWEEP_TOTALS, with_for_update=True, populate_existing=True)
    assert row is not None
    return row
