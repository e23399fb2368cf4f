"""The referral pack: complete, indexed, and the same bytes every time."""

from __future__ import annotations

import errno
import io
import json
import os
import zipfile
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from arrears.channels.documents import DocumentStore
from arrears.channels.effect import Absent, Done, Found, InDoubt, LookUpFailed, TryAgain, Unprovable
from arrears.channels.legal import LegalChannel, ReferralPackError, named_apart
from arrears.rendering.context import ChronologyLine
from arrears.rendering.pack import build_pack
from arrears.rendering.referral import GapLine, NeedLine, TitleLine
from arrears.rendering.table import csv_rows
from tests.unit.channels.intents import an_intent
from tests.unit.rendering.facts import (
    AGREEMENT,
    HOSTILE,
    LETTER,
    US_PAPERS,
    a_context,
    a_long_context,
    a_pack,
    referral_facts,
    the_catalog,
)
from tests.unit.rendering.test_letters import squeezed, words

PATH = "legal/2026-12-23/7K3M9QXZ.zip"
MANIFEST = "legal/2026-12-23/7K3M9QXZ.manifest.json"
PAGES = sorted(f"{name}.pdf" for name in (*US_PAPERS, "index"))
ENCLOSED = {"letters/letter-1.pdf": LETTER, "documents/card_agreement.pdf": AGREEMENT}


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    letter = tmp_path / "letters/2026-12-01/AAAA1111.pdf"
    letter.parent.mkdir(parents=True)
    letter.write_bytes(LETTER)
    DocumentStore(tmp_path / "documents").keep(AGREEMENT)
    return tmp_path


def a_channel(outbox: Path) -> LegalChannel:
    return LegalChannel(outbox, the_catalog(), DocumentStore(outbox / "documents"))


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def a_built_pack(**changes: Any) -> dict[str, bytes]:
    return members(build_pack(the_catalog(), a_pack(**changes), ENCLOSED))


def test_a_pack_has_every_paper_and_an_index_that_vouches_for_each():
    pack = a_built_pack()
    assert sorted(pack) == sorted([*PAGES, *ENCLOSED, "chronology.csv", "index.json"])
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
    wanted = ("Maria Gonzalez", "$1,200.00", "October 12, 2029", "Dana Whitfield, 2026-12-20 15:00 UTC", "A-1001")
    limit = ("3 years, by CPLR 214-i", "LIMITATION-US-NY", "October 12, 2026, first missed due date", "1024 days")
    for part in wanted + limit:
        assert squeezed(part) in cover
    statement = words(pack["statement.pdf"])
    for part in ("Oct 1, 2026 Balance past due $1,350.00", "Payment P-1 -$150.00", "Total $1,200.00"):
        assert squeezed(part) in statement
    chronology = words(pack["chronology.pdf"])
    assert squeezed("2026-10-14 14:05 UTC sms-1 (1) sms done") in chronology
    assert "sha256:" + "ab" * 32 in chronology


def test_an_unknown_limitation_period_is_said_not_left_out():
    cover = words(a_built_pack(limitation=None)["cover-sheet.pdf"])
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
    line = replace(referral_facts().chronology[0], reason=value)
    entry = replace(referral_facts().statement[0], reference=value)
    approval = replace(referral_facts().approvals[0], by=value)
    context = a_context(holder_name=value)
    pack = a_built_pack(context=context, chronology=(line,), statement=(entry,), approvals=(approval,))
    for name in ("cover-sheet.pdf", "statement.pdf", "chronology.pdf"):
        assert squeezed(value) in words(pack[name])
    assert csv_rows(pack["chronology.csv"])[0]["reason"].lstrip("'") == value.lstrip("'")


def test_long_values_stay_whole():
    context = a_long_context()
    cover = words(a_built_pack(context=context)["cover-sheet.pdf"])
    assert squeezed(context.holder_name) in cover
    assert squeezed(context.address.city) in cover


def test_the_same_pack_is_the_same_bytes_with_the_referrals_date():
    first, second = (build_pack(the_catalog(), a_pack(), ENCLOSED) for _ in range(2))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert {member.date_time for member in archive.infolist()} == {(2026, 12, 23, 0, 0, 0)}
        assert archive.namelist() == sorted(archive.namelist())


def test_a_referral_is_written_once_and_found_again_by_another_process(outbox: Path):
    payload = a_channel(outbox).prepare(a_pack())
    intent = an_intent(payload, "legal")
    restarted = a_channel(outbox)
    assert restarted.look_up(intent) == Absent()
    done = restarted.perform(intent)
    assert isinstance(done, Done)
    content = (outbox / PATH).read_bytes()
    assert done.reference == f"sha256:{sha256(content).hexdigest()}"
    assert done.detail["size"] == len(content)
    assert {name: members(content)[name] for name in ENCLOSED} == ENCLOSED
    assert restarted.look_up(intent) == Found(done.reference, done.detail)
    assert restarted.perform(intent) == done
    (outbox / PATH).write_bytes(b"PK")
    assert isinstance(restarted.look_up(intent), Unprovable)


def test_the_manifest_comes_last_and_vouches_for_the_zip(outbox: Path):
    channel = a_channel(outbox)
    intent = an_intent(channel.prepare(a_pack()), "legal")
    channel.perform(intent)
    manifest = json.loads((outbox / MANIFEST).read_text())
    assert manifest["sha256"] == sha256((outbox / PATH).read_bytes()).hexdigest()
    assert (manifest["file"], manifest["account_id"], manifest["documents"]) == ("7K3M9QXZ.zip", "A-1001", ["AGR-1"])
    assert "Gonzalez" not in (outbox / MANIFEST).read_text()
    # Cut short between the two: it has not left, whatever is in the zip, and is made good.
    (outbox / MANIFEST).unlink()
    (outbox / PATH).write_bytes(b"half a zip")
    assert a_channel(outbox).look_up(intent) == Absent()
    assert isinstance(a_channel(outbox).perform(intent), Done)
    assert manifest == json.loads((outbox / MANIFEST).read_text())


def test_a_referral_to_a_firm_lies_in_the_firms_folder(outbox: Path):
    payload = a_channel(outbox).prepare(a_pack(firm="baker-lynch"))
    assert payload["path"] == "legal/baker-lynch/2026-12-23/7K3M9QXZ.zip"


@pytest.mark.parametrize("harm", ["gone", "other"])
@pytest.mark.parametrize("what", ["letter", "document"])
def test_what_is_not_what_was_committed_stops_the_pack_and_nothing_is_given_up(outbox: Path, what: str, harm: str):
    intent = an_intent(a_channel(outbox).prepare(a_pack()), "legal")
    letter = outbox / "letters/2026-12-01/AAAA1111.pdf"
    path = letter if what == "letter" else next((outbox / "documents").rglob("*.pdf"))
    path.unlink() if harm == "gone" else path.write_bytes(b"another")
    outcome = a_channel(outbox).perform(intent)
    assert isinstance(outcome, TryAgain)
    assert path.name in outcome.reason
    assert not (outbox / "legal").exists()


def test_a_full_disk_is_tried_again_and_leaves_nothing(outbox: Path, monkeypatch: pytest.MonkeyPatch):
    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    channel = a_channel(outbox)
    intent = an_intent(channel.prepare(a_pack()), "legal")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", no_space)
        assert channel.perform(intent) == TryAgain(f"{PATH} could not be written: No space left on device")
    assert [path for path in (outbox / "legal").rglob("*") if path.is_file()] == []
    assert isinstance(channel.perform(intent), Done)


def test_a_place_that_cannot_be_read_is_in_doubt(outbox: Path):
    channel = a_channel(outbox)
    intent = an_intent(channel.prepare(a_pack()), "legal")
    (outbox / "legal").write_text("a file where the folder should be")
    assert isinstance(channel.perform(intent), InDoubt)
    assert isinstance(channel.look_up(intent), LookUpFailed)


def test_a_letter_that_is_missing_is_known_before_the_intent(outbox: Path):
    (outbox / "letters/2026-12-01/AAAA1111.pdf").unlink()
    with pytest.raises(ReferralPackError, match=r"letters/2026-12-01/AAAA1111\.pdf is not in the outbox"):
        a_channel(outbox).prepare(a_pack())


def test_two_letters_of_one_rung_have_names_of_their_own():
    assert named_apart("letters", ["letter-1", "letter-2", "letter-1"]) == [
        "letters/letter-1.pdf",
        "letters/letter-2.pdf",
        "letters/letter-1-2.pdf",
    ]


def test_what_is_to_follow_stands_first_on_the_cover_sheet():
    pack = a_built_pack(to_follow=(NeedLine("Charge-off statement", "CPLR 3016(j)(1)"),))
    assert squeezed("Not complete: not ready for suit") in words(pack["cover-sheet.pdf"])
    assert squeezed("Charge-off statement (CPLR 3016(j)(1))") in words(pack["cover-sheet.pdf"])


def test_the_affidavit_is_a_draft_that_nobody_could_take_for_sworn():
    affidavit = words(a_built_pack()["affidavit-draft.pdf"])
    assert "NOTSWORN" in affidavit
    assert squeezed("Draft. Not sworn, not signed, not to be filed.") in affidavit
    assert squeezed("it owes $1,200.00") in affidavit


def test_a_sold_debt_shows_each_owner_and_where_the_chain_breaks():
    title = (TitleLine("First Bank", "Alpha LLC", date(2026, 1, 5), "BOS-1"),)
    pack = a_built_pack(title=title, gaps=(GapLine("Alpha LLC", "Example Bank"),), original_creditor="First Bank")
    paper = words(pack["chain-of-title.pdf"])
    for part in ("Jan 5, 2026 First Bank Alpha LLC BOS-1", "The chain is broken here: Alpha LLC"):
        assert squeezed(part) in paper
    assert squeezed("has owned the debt without interruption") in words(a_built_pack()["chain-of-title.pdf"])


@pytest.mark.parametrize(
    ("locale", "paper", "says"),
    [
        ("en-GB", "protocol-record", "Given on 2 November 2026, its time ended on 17 November 2026"),
        ("en-GB", "reply-form", "18 November 2026, to be answered by 18 December 2026"),
        ("en-GB", "cover-sheet", "12 October 2029"),
        ("de-DE", "mahnbescheid", "Hauptforderung: Saldo am 12. Oktober 2026 1.350,00"),
        ("de-DE", "cover-sheet", "Verjährt ab 12. Oktober 2029"),
        ("de-DE", "statement", "Zahlung P-1"),
        ("de-DE", "chronology", "Brief ausgeführt"),
        ("zh-CN", "cover-sheet", "时效届满日2029年10月12日"),
        ("zh-CN", "statement", "还款P-1"),
    ],
)
def test_papers_speak_the_courts_language(locale: str, paper: str, says: str):
    content = members(build_pack(the_catalog(), a_pack(context=a_context(locale=locale), papers=(paper,)), ENCLOSED))
    assert squeezed(says) in words(content[f"{paper}.pdf"])


def test_what_is_not_on_record_is_said():
    line = replace(referral_facts().chronology[0], at="")
    pack = a_built_pack(approvals=(), chronology=(line,))
    assert "Noapprovalonrecord" in words(pack["cover-sheet.pdf"])
    assert "notimeonrecord" in words(pack["chronology.pdf"])
