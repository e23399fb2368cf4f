"""OpenTelemetry through Prefect's own hooks: a run is a span, which has of its parameters no more than types."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY, temporary_settings

from arrears.clock import SystemClock
from arrears.orchestration.waiting import waiting_state
from arrears.orchestration.worker import WarmWorker
from arrears.settings import ROOT
from flows.sweep import sweep
from tests.support import wakes
from tests.support.ledgers import sqlite_ledger
from tests.support.prefect_house import PrefectServer, end, wait_for

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


class Collector(ThreadingHTTPServer):
    """Takes traces as OpenTelemetry's own collector does: OTLP over HTTP, in protobuf."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.requests: list[ExportTraceServiceRequest] = []

    @property
    def spans(self) -> list[tuple[str, Any]]:
        """The service that each is of, and the span."""
        return [
            (attribute.value.string_value, span)
            for request in self.requests
            for group in request.resource_spans
            for attribute in group.resource.attributes
            if attribute.key == "service.name"
            for scope in group.scope_spans
            for span in scope.spans
        ]


class _Taking(BaseHTTPRequestHandler):
    server: Collector  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_warm_worker_sends_its_wakes_and_begins_anew_when_they_leak(
    prefect_server: PrefectServer, client: SyncPrefectClient, collector: Collector, tmp_path: Path
) -> None:
    """As docs/deployment.md says; what a process holds back is sent before it becomes another."""
    pool, log = f"traced-{uuid4().hex[:8]}", tmp_path / "worker.log"
    template = WarmWorker.get_default_base_job_template()
    client.create_work_pool(WorkPoolCreate(name=pool, type=WarmWorker.type, base_job_template=template))
    flow_id = client.create_flow(wakes.leaks)
    deployment_id = client.create_deployment(flow_id, pool, entrypoint="tests.support.wakes.leaks", work_pool_name=pool)
    command = ["opentelemetry-instrument", "prefect", "worker", "start", "--pool", pool, "--type", "arrears"]
    worker = prefect_server.begin(
        command,
        log,
        cold=True,
        PYTHONPATH=str(ROOT),
        PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY="true",
        OTEL_SERVICE_NAME="arrears",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_METRICS_EXPORTER="none",
        # It would take longer to send by itself than this test lasts.
        OTEL_BSP_SCHEDULE_DELAY="3600000",
        PREFECT_WORKER_QUERY_SECONDS="0.3",
        ARREARS_WORKER_MOST_MIB="700",
    )

    def leak(mib: int) -> None:
        state = waiting_state(SystemClock().wall(), "due")
        run = client.create_flow_run_from_deployment(deployment_id, name=pool, parameters={"mib": mib}, state=state)
        wait_for("the end of a run", lambda: (now := client.read_flow_run(run.id).state) and now.is_completed())

    try:
        leak(300)
        assert "begins anew" not in log.read_text()
        leak(300)
        wait_for("the new beginning", lambda: "begins anew, at " in log.read_text())
        wait_for("the traces of the first life", lambda: len(collector.spans) == 2)
        leak(600)
        wait_for("the traces of the second", lambda: len(collector.spans) == 3)
        assert worker.poll() is None
    finally:
        end(worker)
    for service, span in collector.spans:
        assert (service, span.name) == ("arrears", pool)
        told = {attribute.key: attribute.value.string_value for attribute in span.attributes}
        assert told["prefect.run.parameter.mib"] == "int"
