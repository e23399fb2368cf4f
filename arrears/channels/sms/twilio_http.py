"""The official client's transport, sent where it is told, silent, and keeping what the client's errors drop."""

# pyright: reportMissingTypeStubs=false
# twilio has inline types but no py.typed marker.

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from logging import LogRecord, getLogger
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response


class Unreadable(Exception):
    """A successful answer whose body is no JSON object."""


class Transport(TwilioHttpClient):
    """One HTTP request per call, to `base` if there is one. `timeout` is in seconds.

    `status`, `date` and `retry_after` are those of the last answer, which was read to its end when it `is_whole`.
    Not to be shared by threads.
    """

    def __init__(self, base: SplitResult | None, timeout: float) -> None:
        super().__init__(timeout=timeout, max_retries=0)
        self._base = base
        self.forget()

    def forget(self) -> None:
        """Forget the last answer."""
        self.status: int | None = None
        self.date: datetime | None = None
        self.retry_after: timedelta | None = None
        self.is_whole = False

    def request(
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """As the client's own. Raises `Unreadable`, and whatever `requests` raises."""
        self.is_whole = False
        with _unlogged():
            response = super().request(method, self._aimed(url), params, data, headers, auth, timeout, allow_redirects)
        answer_headers: Mapping[str, str] = response.headers or {}
        self.status = response.status_code
        self.date = _http_date(answer_headers.get("Date"))
        self.retry_after = _delay(answer_headers.get("Retry-After"), self.date)
        if response.status_code in range(200, 300) and not _is_json_object(response.text):
            raise Unreadable
        self.is_whole = True
        return response

    def close(self) -> None:
        """Close the connection."""
        if self.session:
            self.session.close()

    def log_request(self, kwargs: dict[str, Any]) -> None:
        """Nothing: the client would log the URL at INFO, and a look-up's URL has the phone number in it."""

    def log_response(self, status_code: int, response: object) -> None:
        """Nothing: an answer without its request is noise."""

    def _aimed(self, url: str) -> str:
        if self._base is None:
            return url
        path = self._base.path.rstrip("/") + urlsplit(url).path
        return urlunsplit(urlsplit(url)._replace(scheme=self._base.scheme, netloc=self._base.netloc, path=path))


class Transports:
    """Transports for one call after the other, from any thread.

    A connection that was used a moment ago is used again: to make one takes two ways there and back, and 25 ms of
    processor time, nearly all for reading whom to trust. One that has stood longer may have been ended from the other
    side, which would put the next text in doubt; one on which anything went wrong is not to be trusted.
    """

    seconds = 1.0
    """For how long. Servers, and what stands before them, keep a connection that nobody uses for two at the least."""

    def __init__(self, base: SplitResult | None, timeout: float) -> None:
        self._base, self._timeout = base, timeout
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Transport]] = []

    @contextmanager
    def one(self) -> Generator[Transport]:
        """One that nobody else uses meanwhile, which remembers no answer."""
        transport = self._take()
        try:
            yield transport
        finally:
            if transport.is_whole:
                with self._lock:
                    self._idle.append((time.monotonic(), transport))
            else:
                transport.close()

    def _take(self) -> Transport:
        oldest = time.monotonic() - self.seconds
        with self._lock:
            stale = [transport for since, transport in self._idle if since < oldest]
            self._idle = [(since, transport) for since, transport in self._idle if since >= oldest]
            found = self._idle.pop()[1] if self._idle else None
        for transport in stale:
            transport.close()
        if found is None:
            return Transport(self._base, self._timeout)
        found.forget()
        return found


_silent: ContextVar[bool] = ContextVar("_silent", default=False)


def _is_let_through(_: LogRecord) -> bool:
    return not _silent.get()


@contextmanager
def _unlogged() -> Generator[None]:
    """Keep this thread's requests out of urllib3's DEBUG log, which has the URL and so the phone number.

    The filter stays on the loggers, but holds back only what is logged in here: other users of urllib3
    in the process keep their logs.
    """
    for name in ("urllib3.connectionpool", "urllib3.util.retry"):
        getLogger(name).addFilter(_is_let_through)
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def _http_date(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value) if value else None
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC) if moment else None


def _delay(value: str | None, now: datetime | None) -> timedelta | None:
    """A Retry-After header, in seconds or as a date; a date is counted from the answer's own."""
    if value and re.fullmatch(r"\d{1,6}", value.strip()):
        return timedelta(seconds=int(value))
    until = _http_date(value)
    return max(until - now, timedelta(0)) if until and now else None


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
