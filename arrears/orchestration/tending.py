"""One sweep as Prefect runs it: cancelled runs halted, the due advanced, the stalled revived, all shown."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from prefect.deployments import run_deployment

from arrears.operations.brakes import Budget
from arrears.operations.moves import Closed, Standstill
from arrears.operations.preview import as_line, preview
from arrears.operations.record_sweep import record_sweep
from arrears.operations.services import Services
from arrears.operations.strain import strain
from arrears.operations.sweep import Share, Swept, sweep
from arrears.operations.turns import Turn
from arrears.orchestration.announcing import announce
from arrears.orchestration.artifacts import Progress, table
from arrears.orchestration.timelines import PrefectUnreachable, halt_cancelled, revive

SHARE = "sweep-share/default"
Logger = logging.Logger | logging.LoggerAdapter[Any]


# Then a sweep ends though more is due, and the next one goes on.
_LONGEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Report:
    """What one sweep did, for a person to read. `more`: others are due, and nothing keeps them from being advanced."""

    looked_at: int
    effects: int
    closed: int
    halted: Sequence[str]
    revived: Sequence[str]
    failed: Sequence[str]
    unwritten: Sequence[str]
    handed: int
    not_handed: Sequence[str]
    braked: str | None
    unreachable: str | None
    more: bool = False

    def __add__(self, after: Report) -> Report:
        """Of both, as of one; how things stand is as they stood after the second."""
        return replace(
            after,
            looked_at=self.looked_at + after.looked_at,
            effects=self.effects + after.effects,
            closed=self.closed + after.closed,
            halted=(*self.halted, *after.halted),
            revived=(*self.revived, *after.revived),
            failed=tuple(dict.fromkeys((*self.failed, *after.failed))),
            handed=self.handed + after.handed,
        )

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
        if self.handed:
            parts.append(f"{self.handed} files handed over")
        parts.extend((*self.unwritten, *self.not_handed))
        if self.braked:
            parts.append(f"braked: {self.braked}")
        if self.unreachable:
            parts.append(self.unreachable)
        if self.more:
            parts.append("more are due")
        return ", ".join(parts)


def tend_all(services: Services, *, limit: int, share: Share, logger: Logger, turn: Turn | None = None) -> Report:
    """`tend`, `limit` accounts after `limit` accounts, until nothing more is due or an hour is over.

    So files leave, late timelines are looked after and a sweep is announced every so often, however much is due.
    """
    until = time.monotonic() + _LONGEST.total_seconds()
    # One budget for all: a ceiling is one of the run.
    again = partial(
        tend,
        services,
        limit=limit,
        share=share,
        logger=logger,
        turn=turn,
        budget=Budget(services.settings.most_effects_per_run),
    )
    report = again()
    while report.more and time.monotonic() < until:
        report += again()
    return report


def tend(
    services: Services, *, limit: int, share: Share, logger: Logger, budget: Budget, turn: Turn | None = None
) -> Report:
    """Sweep once, keeping our `turn` the while, and leave a table of it in Prefect's UI, where its progress shows.

    Runs that were cancelled or have stalled are the first share's to see to.
    """
    halted: Sequence[str] = ()
    revived: Sequence[str] = ()
    unreachable: str | None = None
    try:
        halted = halt_cancelled(services) if share.number == 0 else ()
    except PrefectUnreachable as error:
        # Without Prefect's word on what was cancelled, a timeline's case could be one an operator stopped.
        unreachable = str(error)
    bar = Progress(f"sweep-progress{share.suffix}", "accounts advanced")

    def show(so_far: Swept, due: int) -> None:
        if turn is not None:
            turn.keep()
        line = f"{so_far.looked_at:,} of {due:,} accounts: {as_line(so_far.by_channel)}; {len(so_far.failed)} failed"
        bar.show(so_far.looked_at, due, line)

    started = time.monotonic()
    swept = sweep(services, who="sweep", budget=budget, limit=limit, share=share, progress=show)
    recorded = record_sweep(
        services,
        seconds=time.monotonic() - started,
        looked_at=swept.looked_at,
        failed=len(swept.failed),
        by_channel=swept.by_channel,
    )
    if warning := strain(services):
        logger.warning("%s", warning)
    if unreachable is None and share.number == 0:
        try:
            revived = revive(services, swept.due)
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
        handed=len(swept.handed.sent),
        not_handed=swept.handed.problems,
        braked=swept.braked,
        unreachable=unreachable,
        # What others are at, or what cannot be advanced, is no reason to look again at once.
        more=swept.more and not swept.braked and bool(swept.rested or swept.failed),
    )
    rows = [
        {"account": account_id, "effects": advanced.effects, "rests": _rest(advanced.rest)}
        for account_id, advanced in swept.rested.items()
    ]
    rows += [{"account": account_id, "effects": 0, "rests": "failed"} for account_id in swept.failed]
    rows += [{"account": account_id, "effects": 0, "rests": "halted: its run was cancelled"} for account_id in halted]
    table(f"sweep{share.suffix}", rows, report.line(), more=swept.looked_at - len(swept.rested) - len(swept.failed))
    announce(services, recorded, failed=swept.failed, revived=revived, first=share.number == 0)
    logger.info("%s", report.line())
    return report


def start_shares(*, limit: int, of: int) -> None:
    """Start the other runs of a sweep that is shared among `of`; the caller is the first."""
    for number in range(1, of):
        run_deployment(SHARE, parameters={"number": number, "of": of, "limit": limit}, timeout=0, as_subflow=False)


def preview_sweep(services: Services, *, limit: int) -> str:
    """What a sweep would do now, counted by channel."""
    counts = preview(services, limit=limit)
    line = f"dry run: {as_line(counts)}"
    table("sweep-preview", [{"what": what, "count": count} for what, count in counts.items()], line)
    return line


def _rest(rest: Standstill | Closed) -> str:
    return f"closed: {rest.outcome}" if isinstance(rest, Closed) else rest.reason
