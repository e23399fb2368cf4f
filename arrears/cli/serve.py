"""The service that listens."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from arrears.cli.output import note, say
from arrears.cli.session import opened
from arrears.operations.expose import expose
from arrears.settings import Settings

logger = logging.getLogger(__name__)


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command()(serve)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8080,
) -> None:
    """Listen for the provider's webhooks, for events over HTTP, and for holders. Ends on SIGINT or SIGTERM."""
    # Prefect and a web server take seconds to import; no other command needs both.
    import uvicorn

    from arrears.desk.app import create_app

    class Server(uvicorn.Server):
        """Ends quietly: uvicorn would raise the signal once more after it has ended in order."""

        def capture_signals(self) -> Any:
            return nullcontext()

    with opened() as services:
        # A path holds a holder's link, so there is no access log.
        json = services.settings.log_format == "json"
        config: dict[str, Any] = {"log_config": None} if json else {"log_level": "warning"}
        server = Server(uvicorn.Config(create_app(services), access_log=False, **config))

        def end(_number: int, _frame: object) -> None:
            server.should_exit = True

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        with _listening(host, port) as listener:
            for missing in _off(services.settings):
                if json:
                    logger.warning("%s", missing)
                else:
                    note(missing)
            say(f"listening on http://{host}:{listener.getsockname()[1]}, documented at /docs")
            stop_metrics = expose(services)
            server.run(sockets=[listener])
            if stop_metrics is not None:
                stop_metrics()


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        # Python says the address twice here, and not at all where a name is not known.
        number = error.errno or 0
        raise OSError(number, os.strerror(number) if number > 0 else error.strerror, f"{host}:{port}") from None


def _off(settings: Settings) -> Iterator[str]:
    """What cannot work as the settings are."""
    if not settings.links_configured:
        yield "texts bear no link and ask for no reports: PUBLIC_BASE_URL and ARREARS_SECRET are not both set"
    if not (settings.twilio_auth_token and settings.public_base_url):
        yield "Twilio's requests are refused: TWILIO_AUTH_TOKEN and PUBLIC_BASE_URL are not both set"
    if not settings.api_token:
        yield "events over HTTP are refused: ARREARS_API_TOKEN is not set"
