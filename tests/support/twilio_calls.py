"""Calls that the Twilio stand-in takes, in Twilio's own shape, and Twilio's side of one: it asks what to do."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import httpx
from twilio.request_validator import RequestValidator

from tests.support.twilio_mailbox import Rejected

_FILTERS = {"To": "to", "From": "from"}


class Switchboard:
    """Calls that were asked for, oldest first. `asked` holds what each was asked with."""

    def __init__(self, account_sid: str) -> None:
        self.account_sid = account_sid
        self.asked: list[dict[str, str]] = []
        self._calls: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def post(self, fields: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """Take a call. Rejected like Twilio rejects: no number, nowhere to ask what to do."""
        to = fields.get("To", "")
        if not re.fullmatch(r"\+[1-9]\d{6,14}", to):
            raise Rejected(400, 21211, to=to)
        if not fields.get("Url"):
            raise Rejected(400, 21205)
        sid, at = f"CA{uuid.uuid4().hex}", format_datetime(now)
        here = f"/2010-04-01/Accounts/{self.account_sid}/Calls/{sid}"
        call: dict[str, Any] = {
            "sid": sid,
            "date_created": at,
            "date_updated": at,
            "account_sid": self.account_sid,
            "to": to,
            "to_formatted": to,
            "from": fields.get("From", ""),
            "from_formatted": fields.get("From", ""),
            "status": "queued",
            "start_time": at,
            "direction": "outbound-api",
            "api_version": "2010-04-01",
            "queue_time": "0",
            "uri": f"{here}.json",
            "subresource_uris": {"recordings": f"{here}/Recordings.json"},
        }
        absent = "parent_call_sid phone_number_sid end_time duration price price_unit answered_by forwarded_from"
        call |= dict.fromkeys([*absent.split(), "group_sid", "caller_name", "trunk_sid"])
        with self._lock:
            self._calls[sid] = call
            self.asked.append({**fields, "sid": sid})
        return call

    def fetch(self, sid: str, path: str) -> dict[str, Any]:
        """One call."""
        if sid not in self._calls:
            raise Rejected(404, 20404, uri=path)
        return self._calls[sid]

    def update(self, sid: str, **fields: Any) -> None:
        """Let something become of a call."""
        self._calls[sid] |= fields

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        """The list, newest first, all on one page."""
        if unknown := query.keys() - {*_FILTERS, "StartTime>", "PageSize"}:
            raise NotImplementedError(f"the stand-in does not filter by {sorted(unknown)}")
        wanted = {field: query[name] for name, field in _FILTERS.items() if name in query}
        since = datetime.fromisoformat(query["StartTime>"].replace("Z", "+00:00")) if "StartTime>" in query else None
        with self._lock:
            calls = [call for call in self._calls.values() if wanted.items() <= call.items()]
        calls = [c for c in calls if since is None or parsedate_to_datetime(c["start_time"]) >= since]
        here = f"/2010-04-01/Accounts/{self.account_sid}/Calls.json?{urlencode(query)}"
        return {
            "calls": calls[::-1],
            "end": max(len(calls) - 1, 0),
            "first_page_uri": here,
            "next_page_uri": None,
            "page": 0,
            "page_size": int(query.get("PageSize", 50)),
            "previous_page_uri": None,
            "start": 0,
            "uri": here,
        }


@dataclass
class TwilioVoice:
    """Twilio's side of a call that was taken: signed questions to the addresses it was given."""

    account_sid: str
    auth_token: str
    asked: Mapping[str, str]
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    def agent_answers(self) -> httpx.Response:
        """The collector picks up."""
        return self.post(self.asked["Url"], CallStatus="in-progress")

    def agent_presses(self, digits: str, page: str) -> httpx.Response:
        """The collector presses keys, as `page`'s Gather asks."""
        return self.post(attribute(page, "action"), CallStatus="in-progress", Digits=digits)

    def agent_hangs_up(self, status: str = "completed") -> httpx.Response:
        """The collector's end is down."""
        return self.post(self.asked["StatusCallback"], CallStatus=status)

    def holder_hangs_up(self, page: str, status: str = "completed", seconds: int = 61) -> httpx.Response:
        """The holder's end is down, as `page`'s Dial wants to know."""
        return self.post(attribute(page, "action"), DialCallStatus=status, DialCallDuration=str(seconds))

    def post(self, url: str, **fields: str) -> httpx.Response:
        """One signed request."""
        form = {"AccountSid": self.account_sid, "CallSid": self.asked["sid"], "To": self.asked["To"], **fields}
        signature = RequestValidator(self.auth_token).compute_signature(url, form)
        return self.client.post(url, data=form, headers={"X-Twilio-Signature": signature})


def attribute(page: str, name: str) -> str:
    """An attribute of some element of the instructions."""
    found = re.search(rf'\b{name}="([^"]*)"', page)
    assert found is not None, f"no {name} in {page}"
    return found[1].replace("&amp;", "&")
