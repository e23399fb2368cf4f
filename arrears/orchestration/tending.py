"""One sweep as Prefect runs it: cancelled runs halted, the due advanced, the stalled revived, all shown."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from arrears.operations.brakes import Budget
from arrears.operations.moves import Closed, Standstill
from arrears.operations.preview import as_line, preview
from arrears.operations.record_sweep import record_sweep
from arrears.operations.services import Services
from arrears.operations.strain import strain
from arrears.operations.sweep import due_accounts, sweep
from arrears.orchestration.announcing import announce
from arrears.orchestration.artifacts import table
from arrears.orchestration.timelines import PrefectUnreachable, halt_cancelled, revive

Logger = logging.Logger | logging.LoggerAdapter[Any]


@dataclass(frozen=True, slots=True)
class Report:
    """What one sweep did, for a person to read."""

    looked_at: int
    effects: int
    closed: int
    halted: Sequence[str]
    revived: Sequence[str]
    failed: Sequence[str]
    unwritten: Sequence[str]
    braked: str | None
    unreachable: str | None

    def line(self) -> str:
        """The report in one line."""
        parts = [
            f"{self.looked_at} accounts due",
            f"{self.effects} effects",
            f"{self.closed} closed",
            f"{len(self.revived)} timelines revived",
            f"{len(self.halted)} halted",
            f"{len(self.failed)} failed",
        ]
        parts.extend(self.unwritten)
        if self.braked:
            parts.append(f"braked: {self.braked}")
        if self.unreachable:
            parts.append(self.unreachable)
        return ", ".join(parts)


def tend(services: Services, *, limit: int, logger: Logger) -> Report:
    """Sweep once, and leave a table of it in Prefect's UI."""
    halted: Sequence[str] = ()
    revived: Sequence[str] = ()
    unreachable: str | None = None
    try:
        halted = halt_cancelled(services)
    except PrefectUnreachable as error:
        # Without Prefect's word on what was cancelled, a timeline's case could be one an operator stopped.
        unreachable = str(error)
    due = due_accounts(services, limit=limit)
    budget = Budget(services.settings.most_effects_per_run)
    started = time.monotonic()
    swept = sweep(services, who="sweep", budget=budget, accounts=due)
    recorded = record_sweep(
        services,
        seconds=time.monotonic() - started,
        looked_at=swept.looked_at,
        failed=len(swept.failed),
        by_channel=swept.by_channel,
    )
    if warning := strain(services):
        logger.warning("%s", warning)
    if unreachable is None:
        try:
            revived = revive(services, due)
        except PrefectUnreachable as error:
            unreachable = str(error)
    report = Report(
        looked_at=swept.looked_at,
        effects=swept.effects,
        closed=swept.closed,
        halted=halted,
        revived=revived,
        failed=swept.failed,
        unwritten=swept.unwritten,
        braked=swept.braked,
        unreachable=unreachable,
    )
    rows = [
        {"account": account_id, "effects": advanced.effects, "rests": _rest(advanced.rest)}
        for account_id, advanced in swept.rested.items()
    ]
    rows += [{"account": account_id, "effects": 0, "rests": "failed"} for account_id in swept.failed]
    rows += [{"account": account_id, "effects": 0, "rests": "halted: its run was cancelled"} for account_id in halted]
    table("sweep", rows, report.line())
    announce(services, recorded, failed=swept.failed, revived=revived)
    logger.info("%s", report.line())
    return report


def preview_sweep(services: Services, *, limit: int) -> str:
    """What a sweep would do now, counted by channel."""
    counts = preview(services, limit=limit)
    line = f"dry run: {as_line(counts)}"
    table("sweep-preview", [{"what": what, "count": count} for what, count in counts.items()], line)
    return line


def _rest(rest: Standstill | Closed) -> str:
    return f"closed: {rest.outcome}" if isinstance(rest, Closed) else rest.reason
