"""When a worker's process has had its time."""

from __future__ import annotations

import pytest

from arrears.orchestration.recycling import memory_mib, worn_out
from arrears.settings import Settings

LIMITS = Settings(worker_most_runs=100, worker_most_mib=500, worker_most_given_up=2)


@pytest.mark.parametrize(
    ("ended", "given_up", "mib", "why"),
    [
        (99, 1, 500.0, None),
        (100, 0, 300.0, "after 100 runs"),
        (1, 0, 500.5, "at 500 MiB"),
        (0, 0, 500.5, None),
        (1, 0, None, None),
        (0, 2, 300.0, "having given up 2 runs"),
    ],
)
def test_a_process_begins_anew_when_any_limit_is_reached(
    ended: int, given_up: int, mib: float | None, why: str | None
) -> None:
    assert worn_out(LIMITS, ended=ended, given_up=given_up, mib=mib) == why


def test_without_limits_on_runs_and_memory_only_what_was_given_up_counts() -> None:
    free = Settings(worker_most_runs=None)
    assert worn_out(free, ended=10**9, given_up=2, mib=10.0**6) is None
    assert worn_out(free, ended=0, given_up=3, mib=None) == "having given up 3 runs"


def test_this_process_has_some_memory() -> None:
    mib = memory_mib()
    assert mib is None or 10 < mib < 100_000
