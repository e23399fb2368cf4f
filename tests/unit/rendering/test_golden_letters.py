"""Every letter looks as somebody has accepted it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from arrears.settings import ROOT
from tests.support.golden import DIFFERENT, GOLDEN, accepted, differences, letters, pictures
from tests.unit.rendering.facts import the_catalog


@pytest.mark.parametrize(("name", "locale"), letters(the_catalog()))
def test_a_letter_looks_as_it_was_accepted(name: str, locale: str) -> None:
    different = differences(accepted(name, locale), pictures(the_catalog(), name, locale), DIFFERENT)
    assert not different, (
        f"{', '.join(different)}: not as accepted; look at {DIFFERENT.relative_to(ROOT)}, where each new picture has "
        "one of what differs beside it, then `make golden` accepts them"
    )


def test_no_picture_is_left_of_a_letter_that_is_gone() -> None:
    there = {f"{locale}-{name}" for name, locale in letters(the_catalog())}
    assert {path.stem.rpartition("-")[0] for path in GOLDEN.glob("*.png")} == there


def test_what_differs_is_shown_in_red(tmp_path: Path) -> None:
    before = accepted("reminder", "en-US")
    now = {"en-US-reminder-1.png": accepted("lawyer", "en-US")["en-US-lawyer-1.png"]}
    assert differences(before, now, tmp_path) == ["en-US-reminder-1.png"]
    shown = Image.open(tmp_path / "en-US-reminder-1.diff.png")
    assert (200, 0, 0) in {color for _, color in shown.getcolors(1 << 20)}  # type: ignore[union-attr]
    assert differences(before, before, tmp_path / "none") == []
    assert not (tmp_path / "none").exists()
