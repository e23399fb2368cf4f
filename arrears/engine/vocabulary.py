"""The trade's words as types: stages, channels, parties, statuses."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """How far a case has climbed, in order."""

    NONE = "none"
    SMS = "sms"
    CALL = "call"
    LETTER = "letter"
    AGENCY = "agency"
    LEGAL = "legal"

    @property
    def height(self) -> int:
        """0 for none to 5 for legal."""
        return _HEIGHT[self]


_HEIGHT = {stage: height for height, stage in enumerate(Stage)}


class ChannelName(StrEnum):
    """The five channels a rung may use.

    Texts, calls and letters are contacts that reach the holder; placement and referral hand papers to others.
    """

    reaches_the_holder: bool

    def __new__(cls, name: str, reaches_the_holder: bool) -> ChannelName:
        member = str.__new__(cls, name)
        member._value_ = name
        member.reaches_the_holder = reaches_the_holder
        return member

    SMS = "sms", True
    CALL = "call", True
    LETTER = "letter", True
    AGENCY = "agency", False
    LEGAL = "legal", False


class Party(StrEnum):
    """Who speaks: the creditor in its own name, or somebody collecting for it."""

    FIRST = "first_party"
    THIRD = "third_party"


class CaseStatus(StrEnum):
    """`held`: the law or a promise forbids to go on; `halted`: an operator or repeated failure does."""

    DELINQUENT = "delinquent"
    HELD = "held"
    HALTED = "halted"
    CLOSED = "closed"


class StepStatus(StrEnum):
    """planned -> intended -> done | failed | skipped | unknown."""

    PLANNED = "planned"
    INTENDED = "intended"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"

    @property
    def settled(self) -> bool:
        """Nothing more happens to the step by itself."""
        return self not in _OPEN


_OPEN = frozenset({StepStatus.PLANNED, StepStatus.INTENDED})


class Disposition(StrEnum):
    """Outcome of a call, as the collector records it."""

    RIGHT_PARTY_CONTACT = "right_party_contact"
    PROMISE = "promise"
    REFUSAL = "refusal"
    NO_ANSWER = "no_answer"
    VOICEMAIL = "voicemail"
    BUSY = "busy"
    WRONG_NUMBER = "wrong_number"
    NOT_IN_SERVICE = "not_in_service"
    THIRD_PARTY_ANSWERED = "third_party_answered"
    DECEASED = "deceased"
    LANGUAGE = "language"
    CALLBACK_REQUESTED = "callback_requested"

    @property
    def reached_the_holder(self) -> bool:
        """A right-party contact: the holder was spoken to."""
        return self in _REACHED

    @property
    def spoils_the_number(self) -> bool:
        """The holder cannot be reached there any more."""
        return self in _SPOILS


_REACHED = frozenset(
    {
        Disposition.RIGHT_PARTY_CONTACT,
        Disposition.PROMISE,
        Disposition.REFUSAL,
        Disposition.CALLBACK_REQUESTED,
    }
)


class ReturnReason(StrEnum):
    """Why the post brought a letter back."""

    MOVED = "moved"
    UNKNOWN = "unknown"
    NO_SUCH_ADDRESS = "no_such_address"
    INCOMPLETE = "incomplete"
    VACANT = "vacant"
    DECEASED = "deceased"
    REFUSED = "refused"
    UNCLAIMED = "unclaimed"
    OTHER = "other"

    @property
    def spoils_the_address(self) -> bool:
        """Mail does not reach the holder there. Who refuses a letter, or leaves it at the post office, lives there."""
        return self not in (ReturnReason.REFUSED, ReturnReason.UNCLAIMED)


_SPOILS = frozenset({Disposition.WRONG_NUMBER, Disposition.NOT_IN_SERVICE})
