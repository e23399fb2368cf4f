"""Signed, expiring marks for what leaves with a text: the holder's link, and where Twilio calls back."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from itsdangerous import Signer

from arrears.settings import Settings

# How long Twilio may report on a text: its validity is at most ten hours, a carrier's receipt may take three days.
_REPORTS_FOR: Final = timedelta(days=4)
# Twilio ends a call by itself after four hours.
_CALLS_LAST: Final = timedelta(hours=5)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class Purpose(StrEnum):
    """What a mark opens; one made for one purpose opens no other."""

    HOLDER = "holder's page"
    STATUS = "status callback"
    VOICE = "voice instructions"


class LinkRefused(Exception):
    """The mark opens nothing; `expired` when it once did."""

    def __init__(self, *, expired: bool) -> None:
        super().__init__("this link has expired" if expired else "this link is not one of ours")
        self.expired = expired


def holder_link(settings: Settings, reference: str, *, now: datetime) -> str | None:
    """The address of the holder's page for the text with this reference; None where none is served."""
    if not settings.links_configured:
        return None
    mark = make_mark(settings, Purpose.HOLDER, reference, expires=now + timedelta(days=settings.link_days))
    return f"{settings.public_base_url.rstrip('/')}/a/{mark}"


def status_link(settings: Settings, reference: str, *, wall: datetime) -> str | None:
    """Where Twilio reports what became of the text with this reference; None where nothing listens."""
    if not settings.links_configured:
        return None
    mark = make_mark(settings, Purpose.STATUS, reference, expires=wall + _REPORTS_FOR)
    return f"{settings.public_base_url.rstrip('/')}/twilio/status/{mark}"


def voice_link(settings: Settings, reference: str, what: str, *, wall: datetime) -> str:
    """Where Twilio asks what to do with the dial of this reference (`what` has happened to it)."""
    mark = make_mark(settings, Purpose.VOICE, reference, expires=wall + _CALLS_LAST)
    return f"{settings.public_base_url.rstrip('/')}/twilio/voice/{mark}/{what}"


def make_mark(settings: Settings, purpose: Purpose, reference: str, *, expires: datetime) -> str:
    """`REFERENCE.EXPIRY.SIGNATURE`: nothing in it says who the holder is."""
    return _signer(settings, purpose).sign(f"{reference}.{_base36(int(expires.timestamp()) // 60)}").decode()


def read_mark(settings: Settings, purpose: Purpose, mark: str, *, now: datetime) -> str:
    """The reference in a mark of ours that has not expired. Raises LinkRefused."""
    if not settings.secret:
        raise LinkRefused(expired=False)
    value = mark.rpartition(".")[0]
    # Compared as text: of a signature in base 64 there are several spellings, and one is ours.
    if not hmac.compare_digest(_signer(settings, purpose).sign(value), mark.encode()):
        raise LinkRefused(expired=False)
    reference, _, minutes = value.partition(".")
    expires = datetime.fromtimestamp(int(minutes, 36) * 60, UTC)
    if now >= expires:
        raise LinkRefused(expired=True)
    return reference


def _signer(settings: Settings, purpose: Purpose) -> Signer:
    return Signer(settings.secret, salt=purpose, key_derivation="hmac")


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
