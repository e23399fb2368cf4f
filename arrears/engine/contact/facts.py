"""What the gate is asked, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from arrears.engine.vocabulary import ChannelName, Party


class ContactChannel(StrEnum):
    """Ways a person or their account can be touched, as contact law names them.

    `placement` and `referral` reach no one by themselves, but some holds forbid them.
    """

    CALL = "call"
    CALL_AUTO = "call_auto"
    SMS = "sms"
    EMAIL = "email"
    LETTER = "letter"
    VISIT = "visit"
    VOICEMAIL = "voicemail"
    PLACEMENT = "placement"
    REFERRAL = "referral"


def contact_channel(channel: ChannelName) -> ContactChannel:
    """The law's word for one of the ladder's channels."""
    return _AS_CONTACT[channel]


_AS_CONTACT = {
    ChannelName.SMS: ContactChannel.SMS,
    ChannelName.CALL: ContactChannel.CALL,
    ChannelName.LETTER: ContactChannel.LETTER,
    ChannelName.AGENCY: ContactChannel.PLACEMENT,
    ChannelName.LEGAL: ContactChannel.REFERRAL,
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """One contact somebody wants to make."""

    channel: ContactChannel
    actor: Party
    purpose: str = "payment_reminder"
    number: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason not to collect, from `since` until `until` (open-ended when None), maybe for one channel."""

    kind: str
    since: datetime
    until: datetime | None = None
    channel: ContactChannel | None = None


@dataclass(frozen=True, slots=True)
class PastContact:
    """A contact already made or received; `outcome` in the words of the call dispositions."""

    channel: ContactChannel
    at: datetime
    outcome: str = ""
    outbound: bool = True
    number: str = ""


@dataclass(frozen=True, slots=True)
class Consent:
    """Prior consent given directly by the holder for one channel."""

    channel: ContactChannel
    at: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything about the holder that contact law may turn on.

    `jurisdictions`: country and subdivisions such as `US`, `US-MA`. `zones`: every IANA zone the person
    may plausibly be in. `approved`: a named person has looked at this contact and wants it made.
    """

    jurisdictions: tuple[str, ...]
    zones: tuple[str, ...]
    holds: tuple[Hold, ...] = ()
    history: tuple[PastContact, ...] = ()
    consents: tuple[Consent, ...] = ()
    approved: bool = False
