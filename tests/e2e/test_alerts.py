"""Alerts as automations of a real Prefect server: made once, set right, and fired by what a sweep announces."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prefect import flow
from prefect.blocks.notifications import SlackWebhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.automations import AutomationCore
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Scheduled
from pydantic import SecretStr
from sqlmodel import select

import models
from arrears.clock import machine_time
from arrears.ledger.events import log_event
from arrears.operations.enroll import enroll
from arrears.operations.newly_unknown import newly_unknown
from arrears.operations.record_sweep import LastSweep
from arrears.operations.services import open_services
from arrears.operations.sweep import Share
from arrears.orchestration.alerts import LATE_RUNS, AlertsRefused, deploy_alerts
from arrears.orchestration.announcing import announce
from arrears.orchestration.tending import tend_all
from arrears.settings import Settings
from tests.conftest import HEADER, START, a_row
from tests.e2e.conftest import triggered
from tests.support.ledgers import sqlite_ledger
from tests.support.prefect_house import PrefectServer, wait_for

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
NAMES = ["no sweep", "accounts fail", "timelines are late", "runs are late", "a step is unknown", "no worker"]


@pytest.fixture
def api(prefect_server: PrefectServer) -> Iterator[None]:
    with temporary_settings({PREFECT_API_URL: prefect_server.environment["PREFECT_API_URL"]}):
        yield


def did() -> dict[str, str]:
    return {each.name.removeprefix("arrears: "): each.did for each in deploy_alerts(pool="arrears")}


@pytest.mark.usefixtures("api")
def test_alerts_are_made_once_set_right_and_fired_by_a_sweep(
    prefect_server: PrefectServer, client: SyncPrefectClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsed = deploy_alerts(pool="arrears", dry_run=True)
    assert [each.did for each in rehearsed] == ["created"] * 6
    assert client.read_automations() == []
    assert did() == dict.fromkeys(NAMES, "created")
    assert did() == dict.fromkeys(NAMES, "unchanged")
    by_name = {each.name.removeprefix("arrears: "): each for each in client.read_automations()}
    edited = by_name["accounts fail"].model_dump(exclude={"id", "owner_resource"}) | {"description": "edited"}
    client.update_automation(by_name["accounts fail"].id, AutomationCore(**edited))
    client.pause_automation(by_name["no worker"].id)
    told = json.loads(prefect_server.run("arrears", "alerts", "deploy", "--json"))
    assert {each["name"].removeprefix("arrears: "): (each["did"], each["enabled"]) for each in told["alerts"]} == {
        **dict.fromkeys(NAMES, ("unchanged", True)),
        "accounts fail": ("updated", True),
        "no worker": ("unchanged", False),
    }
    with pytest.raises(AlertsRefused, match="has no block 'slack-webhook/nobody'"):
        deploy_alerts(pool="arrears", notify="slack-webhook/nobody")
    SlackWebhook(url=SecretStr("https://127.0.0.1:9/hook")).save("on-call", overwrite=True)
    told_now = {each.did for each in deploy_alerts(pool="arrears", notify="slack-webhook/on-call")}
    assert told_now == {"updated"}
    assert did() == dict.fromkeys(NAMES, "unchanged"), "who is told stays told"
    assert {each.actions[0].type for each in client.read_automations()} == {"send-notification"}

    services = open_services(Settings(database_url=sqlite_ledger(tmp_path / "l.db"), outbox=tmp_path / "outbox"))
    portfolio = tmp_path / "portfolio.csv"
    portfolio.write_text(HEADER + a_row("AL-1"), encoding="utf-8")
    enroll(services, portfolio, at=START, who="test", driver="sweep")
    with services.ledger.write() as session:
        case = session.exec(select(models.Case)).one()
        case.ladder = "no-such-ladder"
        session.add(case)
        log_event(session, "unknown", who="test", at=START, wall=START, case=case)
    report = tend_all(services, limit=10, share=Share(0, 1), logger=logging.getLogger("test"))
    assert report.failed == ["AL-1"]
    EventsWorker.instance().wait_until_empty()
    fired = wait_for("two alerts", lambda: len(found := triggered(client)) >= 2 and found)
    assert sorted(fired) == ["arrears: a step is unknown", "arrears: accounts fail"]
    assert newly_unknown(services) == (), "told twice"

    late = [f"AL-{n}" for n in range(services.settings.alert_late_timelines)]
    swept = LastSweep(services.clock.wall(), seconds=1, looked_at=len(late), effects=0, failed=0)
    announce(services, swept, failed=(), revived=late[1:], first=False)
    announce(services, swept, failed=(), revived=late, first=False)
    EventsWorker.instance().wait_until_empty()
    wait_for("the third", lambda: triggered(client).count("arrears: timelines are late") == 1)
    services.close()

    # No sweep, and as short a patience as Prefect allows.
    monkeypatch.setattr("arrears.orchestration.alerts.NO_SWEEP_FOR", timedelta(seconds=10))
    assert did() == dict.fromkeys(NAMES, "unchanged") | {"no sweep": "updated"}
    wait_for("the last", lambda: "arrears: no sweep" in triggered(client))
    monkeypatch.undo()
    assert did() == dict.fromkeys(NAMES, "unchanged") | {"no sweep": "updated"}


@pytest.mark.usefixtures("api")
def test_scheduled_runs_that_nobody_begins_are_told_as_one_alert(client: SyncPrefectClient) -> None:
    @flow
    def payments() -> None: ...

    deploy_alerts(pool="arrears")
    before = triggered(client).count("arrears: runs are late")
    long_ago = machine_time() - timedelta(minutes=2)
    for _ in range(LATE_RUNS):
        client.create_flow_run(payments, tags=["arrears"], state=Scheduled(scheduled_time=long_ago))
    # A timeline's wait is over, too, and no run of it is late.
    client.create_flow_run(payments, tags=["arrears"], state=Scheduled(scheduled_time=long_ago, name="Waiting"))
    wait_for("the alert", lambda: triggered(client).count("arrears: runs are late") == before + 1)


def test_without_a_server_nothing_is_started() -> None:
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(AlertsRefused, match="set PREFECT_API_URL"),
    ):
        deploy_alerts(pool="arrears")
