"""The service that listens."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from arrears.cli.output import say
from arrears.cli.session import opened


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
        config = uvicorn.Config(create_app(services), host=host, port=port, access_log=False, log_level="warning")
        server = Server(config)

        def end(_number: int, _frame: object) -> None:
            server.should_exit = True

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        try:
            sockets = [config.bind_socket()]
        except SystemExit:
            # uvicorn has said on stderr why the address cannot be had.
            raise typer.Exit(1) from None
        say(f"listening on http://{host}:{sockets[0].getsockname()[1]}, documented at /docs")
        server.run(sockets=sockets)
