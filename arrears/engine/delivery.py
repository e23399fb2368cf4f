"""What follows for a case from a text that did not arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never


class Consequence(StrEnum):
    """What a provider's reason for not delivering a text amounts to.

    retry_later: it passes; the same rung is made again after a while, a few times. number_bad: nobody is there, for
    calls neither. not_mobile: the number gets no texts, calls it may. opted_out: the holder has said STOP. blocked: the
    texts are not let through to the holder. operator: our own sender, account or words, for a person to repair. let_be:
    it may have arrived after all, so it is not sent again, and the ladder goes on.
    """

    RETRY_LATER = "retry_later"
    NUMBER_BAD = "number_bad"
    NOT_MOBILE = "not_mobile"
    OPTED_OUT = "opted_out"
    BLOCKED = "blocked"
    OPERATOR = "operator"
    LET_BE = "let_be"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error code of the provider says. `retry_after`: how long to wait before each further try."""

    code: str
    means: str
    consequence: Consequence
    retry_after: tuple[timedelta, ...] = ()


@dataclass(frozen=True, slots=True)
class Unfinished:
    """When the provider is asked about a text that it has not reported the end of, and when that is the end.

    `meaning`: what a text means that has not even left the provider by then.
    """

    ask_after: timedelta
    ask_again_after: timedelta
    give_up_after: timedelta
    meaning: Meaning


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """What each error code of a provider means; `unlisted` is for codes that it lacks."""

    version: int
    codes: Mapping[str, Meaning]
    unlisted: Meaning
    unfinished: Unfinished

    def meaning(self, code: str) -> Meaning:
        """What a code means."""
        if code == self.unfinished.meaning.code:
            return self.unfinished.meaning
        found = self.codes.get(code)
        return found or Meaning(code or "none", self.unlisted.means, self.unlisted.consequence)


class Spoils(StrEnum):
    """What a number is no good for any more."""

    CALLS_AND_TEXTS = "calls and texts"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What is to be done about a text that did not arrive.

    `again_at`: the same rung is made again then. `unreached`: texts cannot reach the holder, who is to be reached
    another way. `spoils`: of what use its number is no more. `opts_out`: the holder has said STOP. `needs_person`: it
    is for us to repair.
    """

    again_at: datetime | None = None
    unreached: bool = False
    spoils: Spoils | None = None
    opts_out: bool = False
    needs_person: bool = False


SPOILS: Mapping[Consequence, Spoils] = {
    Consequence.NUMBER_BAD: Spoils.CALLS_AND_TEXTS,
    Consequence.NOT_MOBILE: Spoils.TEXTS,
    Consequence.BLOCKED: Spoils.TEXTS,
}


def follow_up(meaning: Meaning, *, tried: int, another_number: bool, at: datetime) -> FollowUp:
    """What follows from a text that was found at `at` not to have arrived.

    `tried`: how often the rung has been made again before. `another_number`: the holder has a further one that
    may take texts.
    """
    match meaning.consequence:
        case Consequence.RETRY_LATER:
            if tried < len(meaning.retry_after):
                return FollowUp(again_at=at + meaning.retry_after[tried])
            return FollowUp(unreached=True)
        case Consequence.NUMBER_BAD | Consequence.NOT_MOBILE as consequence:
            again_at = at if another_number else None
            return FollowUp(again_at, unreached=again_at is None, spoils=SPOILS[consequence])
        case Consequence.OPTED_OUT:
            return FollowUp(unreached=True, opts_out=True)
        case Consequence.BLOCKED as consequence:
            # Who does not let us through at one number is not tried at another at once.
            return FollowUp(unreached=True, spoils=SPOILS[consequence])
        case Consequence.OPERATOR:
            return FollowUp(needs_person=True)
        case Consequence.LET_BE:
            return FollowUp()
        case _:
            assert_never(meaning.consequence)
