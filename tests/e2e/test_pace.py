"""Texts at the pace of Prefect's own concurrency limits."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_URL, temporary_settings

from arrears.orchestration.pace import PrefectPace, limit_name
from tests.support.prefect_house import free_port

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
SENDER = "+15005550077"
SECOND = timedelta(seconds=1)


def test_all_who_send_from_one_sender_share_prefects_limit(client: SyncPrefectClient) -> None:
    first, second = PrefectPace(0.01), PrefectPace(0.01)
    assert first.wait(SENDER, at_most=20 * SECOND)
    assert not second.wait(SENDER, at_most=SECOND)
    assert PrefectPace(0.5).wait(SENDER, at_most=60 * SECOND), "a slot comes back by itself"
    assert PrefectPace(7.5).wait(SENDER, at_most=60 * SECOND)
    limit = client.read_global_concurrency_limit_by_name(limit_name(SENDER))
    assert (limit.limit, limit.slot_decay_per_second) == (7, 7.5)


def test_a_limit_that_somebody_deleted_is_made_again(client: SyncPrefectClient) -> None:
    pace = PrefectPace(5)
    assert pace.wait(SENDER, at_most=20 * SECOND)
    client.delete_global_concurrency_limit_by_name(limit_name(SENDER))
    assert pace.wait(SENDER, at_most=20 * SECOND)
    assert client.read_global_concurrency_limit_by_name(limit_name(SENDER)).slot_decay_per_second == 5


def test_while_prefect_does_not_answer_the_process_keeps_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    take = PrefectPace._take

    def counted(self: PrefectPace, name: str, at_most: timedelta) -> None:
        asked.append(name)
        take(self, name, at_most)

    monkeypatch.setattr(PrefectPace, "_take", counted)
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        pace = PrefectPace(5)
        assert pace.wait(SENDER, at_most=10 * SECOND)
        started = time.monotonic()
        assert all(pace.wait(SENDER, at_most=10 * SECOND) for _ in range(2))
        # The second of them a fifth of a second after the first, whenever that was.
        assert time.monotonic() - started > 0.19
    assert len(asked) == 1, "it was asked again, which takes as long as it does not answer"
