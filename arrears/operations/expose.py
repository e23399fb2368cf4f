"""A port of a process's own for Prometheus, for an inner network: off unless ARREARS_METRICS_PORT is set."""

from __future__ import annotations

import logging
from collections.abc import Callable

from prometheus_client import start_http_server

from arrears.operations.metrics import registry_of
from arrears.operations.services import Services

logger = logging.getLogger(__name__)


def expose(services: Services) -> Callable[[], None] | None:
    """Serve the metrics on the port that is set; what ends it, or None where there is none to be had.

    A port that is taken is told in the log: nobody is left uncontacted because nobody counts.
    """
    settings = services.settings
    if settings.metrics_port is None:
        return None
    try:
        server, thread = start_http_server(settings.metrics_port, settings.metrics_host, registry_of(services))
    except OSError as error:
        where = f"{settings.metrics_host}:{settings.metrics_port}"
        logger.error("no metrics: %s: %s (ARREARS_METRICS_PORT)", where, error.strerror)
        return None

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
