"""The texts the Twilio stand-in has accepted, in Twilio's own shape (tests/contract/twilio_messages.openapi.json)."""

from __future__ import annotations

import json
import os
import re
import threading
import uuid
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from arrears.rendering.segments import segments

LONGEST_BODY = 1600
FILTERS = ("To", "From", "DateSent<", "DateSent>")
# Numbers that Twilio itself refuses for testing: twilio.com/docs/iam/test-credentials.
MAGIC = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
MESSAGES = {
    20003: "Authenticate",
    20404: "The requested resource {uri} was not found",
    21205: "Url is not a valid URL",
    21211: "The 'To' number {to} is not a valid phone number.",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {to}",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21610: "Attempt to send to unsubscribed recipient {to}",
    21612: "Message cannot be sent with the current combination of 'To' ({to}) and/or 'From' parameters",
    21614: "'To' number {to} is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit",
}


class Rejected(Exception):
    """Twilio's answer to a request it does not take."""

    def __init__(self, status: int, code: int, **about: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = MESSAGES.get(code, "Refused for {to}").format(**about)


class Mailbox:
    """Accepted texts in memory and, if there is a `store`, as synced JSON lines that outlive the process."""

    def __init__(self, account_sid: str, store: Path | None = None) -> None:
        self.account_sid = account_sid
        self.refused = dict(MAGIC)
        self._store = store
        self._lock = threading.Lock()
        self._texts: dict[str, dict[str, Any]] = {}
        self._validity: dict[str, int | None] = {}
        self.callbacks: dict[str, str] = {}
        for line in store.read_text(encoding="utf-8").splitlines() if store and store.exists() else ():
            text = json.loads(line)
            self._validity[text["sid"]] = text.pop("validity_period")
            self._texts[text["sid"]] = text

    def post(self, form: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """Accept a text as Twilio would, or raise `Rejected`."""
        to, body = form.get("To", ""), form.get("Body", "")
        if not to:
            raise Rejected(400, 21604)
        service = form.get("MessagingServiceSid")
        if not form.get("From") and not service:
            raise Rejected(400, 21603)
        if not body:
            raise Rejected(400, 21602)
        if len(body) > LONGEST_BODY:
            raise Rejected(400, 21617)
        if not re.fullmatch(r"\+[1-9][0-9]{6,14}", to):
            raise Rejected(400, 21211, to=to)
        if to in self.refused:
            raise Rejected(400, self.refused[to], to=to)
        validity = int(form["ValidityPeriod"]) if "ValidityPeriod" in form else None
        text = self.add(
            to=to, sender=form.get("From"), body=body, created=now, validity=validity, service=service,
            status="accepted" if service else "queued",
        )  # fmt: skip
        with self._lock:
            self.callbacks[text["sid"]] = form.get("StatusCallback", "")
        return text

    def refuse(self, to: str, code: int) -> None:
        """Answer 400 with Twilio's error `code` to texts to this number; 21610 is for a holder who replied STOP."""
        self.refused[to] = code

    def add(
        self,
        *,
        to: str,
        body: str,
        created: datetime,
        sender: str | None = "+15005550006",
        service: str | None = None,
        status: str = "queued",
        sent: datetime | None = None,
        validity: int | None = None,
    ) -> dict[str, Any]:
        """Put a text in, unchecked."""
        sid = f"SM{uuid.uuid4().hex}"
        uri = f"/2010-04-01/Accounts/{self.account_sid}/Messages/{sid}"
        text: dict[str, Any] = {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": body,
            "date_created": format_datetime(created),
            "date_sent": format_datetime(sent) if sent else None,
            "date_updated": format_datetime(sent or created),
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": sender,
            "messaging_service_sid": service,
            "num_media": "0",
            "num_segments": str(segments(body).count),
            "price": None,
            "price_unit": None,
            "sid": sid,
            "status": status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": to,
            "uri": f"{uri}.json",
        }
        with self._lock:
            if self._store:
                _append(self._store, {**text, "validity_period": validity})
            self._texts[sid] = text
            self._validity[sid] = validity
        return text

    def update(self, sid: str, **fields: Any) -> None:
        """What becomes of a text later: its status, error code, removed body. Not written to the store."""
        with self._lock:
            self._texts[sid] = {**self._texts[sid], **fields}

    def fetch(self, sid: str, uri: str) -> dict[str, Any]:
        """One text by its SID, or `Rejected`."""
        with self._lock:
            if sid not in self._texts:
                raise Rejected(404, 20404, uri=uri)
            return self._texts[sid]

    def accepted(self) -> list[dict[str, Any]]:
        """All texts for an audit, oldest first, each with its `validity_period`."""
        with self._lock:
            return [{**text, "validity_period": self._validity[sid]} for sid, text in self._texts.items()]

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of the list, newest first. A page token pins the place, as new texts come in."""
        if unknown := query.keys() - {*FILTERS, "PageSize", "Page", "PageToken"}:
            raise NotImplementedError(f"the stand-in does not filter by {sorted(unknown)}")
        wanted = {field: query[name] for name, field in (("To", "to"), ("From", "from")) if name in query}
        with self._lock:
            texts = [text for text in self._texts.values() if wanted.items() <= text.items() and _sent(text, query)]
        texts.reverse()
        texts.sort(key=lambda text: parsedate_to_datetime(text["date_created"]), reverse=True)
        size, number = min(int(query.get("PageSize", 50)), 1000), int(query.get("Page", 0))
        start = number * size
        if token := query.get("PageToken"):
            start = 1 + next(place for place, text in enumerate(texts) if text["sid"] == token.removeprefix("PA"))
        shown = texts[start : start + size]
        last_sid = shown[-1]["sid"] if start + size < len(texts) else None
        return {
            "messages": shown,
            "end": number * size + max(len(shown) - 1, 0),
            "first_page_uri": self._uri(query, size, 0),
            "next_page_uri": self._uri(query, size, number + 1, f"PA{last_sid}") if last_sid else None,
            "page": number,
            "page_size": size,
            "previous_page_uri": self._uri(query, size, number - 1) if number else None,
            "start": number * size,
            "uri": self._uri(query, size, number, query.get("PageToken")),
        }

    def _uri(self, query: Mapping[str, str], size: int, page: int, token: str | None = None) -> str:
        filters = {name: query[name] for name in FILTERS if name in query}
        paging = {"PageSize": size, "Page": page} | ({"PageToken": token} if token else {})
        return f"/2010-04-01/Accounts/{self.account_sid}/Messages.json?{urlencode(filters | paging)}"


def _sent(text: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    """Whether the text was sent on the days asked for, by GMT. What has not been sent is on none of them."""
    day = parsedate_to_datetime(text["date_sent"]).date().isoformat() if text["date_sent"] else None
    first, last = query.get("DateSent>", "")[:10], query.get("DateSent<", "")[:10]
    return not (first or last) or (day is not None and first <= day and (not last or day <= last))


def _append(store: Path, text: Mapping[str, Any]) -> None:
    with store.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(text) + "\n")
        lines.flush()
        os.fsync(lines.fileno())
