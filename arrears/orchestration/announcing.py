"""What a sweep tells Prefect of itself, for automations to act on. Account ids only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from prefect.events import emit_event

from arrears.operations.newly_unknown import newly_unknown
from arrears.operations.record_sweep import LastSweep
from arrears.operations.services import Services

SWEPT: Final = "arrears.sweep.completed"
FAILING: Final = "arrears.sweep.failures"
LATE: Final = "arrears.timelines.late"
UNKNOWN: Final = "arrears.step.unknown"
SWEEP: Final = "arrears.sweep"
_MOST_NAMED: Final = 50


def announce(
    services: Services, swept: LastSweep, *, failed: Sequence[str], revived: Sequence[str], first: bool
) -> None:
    """Emit what this sweep was: that it came to an end, and what of it a person should hear of.

    `first`: of several that share the work, this one tells of steps that became unknown.
    """
    settings = services.settings
    counts = {"looked_at": swept.looked_at, "effects": swept.effects, "failed": swept.failed}
    _emit(SWEPT, counts | {"seconds": round(swept.seconds, 3)})
    if swept.failed > settings.alert_failed_share * swept.looked_at:
        _emit(FAILING, counts | {"accounts": list(failed[:_MOST_NAMED])})
    if len(revived) >= settings.alert_late_timelines:
        _emit(LATE, {"late": len(revived), "accounts": list(revived[:_MOST_NAMED])})
    for account_id in newly_unknown(services) if first else ():
        emit_event(UNKNOWN, {"prefect.resource.id": f"arrears.account.{account_id}"}, payload={"account": account_id})


def _emit(event: str, payload: dict[str, Any]) -> None:
    emit_event(event, {"prefect.resource.id": SWEEP, "prefect.resource.name": "sweep"}, payload=payload)
