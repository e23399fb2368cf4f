"""What who watches a deployment is shown: metrics, log lines, and what SQLite says when it is asked for too much."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlmodel import select

import models
from arrears.clock import VirtualClock
from arrears.logs import JsonLines
from arrears.operations.brakes import Budget, stop
from arrears.operations.enroll import enroll
from arrears.operations.expose import expose
from arrears.operations.metrics import registry_of
from arrears.operations.record_sweep import record_sweep
from arrears.operations.services import Services
from arrears.operations.strain import TooMuchForSqlite, strain
from arrears.operations.sweep import sweep
from arrears.settings import ROOT
from tests.conftest import START, a_row
from tests.support.desk_server import serving
from tests.support.prefect_house import free_port

Portfolio = Callable[..., Path]


def numbers(text: str) -> dict[str, float]:
    """Each sample by its name and labels, as Prometheus' own parser reads them."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(registry: CollectorRegistry) -> dict[str, float]:
    return numbers(generate_latest(registry).decode())


def test_the_metrics_are_those_of_the_ledger(services: Services, clock: VirtualClock, portfolio: Portfolio) -> None:
    enroll(services, portfolio(*(a_row(f"M-{n}") for n in range(3))), at=START, who="test", driver="sweep")
    clock.moment = START + timedelta(days=3, hours=4)
    before = read(registry_of(services))
    assert before["arrears_cases_overdue"] == 3
    assert "arrears_last_sweep_timestamp_seconds" not in before
    with services.ledger.read() as session:
        oldest = min(case.next_due_at for case in session.exec(select(models.Case)).all() if case.next_due_at)
    assert before["arrears_oldest_overdue_seconds"] == (clock.moment - oldest).total_seconds()
    swept = sweep(services, who="test", budget=Budget(None))
    record_sweep(services, seconds=1.5, looked_at=3, failed=1, by_channel=swept.by_channel)
    with services.ledger.write() as session:
        step = session.exec(select(models.Step).where(models.Step.account_id == "M-0")).first()
        assert step is not None
        step.status = "unknown"
        session.add(step)
        sent = {"sid": "SM1", "at": clock.wall(), "since": clock.wall()}
        session.add(models.Delivery(reference="R-1", status="delivered", **sent))
        session.add(models.Delivery(reference="R-2", status="undelivered", error_code="30005", **sent))
        session.add(models.WorkItem(key="k", account_id="M-1", kind="call_me", at=clock.now()))
    stop(services.ledger, why="a test", who="test", at=clock.now(), wall=clock.wall())
    after = read(registry_of(services))
    made = swept.effects
    assert made == 3
    assert (
        after.items()
        >= {
            "arrears_ledger_up": 1,
            "arrears_stopped": 1,
            "arrears_cases_due": 0,
            "arrears_cases_overdue": 0,
            "arrears_oldest_overdue_seconds": 0,
            "arrears_accounts delinquent": 3,
            "arrears_accounts_at_stage sms": 3,
            "arrears_steps sms done": 2,
            "arrears_steps sms unknown": 1,
            "arrears_texts delivered": 1,
            "arrears_texts_undelivered 30005": 1,
            "arrears_work_items_open": 1,
            "arrears_sweeps_total": 1,
            "arrears_sweep_failed_accounts_total": 1,
            "arrears_sweep_effects_total sms": made,
            "arrears_last_sweep_duration_seconds": 1.5,
            "arrears_last_sweep_effects": made,
        }.items()
    )
    assert not [name for name in after if "M-1" in name or "5185550101" in name]
    with ThreadPoolExecutor(4) as pool:
        # Shards of one sweep end at once: none of them is lost.
        list(
            pool.map(
                lambda _: record_sweep(services, seconds=1, looked_at=1, failed=0, by_channel={"letter": 1}), range(8)
            )
        )
    totals = read(registry_of(services))
    assert totals["arrears_sweeps_total"] == 9
    assert totals["arrears_sweep_effects_total letter"] == 8


def test_who_asks_often_reads_what_is_kept_and_a_ledger_that_is_gone_is_down(
    services: Services, portfolio: Portfolio
) -> None:
    registry = registry_of(services)
    assert read(registry)["arrears_accounts current"] == 0
    enroll(services, portfolio(a_row()), at=START, who="test", driver="sweep")
    assert read(registry)["arrears_accounts current"] == 0, "counted anew before its time"
    if services.ledger.on_sqlite:
        with services.ledger.write() as session:
            session.connection().exec_driver_sql("ALTER TABLE steps RENAME TO gone")
        assert read(registry_of(services)) == {"arrears_ledger_up": 0}


def test_metrics_are_for_who_has_the_token_or_an_inner_port(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    if not services.ledger.on_sqlite:
        pytest.skip("the same on either database")
    with serving(services) as (_, address):
        assert httpx.get(f"{address}/metrics", timeout=60).status_code == 503
    port = free_port()
    settings = services.settings.model_copy(update={"metrics_token": "to-prometheus", "metrics_port": port})
    house = replace(services, settings=settings)
    with serving(house) as (_, address):
        refused = httpx.get(f"{address}/metrics", headers={"Authorization": "Bearer other"}, timeout=60)
        shown = httpx.get(f"{address}/metrics", headers={"Authorization": "Bearer to-prometheus"}, timeout=60)
    assert (refused.status_code, shown.status_code) == (401, 200)
    assert numbers(shown.text)["arrears_ledger_up"] == 1
    assert expose(services) is None
    end = expose(house)
    assert end is not None
    assert numbers(httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text)["arrears_ledger_up"] == 1
    assert expose(house) is None
    assert f"no metrics: 127.0.0.1:{port}: Address already in use" in caplog.text
    end()


def test_sqlite_says_what_it_does_not_bear(services: Services, portfolio: Portfolio) -> None:
    told = strain(services, at_once=8)
    narrow = replace(services, settings=services.settings.model_copy(update={"sqlite_most_accounts": 2}))
    path = portfolio(*(a_row(f"M-{n}") for n in range(3)))
    if not services.ledger.on_sqlite:
        assert told is None
        assert enroll(narrow, path, at=START, who="test", driver="sweep").enrolled == 3
        return
    assert told is not None
    assert told.startswith("8 at once on SQLite, which takes one writer at a time")
    assert strain(services, at_once=4) is None
    with pytest.raises(TooMuchForSqlite, match=r"at most 2 accounts \(ARREARS_SQLITE_MOST_ACCOUNTS\)"):
        enroll(narrow, path, at=START, who="test", driver="sweep")
    with services.ledger.read() as session:
        assert session.exec(select(models.Account)).all() == []


def a_record(message: str, *args: object, **more: object) -> logging.LogRecord:
    record = logging.LogRecord("arrears.test", logging.ERROR, __file__, 7, message, args, None)
    record.__dict__.update(more)
    return record


def test_a_log_line_is_one_object_without_what_an_exception_says() -> None:
    try:
        raise ValueError("Ann Example, +15185550101")
    except ValueError:
        record = a_record("account %s failed\nbadly", "A-1", account="A-1", flow_run_name="A-1", password="x")
        record.exc_info = sys.exc_info()
    line = JsonLines().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert told.pop("time").endswith("Z")
    assert told.pop("error_at").startswith(__file__)
    assert told == {
        "level": "error",
        "logger": "arrears.test",
        "message": "account A-1 failed\nbadly",
        "account": "A-1",
        "flow_run_name": "A-1",
        "error": "ValueError",
    }


PREFECTS = """
import logging
from arrears.orchestration import at_work
at_work.services()
import prefect
logging.getLogger("arrears.test").warning("account %s", "A-1")
logging.getLogger("prefect.flow_runs").error("failed", extra={"flow_run_name": "A-1"})
at_work.services().close()
"""


def test_prefects_processes_write_the_same_lines(services: Services) -> None:
    if not services.ledger.on_sqlite:
        pytest.skip("the same on either database")
    env = {
        "ARREARS_DATABASE_URL": services.settings.database_url,
        "ARREARS_LOG_FORMAT": "json",
        "PREFECT_API_URL": "http://127.0.0.1:1/api",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    done = subprocess.run([sys.executable, "-c", PREFECTS], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["message"], line.get("flow_run_name")) for line in lines] == [
        ("account A-1", None),
        ("failed", "A-1"),
    ]
