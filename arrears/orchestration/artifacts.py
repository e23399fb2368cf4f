"""Tables and progress for Prefect's UI. Account ids only: no name, number or balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact

_MOST_ROWS = 200


def table(key: str, rows: Sequence[Mapping[str, Any]], description: str, *, more: int = 0) -> None:
    """Publish a table under `key`; past 200 rows, and for `more` that are not given, it says how many are not shown."""
    shown = [dict(row) for row in rows[:_MOST_ROWS]]
    left_out = len(rows) - len(shown) + more
    if left_out:
        description += f"\n\n{left_out} more rows are not shown."
    create_table_artifact(key=key, table=shown or [{"": "nothing to show"}], description=description)


class Progress:
    """A bar in Prefect's UI that moves while the run goes on."""

    def __init__(self, key: str, description: str) -> None:
        made = create_progress_artifact(progress=0.0, key=key, description=description)
        assert isinstance(made, UUID)
        self._id = made

    def show(self, done: int, total: int, description: str | None = None) -> None:
        """`done` of `total`, and what there is to say about it."""
        update_progress_artifact(artifact_id=self._id, progress=100.0 * done / max(total, 1), description=description)
