"""Texts that leave as JSON lines: each once, whole, and provable afterwards."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from arrears.channels.effect import Absent, Done, Found, LookUpFailed, Outcome, TryAgain, Unprovable
from arrears.channels.sms import OutboxSms
from tests.support.forks import forks
from tests.support.texts import NOON, NUMBER, REFERENCE, a_text, body

DAY = "2026-12-23.jsonl"


@pytest.fixture
def sms(tmp_path: Path) -> OutboxSms:
    return OutboxSms(tmp_path)


def lines(outbox: Path, day: str = DAY) -> list[dict[str, object]]:
    return [json.loads(line) for line in (outbox / "sms" / day).read_text(encoding="ascii").splitlines()]


def test_a_text_is_one_line_in_the_file_of_its_day(sms: OutboxSms, tmp_path: Path):
    assert sms.perform(a_text()) == Done(REFERENCE, {"file": f"sms/{DAY}"})
    assert lines(tmp_path) == [
        {
            "key": f"case-1/sms-1/{REFERENCE}",
            "account_id": "acct-1",
            "rung": "sms-1",
            "attempt": 1,
            "reference": REFERENCE,
            "to": NUMBER,
            "body": body(),
            "at": "2026-12-23T12:00:00Z",
        }
    ]


def test_the_day_is_utcs(sms: OutboxSms, tmp_path: Path):
    late_in_honolulu = datetime(2026, 12, 23, 20, 0, tzinfo=timezone(timedelta(hours=-10)))
    sms.perform(a_text(at=late_in_honolulu))
    assert lines(tmp_path, "2026-12-24.jsonl")[0]["at"] == "2026-12-24T06:00:00Z"
    assert isinstance(sms.look_up(a_text(at=late_in_honolulu.astimezone(UTC))), Found)


def test_a_body_of_several_lines_stays_one_line(sms: OutboxSms, tmp_path: Path):
    intent = a_text()
    said = f"¡Señora Quill!\nLine\u2028separator\x85and \U0001f600 {intent.reference}"
    sms.perform(replace(intent, payload={"to": NUMBER, "body": said}))
    assert [line["body"] for line in lines(tmp_path)] == [said]


def test_a_text_that_was_written_is_found_and_another_is_absent(sms: OutboxSms):
    sms.perform(a_text())
    assert sms.look_up(a_text()) == Found(REFERENCE, {"file": f"sms/{DAY}"})
    assert sms.look_up(a_text("ZZZZZZZZ")) == Absent()


def test_a_day_without_a_file_has_no_texts(sms: OutboxSms):
    assert sms.look_up(a_text()) == Absent()


def test_the_reference_in_somebody_elses_line_is_no_proof(sms: OutboxSms):
    quoting = replace(a_text("ZZZZZZZZ"), payload={"to": NUMBER, "body": f"About your Ref {REFERENCE}"})
    sms.perform(quoting)
    sms.perform(a_text(REFERENCE + "A"))
    sms.perform(replace(a_text(), key="another key"))
    assert sms.look_up(a_text()) == Absent()


@pytest.mark.parametrize(
    "kept", [1, 40, -2, -1], ids=["one byte", "the beginning", "almost all", "all but the newline"]
)
def test_a_line_torn_by_a_crash_does_not_count_and_gives_way(sms: OutboxSms, tmp_path: Path, kept: int):
    file = tmp_path / "sms" / DAY
    for reference in ("AAAAAAAA", REFERENCE):
        sms.perform(a_text(reference))
    first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + second[:kept])
    assert sms.look_up(a_text()) == Absent()
    assert isinstance(sms.perform(a_text("BBBBBBBB")), Done)
    assert isinstance(sms.perform(a_text()), Done)
    assert [line["reference"] for line in lines(tmp_path)] == ["AAAAAAAA", "BBBBBBBB", REFERENCE]


@pytest.mark.parametrize("length", [10, 4095, 4096, 4097, 20_000])
def test_a_torn_line_of_any_length_gives_way(sms: OutboxSms, tmp_path: Path, length: int):
    file = tmp_path / "sms" / DAY
    sms.perform(a_text("AAAAAAAA"))
    whole = file.read_bytes()
    for before in (b"", whole):
        file.write_bytes(before + b"x" * length)
        sms.perform(a_text())
        assert file.read_bytes().startswith(before)
        assert [line["reference"] for line in lines(tmp_path)][-1] == REFERENCE
        assert b"x" * 10 not in file.read_bytes()


def test_a_damaged_line_with_the_reference_leaves_it_to_a_person(sms: OutboxSms, tmp_path: Path):
    sms.perform(a_text("AAAAAAAA"))
    with (tmp_path / "sms" / DAY).open("a") as file:
        file.write(f'{{"key": "case-1/sms-1/{REFERENCE}", "reference": "{REFERENCE}", "to\n')
    finding = sms.look_up(a_text())
    assert isinstance(finding, Unprovable)
    assert "line 2" in finding.reason


def test_many_processes_write_whole_lines_at_once(tmp_path: Path):
    together = forks().Barrier(4)
    writers = [forks().Process(target=_write_fifty, args=(tmp_path, writer, together)) for writer in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    expected = {f"W{writer}T{text:05d}" for writer in range(4) for text in range(50)}
    written = [line["reference"] for line in lines(tmp_path)]
    assert len(written) == 200
    assert set(written) == expected


def _write_fifty(outbox: Path, writer: int, together: Barrier) -> None:
    sms = OutboxSms(outbox)
    together.wait()
    for text in range(50):
        assert isinstance(sms.perform(a_text(f"W{writer}T{text:05d}")), Done)


def test_a_line_that_somebody_is_still_writing_is_not_taken_for_torn(sms: OutboxSms, tmp_path: Path):
    sms.perform(a_text("AAAAAAAA"))
    line = (tmp_path / "sms" / DAY).read_bytes()
    with (tmp_path / "sms" / DAY).open("ab", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(line[:50])
        writer = threading.Thread(target=sms.perform, args=(a_text(),))
        reader = threading.Thread(target=sms.look_up, args=(a_text(),))
        for waiting in (writer, reader):
            waiting.start()
            waiting.join(timeout=0.2)
            assert waiting.is_alive()
        other.write(line[50:])
    writer.join()
    reader.join()
    assert [line["reference"] for line in lines(tmp_path)] == ["AAAAAAAA", "AAAAAAAA", REFERENCE]


def test_a_full_disk_leaves_no_part_of_a_text(tmp_path: Path):
    sms = OutboxSms(tmp_path)
    sms.perform(a_text("AAAAAAAA"))
    size = (tmp_path / "sms" / DAY).stat().st_size
    with forks().Pool(1) as pool:
        for room in (0, 1, 100):
            outcome = pool.apply(_perform_within, (size + room, tmp_path))
            assert isinstance(outcome, TryAgain)
            assert "Robin" not in outcome.reason
            assert (tmp_path / "sms" / DAY).stat().st_size == size
    assert sms.look_up(a_text()) == Absent()
    assert isinstance(sms.perform(a_text()), Done)
    assert len(lines(tmp_path)) == 2


def _perform_within(limit: int, outbox: Path) -> Outcome:
    """Perform in a process that may write files up to `limit` bytes: a short write, then an error."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    return OutboxSms(outbox).perform(a_text())


def test_an_outbox_that_cannot_be_written_is_tried_again(tmp_path: Path):
    (tmp_path / "outbox").write_text("a file where the folder should be")
    sms = OutboxSms(tmp_path / "outbox")
    assert sms.perform(a_text()) == TryAgain("the outbox cannot be written: Not a directory")
    assert isinstance(sms.look_up(a_text()), LookUpFailed)


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="bytes read are counted where Linux counts them")
def test_a_text_in_a_long_file_reads_no_more_of_it_than_in_a_short_one(tmp_path: Path, sms: OutboxSms):
    sms.perform(a_text())
    short = _bytes_read(sms, "AAAAAAAA")
    with (tmp_path / "sms" / DAY).open("ab") as file:
        file.write((tmp_path / "sms" / DAY).read_bytes() * 20_000)
    assert (tmp_path / "sms" / DAY).stat().st_size > 4_000_000
    assert _bytes_read(sms, "BBBBBBBB") - short <= 8192


def _bytes_read(sms: OutboxSms, reference: str) -> int:
    def so_far() -> int:
        return int(Path("/proc/self/io").read_text().splitlines()[0].removeprefix("rchar: "))

    before = so_far()
    sms.perform(a_text(reference))
    return so_far() - before


def test_texts_are_for_their_owner_only(sms: OutboxSms, tmp_path: Path):
    sms.perform(a_text(at=NOON))
    assert os.stat(tmp_path / "sms" / DAY).st_mode & 0o077 == 0
