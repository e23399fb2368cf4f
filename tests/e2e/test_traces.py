"""OpenTelemetry through Prefect's own hooks: a run is a span, which has of its parameters no more than types."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prefect.settings import PREFECT_API_URL, PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY, temporary_settings

from flows.sweep import sweep
from tests.support.ledgers import sqlite_ledger
from tests.support.prefect_house import PrefectServer

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]


def test_a_run_is_a_span(prefect_server: PrefectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARREARS_DATABASE_URL", sqlite_ledger(tmp_path / "ledger.db"))
    monkeypatch.setenv("ARREARS_OUTBOX", str(tmp_path / "outbox"))
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    api = {PREFECT_API_URL: prefect_server.environment["PREFECT_API_URL"]}
    with temporary_settings({**api, PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY: True}):
        assert sweep(limit=77, dry_run=True, return_state=True).is_completed()
    (span,) = kept.get_finished_spans()
    assert span.name == "sweep"
    assert span.attributes is not None
    assert span.attributes["prefect.run.parameter.limit"] == "int"
    assert 77 not in span.attributes.values()
    assert [event.name for event in span.events] == ["Running", "Completed"]
