"""What the gate is asked, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from arrears.engine.vocabulary import ChannelName, Disposition, Party


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


class Location(StrEnum):
    """Where a contact reaches the holder: at home or on a number of their own, or at work and elsewhere."""

    PERSONAL = "personal"
    WORKPLACE = "workplace"


@dataclass(frozen=True, slots=True)
class Proposal:
    """One contact somebody wants to make, about the debt `debt` (an account id; empty when there is one)."""

    channel: ContactChannel
    actor: Party
    purpose: str = "payment_reminder"
    number: str = ""
    debt: str = ""
    location: Location = Location.PERSONAL


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason not to collect, from `since` until `until` (open-ended when None), maybe for one channel.

    `other_debt`: it was set for another debt of the same person, or for the number they share.
    """

    kind: str
    since: datetime
    until: datetime | None = None
    channel: ContactChannel | None = None
    other_debt: bool = False


@dataclass(frozen=True, slots=True)
class PastContact:
    """A contact made or received, or one that is intended: an attempt counts before its outcome is known.

    `outcome` is a disposition, or `conversation`; empty while unknown. `actor` None: whoever asks now.
    `carried`: this debt was told about within a contact about another, which is in the history as well.
    """

    channel: ContactChannel
    at: datetime
    outcome: str = ""
    outbound: bool = True
    number: str = ""
    debt: str = ""
    actor: Party | None = None
    location: Location = Location.PERSONAL
    carried: bool = False

    @property
    def spoke(self) -> bool:
        """The holder was spoken to about the debt, whoever called whom."""
        return self.outcome in _SPOKE


_SPOKE = frozenset({"conversation", *(word.value for word in Disposition if word.reached_the_holder)})


@dataclass(frozen=True, slots=True)
class Consent:
    """Prior consent given directly by the holder for one channel, and not withdrawn."""

    channel: ContactChannel
    at: datetime


@dataclass(frozen=True, slots=True)
class NoticeGiven:
    """A statutory notice that has gone out, such as a `default_notice`."""

    kind: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything about the holder that contact law may turn on.

    `jurisdictions`: country and subdivisions such as `US`, `US-MA`. `zones`: every IANA zone the person
    may plausibly be in. `history`: contacts with this person about any debt. `approved`: a named person
    has looked at this contact and wants it made. `limitation_ends`: first day on which the claim is
    time-barred; None when unknown. `email_known`: there is an address an agency could write to.
    `days_past_due`, `accelerated` (the debt was accelerated or charged off, or suit was threatened): None
    when unknown, which counts as the stricter.
    """

    jurisdictions: tuple[str, ...]
    zones: tuple[str, ...]
    holds: tuple[Hold, ...] = ()
    history: tuple[PastContact, ...] = ()
    consents: tuple[Consent, ...] = ()
    notices: tuple[NoticeGiven, ...] = ()
    approved: bool = False
    limitation_ends: date | None = None
    email_known: bool = False
    days_past_due: int | None = None
    accelerated: bool | None = None
