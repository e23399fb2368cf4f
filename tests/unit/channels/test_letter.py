"""The letter channel: one file an intent, made from the payload alone, proved by its digest."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from arrears.channels import files
from arrears.channels.effect import Absent, Done, Found, InDoubt, Refused, TryAgain, Unprovable
from arrears.channels.letter import LetterChannel
from arrears.rendering.errors import RenderError, TemplateError
from tests.unit.channels.intents import an_intent
from tests.unit.rendering.facts import a_context, the_catalog

PATH = "letters/2026-12-23/7K3M9QXZ.pdf"


@pytest.fixture
def channel(tmp_path: Path) -> LetterChannel:
    return LetterChannel(tmp_path, the_catalog())


def test_preparing_writes_nothing(channel: LetterChannel, tmp_path: Path):
    payload = channel.prepare("lawyer", a_context())
    assert (payload["path"], payload["pages"], payload["template"]) == (PATH, 1, "lawyer")
    assert list(tmp_path.iterdir()) == []


def test_a_letter_is_written_once_and_found_again(channel: LetterChannel, tmp_path: Path):
    intent = an_intent(channel.prepare("lawyer", a_context()))
    assert channel.look_up(intent) == Absent()
    done = channel.perform(intent)
    sha256 = files.digest((tmp_path / PATH).read_bytes())
    assert done == Done(f"sha256:{sha256}", {"path": PATH, "sha256": sha256, "pages": 1})
    assert channel.look_up(intent) == Found(done.reference, done.detail)

    written = (tmp_path / PATH).stat()
    assert channel.perform(intent) == done
    again = (tmp_path / PATH).stat()
    assert (again.st_ino, again.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_another_process_makes_the_same_letter_from_the_payload(channel: LetterChannel, tmp_path: Path):
    intent = an_intent(channel.prepare("reminder", a_context()))
    restarted = LetterChannel(tmp_path, the_catalog())
    assert isinstance(restarted.perform(intent), Done)
    assert files.digest((tmp_path / PATH).read_bytes()) == intent.payload["sha256"]


def test_another_file_in_its_place_is_for_a_person(channel: LetterChannel, tmp_path: Path):
    intent = an_intent(channel.prepare("lawyer", a_context()))
    (tmp_path / PATH).parent.mkdir(parents=True)
    (tmp_path / PATH).write_bytes(b"%PDF something else")
    assert isinstance(channel.look_up(intent), Unprovable)
    assert isinstance(channel.perform(intent), InDoubt)
    assert (tmp_path / PATH).read_bytes() == b"%PDF something else"


def test_a_full_disk_is_tried_again_and_leaves_nothing(
    channel: LetterChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    intent = an_intent(channel.prepare("lawyer", a_context()))
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", no_space)
        assert channel.perform(intent) == TryAgain(f"{PATH} could not be written: No space left on device")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert isinstance(channel.perform(intent), Done)


def test_a_letter_that_would_no_longer_be_the_one_committed_is_refused(channel: LetterChannel, tmp_path: Path):
    payload = channel.prepare("lawyer", a_context())
    changed = an_intent({**payload, "sha256": "0" * 64})
    outcome = channel.perform(changed)
    assert isinstance(outcome, Refused)
    assert outcome.code == "changed"
    assert not (tmp_path / PATH).exists()


def test_a_template_that_is_gone_is_refused(channel: LetterChannel):
    outcome = channel.perform(an_intent({**channel.prepare("lawyer", a_context()), "template": "gone", "sha256": "0"}))
    assert isinstance(outcome, Refused)
    assert outcome.code == "template"


def test_what_cannot_be_a_letter_is_known_before_the_intent(channel: LetterChannel):
    with pytest.raises(TemplateError):
        channel.prepare("gone", a_context())
    with pytest.raises(RenderError, match="account A-1001"):
        channel.prepare("lawyer", a_context(holder_name="สมชาย"))
    with pytest.raises(ValueError, match="cannot name a file"):
        channel.prepare("lawyer", a_context(reference="../x"))
