"""The service on a real port, in a thread of the test's process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

import uvicorn

from arrears.desk.app import create_app
from arrears.operations.services import Services
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN

SECRET = "not a secret, but long enough for one"
API_TOKEN = "token-of-a-machine"


class Server(uvicorn.Server):
    """Tells when it listens; leaves the signals to the test."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@contextmanager
def serving(services: Services) -> Generator[tuple[Services, str]]:
    """`services` as the server has them, with the address at which it is reached as its public one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        more = {"public_base_url": address, "secret": SECRET, "api_token": API_TOKEN}
        more |= {"twilio_account_sid": ACCOUNT_SID, "twilio_auth_token": AUTH_TOKEN}
        house = replace(services, settings=services.settings.model_copy(update=more))
        server = Server(uvicorn.Config(create_app(house), log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert server.listens.wait(30), "the server does not start"
            yield house, address
        finally:
            server.should_exit = True
            thread.join(30)
