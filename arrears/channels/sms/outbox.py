"""Texts that leave as JSON lines in a file."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, date
from itertools import groupby
from pathlib import Path
from typing import Any

from arrears.channels.effect import (
    Absent,
    Done,
    Finding,
    Found,
    InDoubt,
    Intent,
    LookUpFailed,
    Outcome,
    TryAgain,
    Unprovable,
)


class OutboxSms:
    """One line a text in `outbox/sms/<UTC date of intent.at>.jsonl`, safe for several processes at once.

    A text counts once its line ends in a newline and is synced. What a crash left of a line does not
    count, and the next writer removes it.
    """

    def __init__(self, outbox: Path) -> None:
        self._folder = outbox / "sms"

    def perform(self, intent: Intent) -> Outcome:
        """Append one line and sync it. Takes as long in a long file as in a short one."""
        return self.perform_all([intent])[0]

    def perform_all(self, intents: Sequence[Intent]) -> list[Outcome]:
        """Append the lines of each day together and sync them once."""
        outcomes: dict[str, Outcome] = {}
        for _, those in groupby(sorted(intents, key=_day), key=_day):
            of_day = list(those)
            failed = self._append_to(self._file(of_day[0]), b"".join(map(_line, of_day)))
            detail = self._detail(of_day[0])
            outcomes.update((i.key, failed or Done(i.reference, detail)) for i in of_day)
        return [outcomes[intent.key] for intent in intents]

    def _append_to(self, path: Path, lines: bytes) -> Outcome | None:
        """Why they are not there, or None."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with _locked(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, fcntl.LOCK_EX) as file:
                end = _drop_torn_line(file)
                if end == 0:
                    # Or a power cut could take the new file away together with its synced lines.
                    _sync_folder(self._folder)
                    _sync_folder(self._folder.parent)
                return _append(file, end, lines)
        except OSError as error:
            return TryAgain(f"the outbox cannot be written: {_why(error)}")

    def look_up(self, intent: Intent) -> Finding:
        """Search the file of the intent's day for its reference and key."""
        file = self._file(intent)
        try:
            with _locked(file, os.O_RDONLY, fcntl.LOCK_SH) as handle, open(handle, "rb", closefd=False) as lines:
                for number, line in enumerate(lines, start=1):
                    if intent.reference.encode() not in line or not line.endswith(b"\n"):
                        continue
                    try:
                        text = json.loads(line)
                    except ValueError:
                        return Unprovable(f"line {number} of sms/{file.name} bears the reference but is damaged")
                    if text["key"] == intent.key and text["reference"] == intent.reference:
                        return Found(intent.reference, self._detail(intent))
        except FileNotFoundError:
            return Absent()
        except OSError as error:
            return LookUpFailed(f"the outbox cannot be read: {_why(error)}")
        return Absent()

    def _file(self, intent: Intent) -> Path:
        return self._folder / f"{_day(intent)}.jsonl"

    def _detail(self, intent: Intent) -> dict[str, Any]:
        return {"file": f"sms/{self._file(intent).name}"}


def _day(intent: Intent) -> date:
    return intent.at.astimezone(UTC).date()


def _line(intent: Intent) -> bytes:
    text = {
        "key": intent.key,
        "account_id": intent.account_id,
        "rung": intent.rung,
        "attempt": intent.attempt,
        "reference": intent.reference,
        "to": intent.payload["to"],
        "body": intent.payload["body"],
        "at": intent.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    # ASCII, because some readers take U+2028 or U+0085 in a body for the end of the line.
    return json.dumps(text, ensure_ascii=True).encode() + b"\n"


def _append(file: int, end: int, lines: bytes) -> Outcome | None:
    try:
        if os.write(file, lines) < len(lines):
            return _take_back(file, end, "the disk took only part of what was written")
        os.fsync(file)
    except OSError as error:
        return _take_back(file, end, _why(error))
    return None


def _take_back(file: int, end: int, why: str) -> Outcome:
    try:
        os.ftruncate(file, end)
        os.fsync(file)
    except OSError:
        return InDoubt(f"the outbox failed while a line was written, and again while it was taken back: {why}")
    return TryAgain(f"the outbox cannot be written: {why}")


@contextmanager
def _locked(path: Path, flags: int, lock: int) -> Generator[int]:
    file = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, lock)
        yield file
    finally:
        os.close(file)


def _drop_torn_line(file: int, block: int = 4096) -> int:
    """The offset after the last newline. Under the lock, what follows it was left by a writer that died."""
    size = os.fstat(file).st_size
    start = end = size
    while start > 0:
        start = max(start - block, 0)
        newline = os.pread(file, block, start).rfind(b"\n")
        end = start + newline + 1
        if newline >= 0:
            break
    if end < size:
        os.ftruncate(file, end)
    return end


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__
