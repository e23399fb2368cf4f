"""What a holder's reply means for the channels they may be contacted on."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from arrears.engine.contact.facts import ContactChannel
from arrears.engine.contact.rules import Keywords


class Wish(StrEnum):
    """Stop contacting, start again, explain; it was paid, call me, I will pay; other.

    All but the first three are for a person to read.
    """

    STOP = "stop"
    START = "start"
    HELP = "help"
    PAID = "paid"
    CALL = "call"
    PROMISE = "promise"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What was asked, and of which channels. `by_keyword`: a single word that carriers prescribe said it."""

    wish: Wish
    channels: frozenset[ContactChannel] = frozenset()
    by_keyword: bool = False


_CALLS = frozenset({ContactChannel.CALL, ContactChannel.CALL_AUTO, ContactChannel.VOICEMAIL})
_TEXTS = frozenset({ContactChannel.SMS})
_ANY_MEANS = _CALLS | _TEXTS | {ContactChannel.EMAIL, ContactChannel.LETTER, ContactChannel.VISIT}

_STOP = r"(?:stop|quit|cease|desist|end|halt|discontinue|refrain from)"
_NOT = r"(?:do not|dont|don t|never|no more|may not|no longer)"
_TEXTING = r"(?:txts?|txting|texts?|texting|messages?|messaging|msgs?|msging|sms|spam|spamming)"
_CALLING = r"(?:calls?|calling|phone|phoning|phone calls?|ring|ringing|dial|dialing|robocalls?|voicemails?)"
_CONTACT = (
    r"(?:contact|contacting|contacts|bother|bothering|harass|harassing|harassment|reach out|reaching out"
    r"|communicate|communicating|communication)"
)
_FILLER = r"(?:\w+ ){0,3}?"
_MAIL = r"(?:e ?mails?|e ?mailing)"
_LETTERS = r"(?:letters?|mailing|writing)"
# "Stop sending me these", "don't send me any more texts".
_SENDING = r"(?:send|sending|sent)"
# What somebody stops or does not do that is no message of ours: "stop the fee", "I never got your text".
_OTHER_THINGS = re.compile(
    r"\b(?:payments?|fees?|interest|charges?|autopay|plan|by (?:the|your)|card|get|got|gets|(?<!to )receiv\w*"
    r"|see|saw|seen|understand|read|recall|remember|have|had|lost|own|know|mean|worry|forget|respond|answer|hear)\b"
)

_PATTERNS: tuple[tuple[str, frozenset[ContactChannel]], ...] = (
    (rf"\b{_STOP} {_FILLER}{_TEXTING}\b", _TEXTS),
    (rf"\b{_NOT} {_FILLER}{_TEXTING}\b", _TEXTS),
    (rf"\b{_STOP} {_FILLER}{_CALLING}\b", _CALLS),
    (rf"\b{_NOT} {_FILLER}{_CALLING}\b", _CALLS),
    (rf"\b(?:{_STOP}|{_NOT}) {_FILLER}{_MAIL}\b", frozenset({ContactChannel.EMAIL})),
    (rf"\b(?:{_STOP}|{_NOT}) {_FILLER}{_LETTERS}\b", frozenset({ContactChannel.LETTER})),
    (rf"\b(?:{_STOP}|{_NOT}) {_FILLER}{_CONTACT}\b", _ANY_MEANS),
    (rf"\b(?:{_STOP}|{_NOT}) {_SENDING}\b", _TEXTS),
    (r"\bleave (?:me|us) alone\b|\bgo away\b|\blose my number\b", _ANY_MEANS),
    (r"\b(?:take|remove|delete|get) (?:me|us|my (?:phone |cell )?number|this number) (?:off|from|out)\b", _TEXTS),
    (r"\b(?:remove|delete) (?:me|my (?:phone |cell )?number|this number)\b", _TEXTS),
    (r"\bunsubscribe\b|\bopt(?:ing|ed)? ?(?:me )?out\b", _TEXTS),
    (r"\b(?:revoke|withdraw|rescind|take back)\w* (?:my |any |all |the )*(?:prior )?(?:consent|permission)\b", _TEXTS),
    (r"\bno (?:more|further) (?:please|thanks|thank you)\b|\bno more$", _TEXTS),
)
_FREE_TEXT = tuple((re.compile(pattern), channels) for pattern, channels in _PATTERNS)
# A bare plea, with nothing named that is to stop.
_BARE = re.compile(
    r"^(?:please |pls |plz |just |ok |okay |hey |hi )*(?:stop|quit)"
    r"(?: (?:it|this|that|now|already|please|pls|plz|all|asap|immediately|thank you|thanks))*$"
)
# Read in this order, when nothing is to stop: what it is about decides who reads it, and nothing else.
_FOR_A_PERSON: tuple[tuple[Wish, re.Pattern[str]], ...] = (
    (Wish.CALL, re.compile(r"^(?:please |pls |plz )?(?:call|callback|ring|phone)(?: me)?(?: back)?\b")),
    (Wish.CALL, re.compile(r"\b(?:call|ring|phone) me\b")),
    (Wish.PAID, re.compile(r"\b(?:paid|made (?:a |the |my )?payment|sent (?:a |the |my )?payment)\b")),
    (
        Wish.PROMISE,
        re.compile(r"\b(?:pay|paying|payment|send|sending)\b.*(?:\d|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b)"),
    ),
    (Wish.PROMISE, re.compile(r"\b(?:i will|ill|will|going to|gonna|can) pay\b")),
)
_NOT_YET = re.compile(r"\b(?:not|nt|havent|hasnt|isnt|wasnt|never|cant|cannot|wont|unable)\b")
_CLAUSES = re.compile(r"[.,;:!?\n]+")


def read_reply(text: str, keywords: Iterable[Keywords], channel: ContactChannel = ContactChannel.SMS) -> Meaning:
    """What a text message asks for, received on `channel`.

    The prescribed keywords count as the whole message only, whatever their case and punctuation. Free
    text is read for any reasonable way of asking to stop (47 CFR 64.1200(a)(10)): when in doubt it stops,
    because a text too few costs less than a text too many. Only a keyword starts texts again. What the rest is
    about is a hint for the person who reads it.
    """
    words = _plain(text)
    joined = words.replace(" ", "")
    for rule in keywords:
        for wish, known in ((Wish.STOP, rule.stop), (Wish.START, rule.start), (Wish.HELP, rule.help)):
            if any(words == word.casefold() or joined == word.casefold().replace(" ", "") for word in known):
                return Meaning(wish, frozenset({channel}), by_keyword=True)
    if any(_BARE.match(_plain(clause)) for clause in _CLAUSES.split(text)):
        return Meaning(Wish.STOP, frozenset({channel}))
    asked: frozenset[ContactChannel] = frozenset()
    for pattern, channels in _FREE_TEXT:
        found = pattern.search(words)
        if found and not _OTHER_THINGS.search(found.group()):
            asked |= channels
    return Meaning(Wish.STOP, asked) if asked else Meaning(_for_a_person(words))


def _for_a_person(words: str) -> Wish:
    found = (wish for wish, pattern in _FOR_A_PERSON if pattern.search(words))
    return Wish.OTHER if _NOT_YET.search(words) else next(found, Wish.OTHER)


def _plain(text: str) -> str:
    """Small letters and digits, one space between words: `STOP!!` and `don’t` lose their dress."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]|_", " ", re.sub(r"['’`]", "", folded)).split())
