"""A file is whole and right, or it is not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from arrears.channels import files
from arrears.channels.effect import Absent, Found, LookUpFailed, Unprovable


def everything_under(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_written_and_nothing_beside_it(tmp_path: Path):
    files.write_atomically(tmp_path / "a" / "b.csv", b"one")
    assert (tmp_path / "a" / "b.csv").read_bytes() == b"one"
    assert everything_under(tmp_path) == ["a/b.csv"]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str):
    path = tmp_path / "b.csv"
    files.write_atomically(path, b"old")

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*((os, "fsync", no_space) if broken == "fsync" else (Path, "replace", no_space)))
    with pytest.raises(OSError, match="No space left"):
        files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert everything_under(tmp_path) == ["b.csv"]


def test_bytes_that_read_back_wrong_never_get_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "read_bytes", lambda self: b"rotten")
    with pytest.raises(OSError, match="does not read back"):
        files.write_atomically(tmp_path / "b.csv", b"good")
    assert everything_under(tmp_path) == []


def test_a_part_left_by_a_killed_process_is_in_nobodys_way(tmp_path: Path):
    (tmp_path / "b.csv.part").write_bytes(b"half")
    files.write_atomically(tmp_path / "b.csv", b"whole")
    assert everything_under(tmp_path) == ["b.csv"]


def test_a_file_is_found_by_its_digest_and_by_nothing_less(tmp_path: Path):
    assert files.find_file(tmp_path, "x.pdf", files.digest(b"x")) == Absent()
    (tmp_path / "x.pdf").write_bytes(b"x")
    assert files.find_file(tmp_path, "x.pdf", files.digest(b"x")) == Found(f"sha256:{files.digest(b'x')}")
    assert isinstance(files.find_file(tmp_path, "x.pdf", files.digest(b"y")), Unprovable)
    (tmp_path / "folder.pdf").mkdir()
    assert isinstance(files.find_file(tmp_path, "folder.pdf", files.digest(b"x")), LookUpFailed)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x"])
def test_no_path_leads_out_of_the_outbox(tmp_path: Path, path: str):
    with pytest.raises(ValueError, match="out of the outbox"):
        files.inside(tmp_path, path)


@pytest.mark.parametrize("name", ["", "..", ".x", "a/b", "a b", "a\n", "é"])
def test_only_plain_names_name_files(name: str):
    with pytest.raises(ValueError, match="cannot name a file"):
        files.file_name(name)


def test_the_oldest_of_the_recent_files_is_forgotten_and_each_is_taken_once():
    recent = files.RecentFiles(most=2)
    first, second, third = (recent.keep(content) for content in (b"1", b"2", b"3"))
    assert recent.take(first) is None
    assert recent.take(second) == b"2"
    assert recent.take(second) is None
    assert recent.take(third) == b"3"
