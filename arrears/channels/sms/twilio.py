"""Texts through Twilio's official client."""

# pyright: reportMissingTypeStubs=false
# twilio has inline types but no py.typed marker.

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from requests.exceptions import RequestException
from twilio.base import values
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance
from urllib3.exceptions import HTTPError

from arrears.channels.effect import (
    Absent,
    Done,
    Finding,
    Found,
    InDoubt,
    Intent,
    LookUpFailed,
    Outcome,
    Refused,
    Unprovable,
)
from arrears.channels.sms.twilio_answers import outcome_of_fault, outcome_of_refusal
from arrears.channels.sms.twilio_http import Transport, Transports, Unreadable
from arrears.channels.tracking import Fate, ProviderSilent

_LONGEST_VALIDITY: Final = 36_000
_PAGE_SIZE: Final = 100
_LONGEST_PAGE: Final = 1000
# What a reference of ours looks like, wherever and in whatever language a text prints it.
_MARK: Final = re.compile(r"(?<![0-9A-Za-z])[0-9A-HJKMNP-TV-Z]{8}(?![0-9A-Za-z])")
# A day costs nothing, since few texts go to one number, and forgives a clock that runs in the wrong zone.
_LOOK_BACK: Final = timedelta(days=1)


@contextmanager
def _asking(transport: Transport) -> Generator[None]:
    """What goes wrong while Twilio is asked is that it could not be asked."""
    try:
        yield
    except TwilioException:
        wait = f"; it may be asked again in {transport.retry_after}" if transport.retry_after else ""
        raise ProviderSilent(f"Twilio answered HTTP {transport.status} when asked about texts{wait}") from None
    except Unreadable:
        raise ProviderSilent("Twilio answered with something that is no text") from None
    except (RequestException, HTTPError) as error:
        raise ProviderSilent(f"Twilio could not be asked: {type(error).__name__}") from None


def _fate(message: MessageInstance) -> Fate:
    return Fate(
        sid=message.sid or "",
        status=str(message.status or ""),
        error_code=str(message.error_code or ""),
        created=message.date_created,
        outbound=str(message.direction or "").startswith("outbound"),
        marks=tuple(dict.fromkeys(_MARK.findall(message.body or ""))),
    )


class TwilioSms:
    """One POST for a text, never repeated here; a look-up in Twilio's list of texts afterwards.

    `sender` is a number, a sender id or a Messaging Service (`MG…`) of the Twilio account, for texts whose payload
    names none in `from`. `base_url` (`http://127.0.0.1:9000`) sends
    every request there and not to Twilio. `timeout` is in seconds, for connecting and for each read.
    An optional `validity_seconds` in the payload, 1 to 36000, is how long the text may queue at Twilio
    before it is dropped, so that it does not go out in quiet hours.

    `settle` is how long after it was sent a text that Twilio does not list may still turn up there. Until then
    (counted from the intent's `wall`, and never by whoever has only just taken the intent from somebody) `look_up`
    answers `LookUpFailed` and not `Absent`. `look_up_limit` is how many texts to one number a look-up reads before it
    leaves the question to a person. `reports_to` is where Twilio is to report what becomes of a text, if anywhere.
    """

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        sender: str,
        base_url: str | None = None,
        timeout: float = 10,
        *,
        settle: timedelta = timedelta(seconds=20),
        look_up_limit: int = 1000,
        reports_to: Callable[[Intent], str | None] = lambda _: None,
    ) -> None:
        if base_url is not None and not re.match(r"https?://[^/]", base_url):
            raise ValueError(f"base URL {base_url!r} is no address; expected one like https://api.twilio.com")
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._sender = sender
        self._transports = Transports(urlsplit(base_url) if base_url else None, timeout)
        self._settle = settle
        self._look_up_limit = look_up_limit
        self._reports_to = reports_to

    def perform(self, intent: Intent) -> Outcome:
        """Send the text. `Done` holds Twilio's SID and the first status."""
        validity = intent.payload.get("validity_seconds")
        if validity is not None and (type(validity) is not int or not 1 <= validity <= _LONGEST_VALIDITY):
            return Refused("validity", f"validity_seconds is no whole number from 1 to {_LONGEST_VALIDITY}")
        sender = str(intent.payload.get("from") or self._sender)
        in_service = sender.startswith("MG")
        with self._transports.one() as transport:
            try:
                message = self._client(transport).messages.create(
                    to=intent.payload["to"],
                    from_=values.unset if in_service else sender,
                    messaging_service_sid=sender if in_service else values.unset,
                    body=intent.payload["body"],
                    validity_period=values.unset if validity is None else validity,
                    status_callback=self._reports_to(intent) or values.unset,
                )
            except (TwilioRestException, TwilioServiceException) as error:
                return outcome_of_refusal(transport.status, error.code, transport.retry_after)
            except Unreadable:
                return InDoubt(f"Twilio answered HTTP {transport.status} with something that is no message")
            except (RequestException, HTTPError) as error:
                return outcome_of_fault(error)
            if not message.sid:
                return InDoubt(f"Twilio answered HTTP {transport.status} with a message that has no SID")
        return Done(message.sid, {"status": message.status})

    def look_up(self, intent: Intent) -> Finding:
        """Search Twilio's list of texts to the recipient, newest first, for the printed reference.

        Whatever bears the reference was accepted, even if it failed later: `Found`, with its status.
        """
        with self._transports.one() as transport:
            try:
                return self._search(intent, transport)
            except TwilioException:
                return LookUpFailed(f"Twilio answered HTTP {transport.status} to the look-up")
            except Unreadable:
                return LookUpFailed("Twilio answered the look-up with something that is no list")
            except (RequestException, HTTPError) as error:
                return LookUpFailed(f"Twilio could not be asked: {type(error).__name__}")

    def fate(self, sid: str) -> Fate | None:
        """What became of one text, by its SID; None when Twilio knows none of this name. Raises ProviderSilent."""
        found: Fate | None = None
        with self._transports.one() as transport, _asking(transport):
            try:
                found = _fate(self._client(transport).messages(sid).fetch())
            except (TwilioRestException, TwilioServiceException):
                if transport.status != 404:
                    raise
        return found

    def listed(self, since: datetime, until: datetime) -> Iterator[Fate]:
        """The texts created from `since` to `until`, as far as they have been sent, page by page.

        Twilio's list goes by the date of sending and says nothing about the unsent: ask for the `fate` of those.
        """
        with self._transports.one() as transport, _asking(transport):
            # By UTC days, as the description has it; a text may wait in the queue for hours before it is sent.
            texts = self._client(transport).messages.stream(
                date_sent_after=since.astimezone(UTC),
                date_sent_before=until.astimezone(UTC) + _LOOK_BACK,
                page_size=_LONGEST_PAGE,
            )
            for text in texts:
                fate = _fate(text)
                if fate.created is not None and since <= fate.created < until:
                    yield fate

    def _search(self, intent: Intent, transport: Transport) -> Finding:
        printed = re.compile(rf"(?<![0-9A-Za-z]){re.escape(intent.reference)}(?![0-9A-Za-z])")
        since = intent.wall - _LOOK_BACK
        blank = 0
        messages = self._client(transport).messages.stream(to=intent.payload["to"], page_size=_PAGE_SIZE)
        # The first page has been fetched by now, and it is the one that would show a new text.
        asked_at = transport.date
        for number, message in enumerate(messages, start=1):
            if printed.search(message.body or ""):
                detail = {"error_code": str(message.error_code)} if message.error_code else {}
                return Found(message.sid or "", {"status": message.status, **detail})
            created = message.date_created or since
            # Twilio does not say whether its list is in order of creation or of sending, nor where it puts the
            # unsent, and a text can wait in the queue for hours: so only one that is too old by both dates
            # ends the search, and not before the end of the page that is here already.
            is_too_old = message.date_sent is not None and max(created, message.date_sent) < since
            if is_too_old and number >= _PAGE_SIZE:
                break
            if number > self._look_up_limit:
                return Unprovable(f"{number} texts to this recipient do not reach back to the time of sending")
            blank += not message.body and created >= since
        if blank:
            return Unprovable(f"{blank} texts to this recipient have had their bodies removed at Twilio")
        if asked_at is None:
            return Unprovable("Twilio's answer bears no date, so a text that is still on its way cannot be ruled out")
        if asked_at < intent.wall + self._settle or (intent.just_taken and self._settle):
            return LookUpFailed("Twilio does not list the text, but it was asked too soon after the time of sending")
        return Absent()

    def _client(self, transport: Transport) -> Client:
        return Client(self._account_sid, self._auth_token, http_client=transport)
