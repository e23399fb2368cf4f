"""The referral pack: complete, indexed, and the same bytes every time."""

from __future__ import annotations

import errno
import io
import json
import os
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from arrears.channels.effect import Absent, Done, Found, InDoubt, LookUpFailed, Refused, TryAgain, Unprovable
from arrears.channels.legal import LegalChannel, ReferralPackError
from arrears.rendering.context import ChronologyLine
from arrears.rendering.pack import build_pack
from arrears.rendering.table import csv_rows
from tests.unit.channels.intents import an_intent
from tests.unit.rendering.facts import HOSTILE, a_context, a_long_context, a_pack, the_catalog
from tests.unit.rendering.test_letters import squeezed, words

PATH = "legal/2026-12-23/7K3M9QXZ.zip"
LETTER = b"%PDF-1.7 the letter as it left"
PAGES = ["chronology.pdf", "cover-sheet.pdf", "index.pdf", "statement.pdf"]


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    letter = tmp_path / a_pack().letters[0].path
    letter.parent.mkdir(parents=True)
    letter.write_bytes(LETTER)
    return tmp_path


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def a_built_pack(**changes) -> dict[str, bytes]:
    return members(build_pack(the_catalog(), a_pack(**changes), {"letter-1.pdf": LETTER}))


def prepared(channel: LegalChannel, **changes: Any) -> dict[str, Any]:
    pack = a_pack()
    facts = {
        "statement": list(pack.statement),
        "chronology": list(pack.chronology),
        "letters": [(letter.name, letter.path) for letter in pack.letters],
        "approved_by": pack.approved_by,
        "approved_at": pack.approved_at,
        "limitation_ends": pack.limitation_ends,
    }
    return channel.prepare(pack.context, **(facts | changes))


def test_a_pack_has_every_paper_and_an_index_that_vouches_for_each():
    pack = a_built_pack()
    assert sorted(pack) == sorted([*PAGES, "chronology.csv", "index.json", "letters/letter-1.pdf"])
    index = json.loads(pack["index.json"])
    listed = {line["name"]: line["sha256"] for line in index["members"]}
    assert listed == {name: sha256(content).hexdigest() for name, content in pack.items() if name != "index.json"}
    assert (index["reference"], index["date"]) == ("7K3M9QXZ", "2026-12-23")
    printed = words(pack["index.pdf"])
    for name in set(listed) - {"index.pdf"}:
        assert name in printed
        assert listed[name] in printed


def test_the_papers_say_what_counsel_asks_first():
    pack = a_built_pack()
    cover = words(pack["cover-sheet.pdf"])
    for part in ("Maria Gonzalez", "$1,200.00", "October 12, 2029", "Dana Whitfield, 2026-12-20 15:00 UTC", "A-1001"):
        assert squeezed(part) in cover
    statement = words(pack["statement.pdf"])
    for part in ("Oct 1, 2026 Opening balance $1,350.00", "Payment received -$150.00", "Total $1,200.00"):
        assert squeezed(part) in statement
    chronology = words(pack["chronology.pdf"])
    assert squeezed("2026-10-14 14:05 UTC sms-1 (1) sms done") in chronology
    assert "sha256:" + "ab" * 32 in chronology


def test_an_unknown_limitation_period_is_said_not_left_out():
    cover = words(a_built_pack(limitation_ends=None)["cover-sheet.pdf"])
    assert squeezed("Not established: counsel to determine before suit") in cover


def test_empty_lists_are_said():
    pack = a_built_pack(statement=(), chronology=())
    assert "Noentriesareonrecord" in words(pack["statement.pdf"])
    assert "Nostepsareonrecord" in words(pack["chronology.pdf"])


def test_a_long_chronology_repeats_its_head_on_each_page():
    lines = tuple(ChronologyLine("2026-12-01T15:00:00Z", f"call-{n}", 1, "call", "done", "", "") for n in range(90))
    pages = PdfReader(io.BytesIO(a_built_pack(chronology=lines)["chronology.pdf"])).pages
    assert len(pages) > 2
    assert all("Outcome" in page.extract_text() for page in pages)


@pytest.mark.parametrize("name", PAGES)
def test_every_paper_is_archivable_and_accessible(name: str):
    xmp = PdfReader(io.BytesIO(a_built_pack()[name])).trailer["/Root"]["/Metadata"].get_data().decode()  # pyright: ignore
    assert "<pdfaid:part>2</pdfaid:part>" in xmp
    assert "<pdfuaid:part>1</pdfuaid:part>" in xmp


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_plain_text_in_every_paper(value: str):
    line = replace(a_pack().chronology[0], reason=value)
    entry = replace(a_pack().statement[0], text=value)
    context = a_context(holder_name=value)
    pack = a_built_pack(context=context, chronology=(line,), statement=(entry,), approved_by=value)
    for name in ("cover-sheet.pdf", "statement.pdf", "chronology.pdf"):
        assert squeezed(value) in words(pack[name])
    assert csv_rows(pack["chronology.csv"])[0]["reason"].lstrip("'") == value.lstrip("'")


def test_long_values_stay_whole():
    context = a_long_context()
    cover = words(a_built_pack(context=context)["cover-sheet.pdf"])
    assert squeezed(context.holder_name) in cover
    assert squeezed(context.address.city) in cover


def test_the_same_pack_is_the_same_bytes_with_the_referrals_date():
    first, second = (build_pack(the_catalog(), a_pack(), {"letter-1.pdf": LETTER}) for _ in range(2))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert {member.date_time for member in archive.infolist()} == {(2026, 12, 23, 0, 0, 0)}
        assert archive.namelist() == sorted(archive.namelist())


def test_a_referral_is_written_once_and_found_again_by_another_process(outbox: Path):
    payload = prepared(LegalChannel(outbox, the_catalog()))
    intent = an_intent(payload, "legal")
    restarted = LegalChannel(outbox, the_catalog())
    assert restarted.look_up(intent) == Absent()
    done = restarted.perform(intent)
    assert isinstance(done, Done)
    content = (outbox / PATH).read_bytes()
    assert done.reference == f"sha256:{sha256(content).hexdigest()}"
    assert done.detail["size"] == len(content)
    assert members(content)["letters/letter-1.pdf"] == LETTER
    assert restarted.look_up(intent) == Found(done.reference, done.detail)
    assert restarted.perform(intent) == done
    (outbox / PATH).write_bytes(b"PK")
    assert isinstance(restarted.look_up(intent), Unprovable)


@pytest.mark.parametrize("harm", ["gone", "other"])
def test_a_letter_that_is_not_the_one_committed_stops_the_pack(outbox: Path, harm: str):
    intent = an_intent(prepared(LegalChannel(outbox, the_catalog())), "legal")
    letter = outbox / a_pack().letters[0].path
    letter.unlink() if harm == "gone" else letter.write_bytes(b"another")
    outcome = LegalChannel(outbox, the_catalog()).perform(intent)
    assert isinstance(outcome, Refused)
    assert outcome.code == "letters"
    assert not (outbox / PATH).exists()


def test_a_full_disk_is_tried_again_and_leaves_nothing(outbox: Path, monkeypatch: pytest.MonkeyPatch):
    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    channel = LegalChannel(outbox, the_catalog())
    intent = an_intent(prepared(channel), "legal")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", no_space)
        assert channel.perform(intent) == TryAgain(f"{PATH} could not be written: No space left on device")
    assert [path for path in (outbox / "legal").rglob("*") if path.is_file()] == []
    assert isinstance(channel.perform(intent), Done)


def test_a_place_that_cannot_be_read_is_in_doubt(outbox: Path):
    channel = LegalChannel(outbox, the_catalog())
    intent = an_intent(prepared(channel), "legal")
    (outbox / "legal").write_text("a file where the folder should be")
    assert isinstance(channel.perform(intent), InDoubt)
    assert isinstance(channel.look_up(intent), LookUpFailed)


def test_a_letter_that_is_missing_is_known_before_the_intent(outbox: Path):
    with pytest.raises(ReferralPackError, match=r"letters/gone\.pdf is not in the outbox"):
        prepared(LegalChannel(outbox, the_catalog()), letters=[("a", "letters/gone.pdf")])


def test_two_letters_of_one_rung_are_both_enclosed(outbox: Path):
    channel = LegalChannel(outbox, the_catalog())
    path = a_pack().letters[0].path
    channel.perform(an_intent(prepared(channel, letters=[("letter-1", path), ("letter-1", path)]), "legal"))
    assert {"letters/letter-1.pdf", "letters/letter-1-2.pdf"} <= set(members((outbox / PATH).read_bytes()))


def test_what_is_not_on_record_is_said():
    line = replace(a_pack().chronology[0], at="")
    pack = a_built_pack(approved_by="", approved_at="", chronology=(line,))
    assert "Noapprovalonrecord" in words(pack["cover-sheet.pdf"])
    assert "notimeonrecord" in words(pack["chronology.pdf"])
