"""A broken ladder says what is wrong, where, and what was expected; all of it at once."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.vocabulary import ChannelName, Stage
from arrears.policies.ladders import load_ladder, load_ladders
from arrears.policies.problems import PolicyError
from tests.builders import POLICIES
from tests.unit.policies.mistakes import mistakes

GOOD = """\
ladder: cards
version: 1
hours_between_contacts: 20
rungs:
  - rung: sms-1
    stage: sms
    template: reminder
    due: {dpd: 1, at: "10:00"}
    late: skip
  - rung: call-1
    stage: call
    template: first-call
    due: {dpd: 30, at: "10:00"}
    attempts: {most: 15, days_apart: 4}
    until: {dpd: 90}
    ends_on: [right_party_contact]
    late: go
  - rung: agency-1
    stage: agency
    template: placement
    agency: northside
    due: {after: call-1, days: 10, at: "09:00"}
    late: go
    requires:
      - {done: sms-1, days: 10}
      - {balance_at_least: {USD: "500.00"}}
      - approved
"""

NONSENSE = ["", "0", "-1", "no", "[]", "{}", "~", "x: y", "*", "&a", "!", "'", "10:00", "- ", "%", "1e9", "2026-13-01"]


def problems_of(text: str | bytes, folder: Path) -> list[str]:
    path = folder / "cards.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PolicyError) as caught:
        load_ladder(path)
    return [str(problem).removeprefix(f"{path}") for problem in caught.value.problems]


def test_the_good_ladder_is_good(tmp_path: Path):
    (tmp_path / "cards.yaml").write_text(GOOD)
    assert [rung.name for rung in load_ladder(tmp_path / "cards.yaml").rungs] == ["sms-1", "call-1", "agency-1"]


@pytest.mark.parametrize(("good", "bad", "message"), mistakes("ladder_mistakes.txt"))
def test_each_mistake_is_named_with_its_line(tmp_path: Path, good: str, bad: str, message: str):
    assert good in GOOD
    assert problems_of(GOOD.replace(good, bad, 1), tmp_path) == [message]


def test_a_stage_may_use_another_channel_than_its_own(tmp_path: Path):
    (tmp_path / "cards.yaml").write_text(GOOD.replace("stage: call", "stage: letter\n    channel: call"))
    call = load_ladder(tmp_path / "cards.yaml").by_name["call-1"]
    assert (call.stage, call.channel) == (Stage.LETTER, ChannelName.CALL)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": is empty"),
        (b"# nothing here\n", ": is empty"),
        (b"- a\n- b\n", ":1: must be a block of keys, such as `version: 1`"),
        (b"just words\n", ":1: must be a block of keys, such as `version: 1`"),
        (b"a: [1,\nb: 2\n", ":3: is no YAML: did not find expected ',' or ']'"),
        (b"ladder: x\n  version: 1\n", ":2: is no YAML: mapping values are not allowed in this context"),
        (b"\tladder: x\n", ":1: is no YAML: found character that cannot start any token"),
        (b"a: 1\n---\nb: 2\n", ":2: is no YAML: but found another document"),
        (b"a: *nowhere\n", ":1: *nowhere is an alias; policy files do without, write it out"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", ": is no text; expected YAML in UTF-8"),
        (b"ladder: \x00\n", ": is no text; expected YAML in UTF-8"),
        ("description: caf\u00e9\n".encode("latin-1"), ": is no text; expected YAML in UTF-8"),
        (b"a: " + b"[" * 40_000, ":1: is nested more than 20 deep"),
    ],
)  # fmt: skip
def test_what_is_no_ladder_file_says_so(tmp_path: Path, content: bytes, message: str):
    assert problems_of(content, tmp_path) == [message]


def test_a_missing_file_and_a_folder_say_so(tmp_path: Path):
    with pytest.raises(PolicyError, match=r"no-such\.yaml: no such file"):
        load_ladder(tmp_path / "no-such.yaml")
    with pytest.raises(PolicyError, match="is a folder; expected a YAML file"):
        load_ladder(tmp_path)


def test_a_ladder_without_rungs_says_so(tmp_path: Path):
    head = GOOD.partition("rungs:")[0]
    assert problems_of(head + "rungs: []\n", tmp_path) == [":4: rungs is empty"]
    assert problems_of(head + "rungs:\n", tmp_path) == [":4: rungs is empty"]
    assert problems_of(head + "rungs: many\n", tmp_path) == [":4: rungs must be a list"]
    assert problems_of(head, tmp_path) == [":1: missing key 'rungs'"]


def test_every_mistake_of_a_file_is_reported_at_once(tmp_path: Path):
    text = GOOD.replace("version: 1", "version: x").replace("late: skip", "late: skpi").replace("most: 15", "most: 0")
    text = text.replace("done: sms-1", "done: sms-7").replace("dpd: 1, at", "dpd: 1, att")
    lines = [problem.split(":")[1] for problem in problems_of(text, tmp_path)]
    assert lines == ["2", "8", "8", "9", "14", "25"]


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(tmp_path: Path):
    (tmp_path / "cards.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_ladder(tmp_path / "cards.yaml").id == "cards@1"


def test_older_versions_stay_loadable_beside_the_current_one(tmp_path: Path):
    (tmp_path / "cards.yaml").write_text(GOOD.replace("version: 1", "version: 2"))
    (tmp_path / "cards@1.yaml").write_text(GOOD)
    shelf = load_ladders(tmp_path)
    assert {name: ladder.version for name, ladder in shelf.current.items()} == {"cards": 2}
    assert sorted(shelf.versions) == [("cards", 1), ("cards", 2)]
    assert shelf.find("cards@1") is shelf.versions["cards", 1]
    assert shelf.find("cards") is shelf.versions["cards", 2]
    assert shelf.find("cards@3") is None
    assert shelf.find("cards@x") is None
    assert shelf.find("loans") is None


def test_a_shelf_names_every_file_that_does_not_fit(tmp_path: Path):
    (tmp_path / "cards.yaml").write_text(GOOD)
    (tmp_path / "cards@1.yaml").write_text(GOOD)
    (tmp_path / "cards@3.yaml").write_text(GOOD.replace("version: 1", "version: 3"))
    (tmp_path / "loans.yaml").write_text(GOOD.replace("version: 1", "version: 9"))
    (tmp_path / "bad.yaml").write_text("")
    with pytest.raises(PolicyError) as caught:
        load_ladders(tmp_path)
    assert str(caught.value).replace(f"{tmp_path}/", "").splitlines() == [
        "bad.yaml: is empty",
        "cards@1.yaml: holds cards@1, and so does cards.yaml",
        "cards@3.yaml: holds version 3, but cards.yaml, which is current, holds version 1",
        "loans.yaml: holds cards@9; expected cards.yaml or cards@9.yaml",
        "loans.yaml: holds version 9, but cards.yaml, which is current, holds version 1",
    ]


def test_an_empty_shelf_says_so(tmp_path: Path):
    with pytest.raises(PolicyError, match="holds no ladder"):
        load_ladders(tmp_path)


def test_a_rung_cannot_have_the_name_of_the_letter_that_stands_in_for_another(tmp_path: Path):
    text = GOOD.replace("late: skip", "late: skip\n    otherwise: reminder").replace("call-1", "letter-for-sms-1")
    taken = "another rung is called 'letter-for-sms-1', the name of the letter that stands in for it"
    assert problems_of(text, tmp_path) == [f":10: rung 'sms-1': {taken}"]


def test_the_shipped_shelf_loads():
    assert load_ladders(POLICIES / "ladders").find("card-standard@1") is not None


@given(changes=st.lists(st.tuples(st.integers(0, 999), st.integers(0, 9), st.sampled_from(NONSENSE)), min_size=1))
def test_a_mangled_ladder_is_a_ladder_or_a_list_of_problems_and_nothing_else(
    changes: list[tuple[int, int, str]], tmp_path_factory: pytest.TempPathFactory
):
    lines = GOOD.splitlines()
    for line, word, nonsense in changes:
        words = re.split(r"([^ ,:{}]+)", lines[line % len(lines)])
        words[word % len(words)] = nonsense
        lines[line % len(lines)] = "".join(words)
    path = tmp_path_factory.getbasetemp() / "mangled.yaml"
    path.write_text("\n".join(lines))
    with contextlib.suppress(PolicyError):
        assert load_ladder(path).rungs
