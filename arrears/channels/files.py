"""Files that leave: written aside, read back, renamed. A file is whole and right, or it is not there."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final

from arrears.channels.effect import Absent, Finding, Found, LookUpFailed, Unprovable

_BLOCK: Final = 1 << 20
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return sha256(content).hexdigest()


def file_name(text: str) -> str:
    """`text`, when it is safe as one name in a path: letters, digits, dot, dash, underscore. Else ValueError."""
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} cannot name a file or folder; expected letters, digits, '.', '-' and '_'")
    return text


def inside(outbox: Path, relative: str) -> Path:
    """The path of `relative` in the outbox; ValueError when it leads out of it."""
    if Path(relative).is_absolute() or ".." in Path(relative).parts:
        raise ValueError(f"{relative!r} leads out of the outbox")
    return outbox / relative


def write_atomically(path: Path, content: bytes) -> None:
    """Writes `<name>.part`, syncs, reads its digest back, renames it to `path`, and syncs the folder.

    OSError, also when what is read back is not what was written; then neither file is left behind
    that was not there before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if digest(part.read_bytes()) != digest(content):
            raise OSError(f"{part.name} does not read back as it was written")
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@dataclass(frozen=True, slots=True)
class Written:
    """A file as it stands: SHA-256 in hex, and bytes."""

    sha256: str
    size: int


def write_lines(path: Path, lines: Iterable[bytes]) -> Written:
    """`write_atomically` for what does not fit into memory; a file that has these bytes already is left alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    seen, size = sha256(), 0
    try:
        with part.open("wb", buffering=_BLOCK) as file:
            for line in lines:
                size += file.write(line)
                seen.update(line)
            file.flush()
            os.fsync(file.fileno())
        if digest_of(part) != seen.hexdigest():
            raise OSError(f"{part.name} does not read back as it was written")
        if not (path.exists() and digest_of(path) == seen.hexdigest()):
            part.replace(path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return Written(seen.hexdigest(), size)


def digest_of(path: Path) -> str:
    """SHA-256 in hex of a file of any size. OSError."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def find_file(outbox: Path, relative: str, sha256_hex: str) -> Finding:
    """Found with the digest as reference, Absent without a file, Unprovable when other bytes stand there."""
    try:
        content = inside(outbox, relative).read_bytes()
    except FileNotFoundError:
        return Absent()
    except OSError as error:
        return LookUpFailed(f"{relative} could not be read: {error.strerror}")
    if digest(content) != sha256_hex:
        return Unprovable(f"{relative} exists, and its digest is not the one committed")
    return Found(f"sha256:{sha256_hex}")


class RecentFiles:
    """The last few files made, by digest: what `prepare` rendered need not be rendered again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, content: bytes) -> str:
        """Remembers `content` for a while and gives its digest."""
        key = digest(content)
        with self._lock:
            self._files[key] = content
            self._files.move_to_end(key)
            while len(self._files) > self._most:
                self._files.popitem(last=False)
        return key

    def take(self, key: str) -> bytes | None:
        """The content of that digest, which is then forgotten; None when it is not at hand."""
        with self._lock:
            return self._files.pop(key, None)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
