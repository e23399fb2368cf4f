"""Table artifacts for Prefect's UI. Account ids only: no name, number or balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefect.artifacts import create_table_artifact

_MOST_ROWS = 200


def table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """Publish a table under `key`; past 200 rows the description says how many more there are."""
    shown = [dict(row) for row in rows[:_MOST_ROWS]]
    if len(rows) > _MOST_ROWS:
        description += f"\n\n{len(rows) - _MOST_ROWS} more rows are not shown."
    create_table_artifact(key=key, table=shown or [{"": "nothing to show"}], description=description)
