"""Texts are counted as the networks count them."""

from __future__ import annotations

import pytest

from arrears.rendering.segments import Encoding, Segments, beyond_gsm_7, segments

GSM, UCS = Encoding.GSM_7, Encoding.UCS_2


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("", Segments(GSM, 0, 1)),
        ("a" * 160, Segments(GSM, 160, 1)),
        ("a" * 161, Segments(GSM, 161, 2)),
        ("a" * 306, Segments(GSM, 306, 2)),
        ("a" * 307, Segments(GSM, 307, 3)),
        ("€" * 80, Segments(GSM, 160, 1)),
        # Two septets that do not fit into the first segment's last one go to the next together.
        ("a" * 152 + "€" + "a" * 152, Segments(GSM, 306, 3)),
        ("é" * 160, Segments(GSM, 160, 1)),
        ("ç" * 70, Segments(UCS, 70, 1)),
        ("账" * 71, Segments(UCS, 71, 2)),
        ("🙂" * 35, Segments(UCS, 70, 1)),
        ("🙂" * 67, Segments(UCS, 134, 3)),
        ("a" * 70 + "\u2019", Segments(UCS, 71, 2)),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_text_is_counted_as_networks_count(text: str, counted: Segments):
    assert segments(text) == counted


def test_what_makes_a_text_dear_is_named():
    assert beyond_gsm_7("Your card’s payment — 5 €, please; again ’") == "’—"
    assert str(segments("’" * 71)) == "2 segments of UCS-2"


def test_the_alphabet_is_the_standards():
    """127 characters beside the escape, and ten after it (TS 23.038, 6.2.1 and 6.2.1.1)."""
    everything = "".join(map(chr, range(0x10000)))
    single = [c for c in everything if segments(c) == Segments(GSM, 1, 1)]
    double = [c for c in everything if segments(c) == Segments(GSM, 2, 1)]
    assert (len(single), len(double)) == (127, 10)
