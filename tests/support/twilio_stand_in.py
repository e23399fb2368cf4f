"""A stand-in for Twilio's Messages and Calls over real HTTP, with faults to order.

In a test: `with TwilioStandIn() as twilio: TwilioSms(ACCOUNT_SID, AUTH_TOKEN, SENDER, twilio.url)`, and
`twilio.fault("drop_after_accept")`, `twilio.accepted()`. As a process that outlives the clients killed:

    python -m tests.support.twilio_stand_in --port 9000 --store accepted.jsonl
    curl -d '[{"fault": "drop_after_accept", "match": {"body": "Ref AB12CD34"}, "times": 2}]' localhost:9000/_faults
    curl localhost:9000/_messages

`/_faults`: POST adds, GET shows what is left, DELETE clears. `/_messages`: GET shows what was accepted, POST
puts in `[{"to", "body", "created"}]`. `/_refused`: POST `{number: error code}`, 21610 for a holder who replied STOP.
`/_requests`: GET counts by method.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import socket
import ssl
import struct
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from twilio.request_validator import RequestValidator

from tests.support.twilio_calls import Switchboard
from tests.support.twilio_mailbox import Mailbox, Rejected

ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "stand-in-token"
SENDER = "+15005550006"

# What happens instead of, or after, the ordinary answer.
FAULTS = {
    "drop_before_accept": "reset the connection, nothing accepted",
    "drop_after_accept": "accept, then close the connection without an answer",
    "cut_short": "accept, then close the connection in the middle of the answer",
    "garbage": "accept, then answer 201 (or 200) with something that is no JSON",
    "http_500": "answer 500, nothing accepted",
    "http_500_after_accept": "accept, then answer 500",
    "http_503": "answer 503, nothing accepted",
    "429": "answer 429 with Retry-After if `retry_after` is set, nothing accepted",
    "slow": "accept, then answer after `seconds`",
    "late": "accept only after `seconds`, then answer",
}


@dataclass
class Fault:
    """One order: `fault` happens to the next `times` requests that match (None: to all of them).

    `match` may hold `to`, `body` (a part of it) and `method`, which is POST unless it says GET. `seconds`
    is for `slow` and `late`; `retry_after` is the header's value.
    """

    fault: str
    match: dict[str, str] = field(default_factory=dict[str, str])
    times: int | None = 1
    retry_after: str | int | None = None
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.fault not in FAULTS:
            raise ValueError(f"no fault {self.fault!r}; there are {', '.join(FAULTS)}")
        if unknown := self.match.keys() - {"to", "body", "method"}:
            raise ValueError(f"a fault cannot match by {', '.join(unknown)}")

    def hits(self, method: str, fields: Mapping[str, str]) -> bool:
        return (
            self.times != 0
            and method == self.match.get("method", "POST")
            and self.match.get("to", fields.get("To")) == fields.get("To")
            and self.match.get("body", "") in fields.get("Body", "")
        )


@dataclass(frozen=True)
class Exchange:
    """A request as it came in and the answer to it, recorded before it leaves; `fault` is the one ordered for it."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    fault: str | None
    status: int | None
    answer: bytes
    # The client's port, so the connection.
    port: int = 0


@dataclass(frozen=True)
class _Reply:
    """An answer and how to give it: after how many seconds, whole (send) or not (cut_short, drop, reset)."""

    status: int | None
    payload: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    manner: str = "send"
    after: float = 0


class TwilioStandIn:
    """The server, in threads of this process. `now` is its clock: set it to make dates come out as you need."""

    def __init__(
        self,
        *,
        port: int = 0,
        store: Path | None = None,
        account_sid: str = ACCOUNT_SID,
        auth_token: str = AUTH_TOKEN,
        certificate: Path | None = None,
    ) -> None:
        self.mailbox = Mailbox(account_sid, store)
        self.calls = Switchboard(account_sid)
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.now: Callable[[], datetime] = _system_clock
        self.faults: list[Fault] = []
        self.exchanges: deque[Exchange] = deque(maxlen=10_000)
        self.requests: Counter[str] = Counter()
        self.closing = threading.Event()
        self._released = threading.Event()
        self.credentials = "Basic " + base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.stand_in = self
        if certificate:
            secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            secured.load_cert_chain(certificate)
            self._server.secured = secured
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> TwilioStandIn:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self.hang_up()

    def hang_up(self) -> None:
        """End every connection there is, as a server does that is restarted."""
        for connection in list(self._server.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Serve in this thread until interrupted."""
        with self._server:
            self._server.serve_forever()

    def fault(
        self,
        fault: str,
        *,
        times: int | None = 1,
        retry_after: str | int | None = None,
        seconds: float = 1.0,
        **match: str,
    ) -> None:
        """Order a fault: `fault("429", retry_after=7, to="+1…", method="POST")`."""
        self.order(Fault(fault, match, times, retry_after, seconds))

    def order(self, *faults: Fault) -> None:
        with self._lock:
            self.faults.extend(faults)

    def release(self) -> None:
        """Whatever takes its time is over, now and from now on."""
        self._released.set()

    def take_time(self, seconds: float) -> None:
        """Let so many seconds pass, or fewer where they end before."""
        self._released.wait(seconds)

    def accepted(self) -> list[dict[str, Any]]:
        """Every text accepted, oldest first."""
        return self.mailbox.accepted()

    def report(self, sid: str, *statuses: str, error_code: str = "") -> list[int]:
        """Call back about a text with these statuses, in this order, signed; the answers' HTTP statuses.

        The last one is then what Twilio says when it is asked.
        """
        url = self.mailbox.callbacks[sid]
        answers: list[int] = []
        for status in statuses:
            fields = {"AccountSid": self.account_sid, "MessageSid": sid, "MessageStatus": status}
            if error_code and status in ("undelivered", "failed"):
                fields["ErrorCode"] = error_code
            signature = RequestValidator(self.auth_token).compute_signature(url, fields)
            answers.append(
                requests.post(url, fields, headers={"X-Twilio-Signature": signature}, timeout=10).status_code
            )
        self.mailbox.update(sid, status=statuses[-1], error_code=int(error_code) if error_code else None)
        return answers

    def take_fault(self, method: str, fields: Mapping[str, str]) -> Fault | None:
        with self._lock:
            self.requests[method] += 1
            fault = next((fault for fault in self.faults if fault.hits(method, fields)), None)
            if fault and fault.times is not None:
                fault.times -= 1
            return fault


def _system_clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  it stands for another company's machine, which has its own clock


class _Server(ThreadingHTTPServer):
    stand_in: TwilioStandIn
    request_queue_size = 128

    secured: ssl.SSLContext | None = None

    def __init__(self, *given: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*given)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # In the connection's own thread, so that nobody waits for a client that is slow to shake hands.
        if self.secured is None:
            super().finish_request(request, client_address)
            return
        with self.secured.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that die in the middle are the point; anything else is a fault of the stand-in."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def _handle(self) -> None:
        address = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            # The client died while it was sending: a request that is not whole was not received.
            self._drop()
            return
        if address.path.startswith("/_"):
            self._control(address.path, body)
            return
        encoded = body.decode() if self.command == "POST" else address.query
        fields = dict(parse_qsl(encoded, keep_blank_values=True))
        fault = self.server.stand_in.take_fault(self.command, fields)
        reply = self._reply(fault, address.path, fields)
        # Before the answer leaves, so that whoever has the answer finds the exchange recorded.
        self.server.stand_in.exchanges.append(
            Exchange(
                method=self.command,
                path=address.path,
                query=address.query,
                headers=dict(self.headers),
                body=body,
                fault=fault.fault if fault else None,
                status=reply.status,
                answer=reply.payload,
                port=self.client_address[1],
            )
        )
        self.server.stand_in.take_time(reply.after)
        self._send(reply)

    def _reply(self, fault: Fault | None, path: str, fields: Mapping[str, str]) -> _Reply:
        """Do what was asked, as far as the fault lets it, and say how to answer."""
        name = fault.fault if fault else None
        match name, fault:
            case "drop_before_accept", _:
                return _Reply(None, manner="reset")
            case "http_500", _:
                return _error(500, 20500, "An internal server error has occurred")
            case "http_503", _:
                return _error(503, 20503, "Service unavailable")
            case "429", Fault(retry_after=retry_after):
                headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
                return replace(_error(429, 20429, "Too Many Requests"), headers=headers)
            case "late", Fault(seconds=seconds):
                self.server.stand_in.take_time(seconds)
                if self.server.stand_in.closing.is_set():
                    return _Reply(None, manner="drop")
        reply = self._do(path, fields)
        match name, fault:
            case "drop_after_accept", _:
                return _Reply(None, manner="drop")
            case "cut_short", _:
                return replace(reply, manner="cut_short")
            case "garbage", _:
                return replace(reply, payload=b"<html>not what you expect</html>")
            case "http_500_after_accept", _:
                return _error(500, 20500, "An internal server error has occurred")
            case "slow", Fault(seconds=seconds):
                return replace(reply, after=seconds)
        return reply

    def _do(self, path: str, fields: Mapping[str, str]) -> _Reply:
        stand_in = self.server.stand_in
        resource = re.fullmatch(r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})/(Messages|Calls)(?:/(\w+))?\.json", path)
        try:
            if self.headers.get("Authorization") != stand_in.credentials:
                raise Rejected(401, 20003)
            kept = stand_in.calls if resource and resource[2] == "Calls" else stand_in.mailbox
            match resource and resource[1] == stand_in.account_sid, self.command, resource and resource[3]:
                case True, "POST", None:
                    return _Reply(201, _json(kept.post(fields, stand_in.now())))
                case True, "GET", None:
                    return _Reply(200, _json(kept.page(fields)))
                case True, "GET", str(sid):
                    return _Reply(200, _json(kept.fetch(sid, path)))
                case _:
                    raise Rejected(404, 20404, uri=path)
        except Rejected as rejected:
            return _error(rejected.status, rejected.code, rejected.message)

    def _control(self, path: str, body: bytes) -> None:
        stand_in = self.server.stand_in
        try:
            orders = json.loads(body) if self.command == "POST" else []
            match self.command, path:
                case "POST", "/_faults":
                    stand_in.order(*(Fault(**order) for order in orders))
                case "DELETE", "/_faults":
                    stand_in.faults.clear()
                case "POST", "/_messages":
                    for text in orders:
                        created = datetime.fromisoformat(text.pop("created")).astimezone(UTC)
                        stand_in.mailbox.add(**text, created=created)
                case "POST", "/_refused":
                    stand_in.mailbox.refused.update(orders)
            shown = {
                "/_faults": [asdict(fault) for fault in stand_in.faults if fault.times != 0],
                "/_messages": stand_in.accepted(),
                "/_requests": dict(stand_in.requests),
                "/_refused": stand_in.mailbox.refused,
            }
            reply = _Reply(200, _json(shown[path]))
        except (ValueError, TypeError, KeyError) as error:
            reply = _Reply(400, _json({"error": f"{type(error).__name__}: {error}"}))
        self._send(reply)

    def _send(self, reply: _Reply) -> None:
        if reply.status is None:
            self._drop(reset=reply.manner == "reset")
            return
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply.payload)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        half = len(reply.payload) // 2
        self.wfile.write(reply.payload[:half] if reply.manner == "cut_short" else reply.payload)
        if reply.manner == "cut_short":
            self._drop()

    def _drop(self, *, reset: bool = False) -> None:
        self.close_connection = True
        if reset:
            # Closing with a linger time of zero sends RST in place of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(self.server.stand_in.now(), usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test's output is for its failures."""


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


def _error(status: int, code: int, message: str) -> _Reply:
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return _Reply(status, _json({"code": code, "message": message, "more_info": more_info, "status": status}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Stand in for Twilio's Messages API.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--store", type=Path, help="JSON lines of accepted texts; read back at the start")
    parser.add_argument("--account-sid", default=ACCOUNT_SID)
    parser.add_argument("--auth-token", default=AUTH_TOKEN)
    parser.add_argument("--certificate", type=Path, help="PEM with its key: answer over TLS")
    arguments = parser.parse_args()
    stand_in = TwilioStandIn(
        port=arguments.port,
        store=arguments.store,
        account_sid=arguments.account_sid,
        auth_token=arguments.auth_token,
        certificate=arguments.certificate,
    )
    print(stand_in.url, flush=True)
    with suppress(KeyboardInterrupt):
        stand_in.serve()
