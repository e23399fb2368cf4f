"""What a sweep shows in Prefect's UI while it runs, and what it leaves there: read back from a real server."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact
from prefect.client.schemas.sorting import ArtifactSort
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlmodel import select

import models
from arrears.channels.effect import Channel, Intent, Outcome
from arrears.clock import VirtualClock
from arrears.engine.vocabulary import ChannelName
from arrears.operations.enroll import enroll
from arrears.operations.services import open_services
from arrears.operations.sweep import Share
from arrears.orchestration.tending import tend_all
from arrears.settings import Settings
from tests.conftest import HEADER, START, a_row
from tests.support.ledgers import sqlite_ledger
from tests.support.prefect_house import PrefectServer

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]


def newest(client: SyncPrefectClient, key: str) -> Artifact:
    found = client.read_artifacts(
        artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])), sort=ArtifactSort.CREATED_DESC, limit=1
    )
    return found[0]


@dataclass
class Onlooker:
    """Sends texts, looks at the bar before each, and fails unforeseen for one account."""

    inner: Channel
    client: SyncPrefectClient
    seen: list[tuple[Any, str]] = field(default_factory=list[tuple[Any, str]])

    def perform(self, intent: Intent) -> Outcome:
        bar = newest(self.client, "sweep-progress")
        self.seen.append((round(float(str(bar.data))), str(bar.description)))
        if intent.account_id == "SV-2":
            raise RuntimeError("nobody foresaw this")
        return self.inner.perform(intent)

    def look_up(self, intent: Intent) -> Any:
        return self.inner.look_up(intent)


def test_a_sweep_goes_on_until_nothing_is_due_within_one_ceiling(
    prefect_server: PrefectServer, client: SyncPrefectClient, tmp_path: Path
) -> None:
    settings = Settings(database_url=sqlite_ledger(tmp_path / "l.db"), outbox=tmp_path / "outbox")
    services = open_services(settings).at(VirtualClock(START + timedelta(days=3, hours=8)))
    portfolio = tmp_path / "portfolio.csv"
    portfolio.write_text(HEADER + "".join(a_row(f"SM-{n}", phone=f"+1518555010{n}") for n in range(1, 8)))
    enroll(services, portfolio, at=START, who="test", driver="sweep")
    sweep = partial(tend_all, limit=2, share=Share(0, 1), logger=logging.getLogger("test"))
    with temporary_settings({PREFECT_API_URL: prefect_server.environment["PREFECT_API_URL"]}):
        capped = sweep(replace(services, settings=settings.model_copy(update={"most_effects_per_run": 3})))
        assert (capped.effects, capped.more) == (3, False)
        assert "for this run" in str(capped.braked)
        rest = sweep(services)
    assert (rest.effects, rest.more, rest.braked) == (4, False, None)
    assert "4 effects" in rest.line()
    with services.ledger.read() as session:
        assert [step.status for step in session.exec(select(models.Step))] == ["done"] * 7
    services.close()


def test_progress_counts_and_failures_show_as_it_runs(
    prefect_server: PrefectServer, client: SyncPrefectClient, tmp_path: Path
) -> None:
    settings = Settings(database_url=sqlite_ledger(tmp_path / "l.db"), outbox=tmp_path / "outbox", sweep_batch=1)
    opened = open_services(settings)
    portfolio = tmp_path / "portfolio.csv"
    portfolio.write_text(HEADER + "".join(a_row(f"SV-{n}", phone=f"+1518555000{n}") for n in range(1, 5)))
    enroll(opened, portfolio, at=START, who="test", driver="sweep")
    onlooker = Onlooker(opened.channels[ChannelName.SMS], client)
    services = replace(opened, channels={**opened.channels, ChannelName.SMS: onlooker})
    with temporary_settings({PREFECT_API_URL: prefect_server.environment["PREFECT_API_URL"]}):
        at_noon = services.at(VirtualClock(START + timedelta(days=3, hours=8)))
        report = tend_all(at_noon, limit=10, share=Share(0, 1), logger=logging.getLogger("test"))
    opened.close()
    assert [share for share, _ in onlooker.seen] == [0, 25, 50, 75]
    assert onlooker.seen[3][1] == "3 of 4 accounts: sms 2; 1 failed"
    bar, table = newest(client, "sweep-progress"), newest(client, "sweep")
    assert float(str(bar.data)) == 100
    assert bar.description == "4 of 4 accounts: sms 3; 1 failed"
    assert table.description == report.line()
    rows = {row["account"]: row for row in json.loads(str(table.data))}
    assert rows.keys() == {f"SV-{n}" for n in range(1, 5)}
    assert (rows["SV-2"]["rests"], rows["SV-1"]["effects"]) == ("failed", 1)
    shown = f"{bar.model_dump_json()}{table.model_dump_json()}"
    assert "1518555" not in shown, "a number is in it"
    assert "Robin" not in shown, "a name is in it"
