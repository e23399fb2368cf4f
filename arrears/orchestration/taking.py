"""Files of facts as Prefect runs them: taken in, and the timelines they touch woken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from arrears.operations.pick_up import pick_up
from arrears.operations.services import Services
from arrears.operations.take_file import FileTaker, TakenFile
from arrears.orchestration.artifacts import table
from arrears.orchestration.tending import Logger
from arrears.orchestration.timelines import PrefectUnreachable, wake


def take_files(services: Services, path: Path, take: FileTaker, *, what: str, dry_run: bool, logger: Logger) -> str:
    """Take the file at `path` in, or every CSV file in the folder `path`; the line says what came of it.

    Every row counts once by its reference, so files may lie there and be read again. `what` they hold names
    the table in Prefect's UI, and who took them in.
    """
    if path.is_dir():
        files = sorted(file for file in path.glob("*.csv") if not file.name.endswith(".rejected.csv"))
    else:
        files = [path] if path.exists() else []
    results = [take(services, file, who=what, dry_run=dry_run) for file in files]
    woken = _wake(services, (account for result in results for account in result.touched), logger)
    line = (
        f"{'dry run: ' if dry_run else ''}{len(files)} files, {sum(r.rows for r in results)} rows, "
        f"{sum(len(r.touched) for r in results)} posted, {sum(r.already for r in results)} known already, "
        f"{sum(len(r.rejected) for r in results)} refused, {woken} timelines woken"
    )
    table(what, [row for result in results for row in _refused(result)], line)
    logger.info("%s", line)
    return line


def pick_up_files(services: Services, *, dry_run: bool, logger: Logger) -> str:
    """Take what partners left in their folders, whole file by whole file; the line says what came of it."""
    results = list(pick_up(services, who="agency", dry_run=dry_run))
    for result in results:
        if result.problem:
            logger.warning("the folder of %s: %s", result.partner, result.problem)
    files = [file for result in results for file in result.files]
    woken = _wake(services, (account for file in files for account in file.touched), logger)
    by_status = Counter(file.status for file in files)
    line = (
        f"{'dry run: ' if dry_run else ''}{len(results)} folders, "
        f"{', '.join(f'{count} {status}' for status, count in sorted(by_status.items())) or 'no file'}, "
        f"{sum(len(result.waiting) for result in results)} not finished, "
        f"{sum(bool(result.problem) for result in results)} folders out of reach, {woken} timelines woken"
    )
    wrong = [
        {"partner": file.partner, "file": file.name, "line": each.line, "reason": each.what}
        for file in files
        for each in file.wrong
    ]
    table("partner-files", wrong, line)
    logger.info("%s", line)
    return line


def _wake(services: Services, accounts: Iterable[str], logger: Logger) -> int:
    woken = 0
    for account_id in dict.fromkeys(accounts):
        try:
            woken += wake(services, account_id) is not None
        except PrefectUnreachable as error:
            logger.warning("account %s could not be woken, the sweep will see to it: %s", account_id, error)
    return woken


def _refused(result: TakenFile) -> list[dict[str, object]]:
    return [
        {"file": result.path.name, "line": row.line, "account": row.account_id, "reason": row.reason}
        for row in result.rejected
    ]
