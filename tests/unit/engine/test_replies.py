"""What a holder's text message asks for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.contact.facts import ContactChannel
from arrears.engine.contact.replies import Meaning, Wish, read_reply
from arrears.engine.contact.rules import Keywords
from tests.builders import a_rule

KEYWORDS = [
    a_rule(
        Keywords,
        stop=frozenset({"STOP", "STOP ALL", "QUIT", "END", "OPT OUT", "退订"}),
        start=frozenset({"START", "YES"}),
        help=frozenset({"HELP", "INFO"}),
        confirm_within=timedelta(minutes=5),
    )
]
TEXTS = frozenset({ContactChannel.SMS})
CALLS = frozenset({ContactChannel.CALL, ContactChannel.CALL_AUTO, ContactChannel.VOICEMAIL})


def meaning(text: str) -> Meaning:
    return read_reply(text, KEYWORDS)


@pytest.mark.parametrize(
    "text", ["STOP", "stop", " Stop. ", "STOP!!!", "stopall", "Stop All", "opt-out", "OPTOUT", "“quit”", "退订"]
)
def test_a_keyword_counts_whatever_its_case_and_punctuation(text: str):
    assert meaning(text) == Meaning(Wish.STOP, TEXTS, by_keyword=True)


@pytest.mark.parametrize(
    "text",
    [
        "please quit texting me", "Please stop", "stop it now", "Dont text me anymore", "Don’t send me any more texts",
        "no more messages", "take me off your list", "remove this number", "I revoke my consent", "Unsubscribe me pls",
        "opt me out", "wrong number, stop", "Stop sending me these", "I no longer wish to receive messages",
        "OK. Stop! Thanks", "You need to stop these messages right away",
    ],
)  # fmt: skip
def test_any_reasonable_way_of_asking_stops_texts(text: str):
    assert meaning(text) == Meaning(Wish.STOP, TEXTS)


@pytest.mark.parametrize("text", ["stop calling me", "Don't call me again", "do not phone me at work", "no more calls"])
def test_who_asks_for_no_calls_closes_calls(text: str):
    assert meaning(text) == Meaning(Wish.STOP, CALLS)


def test_who_asks_for_neither_closes_both():
    assert meaning("Stop calling and texting me").channels == CALLS | TEXTS


@pytest.mark.parametrize(
    "text", ["do not contact me", "leave me alone", "cease and desist all communication", "stop harassing me"]
)
def test_who_wants_no_contact_closes_every_way_of_reaching_them(text: str):
    closed = meaning(text).channels
    assert closed >= CALLS | TEXTS | {ContactChannel.EMAIL, ContactChannel.LETTER}
    assert ContactChannel.PLACEMENT not in closed


@pytest.mark.parametrize(
    "text",
    [
        "I will stop by the bank tomorrow", "can you stop the late fee",
        "when does the plan end?", "STOP payment on my check", "I never got your text", "",
        "I did not get your message", "I don't have my phone with me", "help me understand this bill", "?",
        "yes please",
    ],
)  # fmt: skip
def test_what_is_no_wish_of_the_kind_is_for_a_person(text: str):
    assert meaning(text) == Meaning(Wish.OTHER)


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("PAID", Wish.PAID), ("I already paid this", Wish.PAID), ("made a payment of 50 yesterday", Wish.PAID),
        ("CALL", Wish.CALL), ("please call me", Wish.CALL), ("call me after 6", Wish.CALL),
        ("pay 50 friday", Wish.PROMISE), ("Don't worry, I'll pay Friday", Wish.PROMISE),
        ("I have not paid and cannot pay", Wish.OTHER), ("stop calling me", Wish.STOP),
    ],
)  # fmt: skip
def test_what_a_text_is_about_is_a_hint_for_whoever_reads_it(text: str, wish: Wish):
    assert meaning(text).wish is wish


def test_only_a_keyword_starts_texts_again_or_asks_for_help():
    assert meaning("Start").wish is Wish.START
    assert meaning("please start texting me again").wish is Wish.OTHER
    assert meaning("info!").wish is Wish.HELP


@given(st.text(max_size=400) | st.sampled_from(["CALL", "Paid", "I will pay", "help", "start", "STOP"]))
def test_every_text_has_a_meaning(text: str):
    read = meaning(text)
    is_for_a_person = read.wish in (Wish.PAID, Wish.CALL, Wish.PROMISE, Wish.OTHER)
    assert bool(read.channels) != is_for_a_person


@given(before=st.text(max_size=40), after=st.text(max_size=40))
def test_a_plea_to_stop_texting_is_heard_wherever_it_stands(before: str, after: str):
    assert ContactChannel.SMS in meaning(f"{before}. please stop texting me. {after}").channels
