"""Files of facts as Prefect runs them: taken in, and the timelines they touch woken."""

from __future__ import annotations

from pathlib import Path

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
    woken = 0
    for account_id in dict.fromkeys(account for result in results for account in result.touched):
        try:
            woken += wake(services, account_id) is not None
        except PrefectUnreachable as error:
            logger.warning("account %s could not be woken, the sweep will see to it: %s", account_id, error)
    line = (
        f"{'dry run: ' if dry_run else ''}{len(files)} files, {sum(r.rows for r in results)} rows, "
        f"{sum(len(r.touched) for r in results)} posted, {sum(r.already for r in results)} known already, "
        f"{sum(len(r.rejected) for r in results)} refused, {woken} timelines woken"
    )
    table(what, [row for result in results for row in _refused(result)], line)
    logger.info("%s", line)
    return line


def _refused(result: TakenFile) -> list[dict[str, object]]:
    return [
        {"file": result.path.name, "line": row.line, "account": row.account_id, "reason": row.reason}
        for row in result.rejected
    ]
