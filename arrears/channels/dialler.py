"""Calls put through by Twilio: the collector's telephone first. Whose rings after that is decided when they answer."""

# pyright: reportMissingTypeStubs=false
# twilio has inline types but no py.typed marker.

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from requests.exceptions import RequestException
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.rest import Client
from urllib3.exceptions import HTTPError

from arrears.channels.effect import Absent, Done, Finding, Found, InDoubt, LookUpFailed, Outcome, Unprovable
from arrears.channels.sms.twilio_answers import outcome_of_fault, outcome_of_refusal
from arrears.channels.sms.twilio_http import Transport, Transports, Unreadable

# A collector who lets it ring this long is not at the desk.
_RINGS_FOR: Final = 30
_PAGE_SIZE: Final = 100
# Twilio's clock against ours.
_SLACK: Final = timedelta(minutes=5)
OVER: Final = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})


@dataclass(frozen=True, slots=True)
class Ring:
    """One call to a collector's telephone. `instructions` and `reports` are where Twilio asks what to do, and
    tells how it ended; `wall` is the machine's time when it was intended."""

    agent_number: str
    instructions: str
    reports: str
    wall: datetime


class TwilioDialler:
    """One POST for a call, never repeated here; afterwards a look at Twilio's list of calls."""

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        caller_id: str,
        base_url: str | None = None,
        timeout: float = 10,
        *,
        settle: timedelta = timedelta(seconds=20),
    ) -> None:
        self._account_sid = account_sid
        self._auth_token = auth_token
        self.caller_id = caller_id
        self._transports = Transports(urlsplit(base_url) if base_url else None, timeout)
        self._settle = settle

    def ring(self, ring: Ring) -> Outcome:
        """Let the collector's telephone ring. `Done` holds Twilio's SID."""
        with self._transports.one() as transport:
            try:
                call = self._client(transport).calls.create(
                    to=ring.agent_number,
                    from_=self.caller_id,
                    url=ring.instructions,
                    status_callback=ring.reports,
                    timeout=_RINGS_FOR,
                )
            except (TwilioRestException, TwilioServiceException) as error:
                return outcome_of_refusal(transport.status, error.code, transport.retry_after)
            except Unreadable:
                return InDoubt(f"Twilio answered HTTP {transport.status} with something that is no call")
            except (RequestException, HTTPError) as error:
                return outcome_of_fault(error)
        return Done(call.sid) if call.sid else InDoubt("Twilio answered with a call that has no SID")

    def look_up(self, ring: Ring, known: Collection[str]) -> Finding:
        """Whether Twilio took it: a call to that telephone since then that is none of those `known` by their SIDs."""
        with self._transports.one() as transport:
            try:
                calls = self._client(transport).calls.stream(
                    to=ring.agent_number, start_time_after=ring.wall - timedelta(days=1), page_size=_PAGE_SIZE
                )
                since = ring.wall - _SLACK
                strangers = [
                    call.sid
                    for call in calls
                    if call.sid and call.sid not in known and (call.date_created or since) >= since
                ]
                asked_at = transport.date
            except TwilioException:
                return LookUpFailed(f"Twilio answered HTTP {transport.status} to the look-up")
            except Unreadable:
                return LookUpFailed("Twilio answered the look-up with something that is no list")
            except (RequestException, HTTPError) as error:
                return LookUpFailed(f"Twilio could not be asked: {type(error).__name__}")
        match strangers:
            case [sid]:
                return Found(sid)
            case []:
                settled = asked_at is not None and asked_at >= ring.wall + self._settle
                return Absent() if settled else LookUpFailed("Twilio was asked too soon after the call was intended")
            case _:
                return Unprovable(f"{len(strangers)} calls to this telephone since then are not ours by name")

    def is_over(self, sid: str) -> bool | None:
        """Whether the call has ended; None when Twilio does not say."""
        with self._transports.one() as transport:
            try:
                return self._client(transport).calls(sid).fetch().status in OVER
            except (TwilioException, Unreadable, RequestException, HTTPError):
                return None

    def _client(self, transport: Transport) -> Client:
        return Client(self._account_sid, self._auth_token, http_client=transport)
