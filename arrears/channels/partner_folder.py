"""A folder that a partner shares with us, wherever fsspec reaches: a directory, SFTP, an object store.

A file is written beside its name, read back, and only then given its name; so what has the name is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import asyncssh
from fsspec import core  # pyright: ignore[reportMissingTypeStubs]

from arrears.channels.effect import Absent, Finding, Found, Unprovable
from arrears.channels.sealing import HandOffFailed

_url_to_fs: Callable[..., tuple[Any, str]] = cast(Any, core).url_to_fs
_BLOCK: Final = 1 << 20
_REFUSED: Final = (PermissionError, asyncssh.SFTPPermissionDenied)
# sshfs looks at no host key unless it is told to; () is ~/.ssh/known_hosts. Without keepalive a server that has gone
# silent would be waited for without end.
_SSH: Final[dict[str, Any]] = {
    "known_hosts": (),
    "connect_timeout": 15,
    "login_timeout": 15,
    "keepalive_interval": 15,
    "keepalive_count_max": 3,
}


class PartnerFolder:
    """The open folder; `close` gives the connection back.

    `at_each_block` is called for every MiB that was sent or read; a HandOffFailed that it raises ends the work there,
    and what has been written so far is left to whoever has the file now.
    """

    def __init__(self, fs: Any, root: str, at_each_block: Callable[[], None] = lambda: None) -> None:
        self._fs, self._root, self._at_each_block = fs, root.rstrip("/"), at_each_block

    @classmethod
    def open(cls, url: str, *, password: str = "", at_each_block: Callable[[], None] = lambda: None) -> PartnerFolder:
        """Connect to the folder at `url`. Raises HandOffFailed."""
        options: dict[str, Any] = {"skip_instance_cache": True}
        if urlsplit(url).scheme in ("sftp", "ssh"):
            options |= _SSH | ({"password": password} if password else {})
        with _told("cannot be reached", everywhere=True):
            fs, root = _url_to_fs(url, **options)
            fs.info(root)
        return cls(fs, root, at_each_block)

    def find(self, name: str, sha256_hex: str, size: int) -> Finding:
        """Whether the file with these bytes has its name there. Raises HandOffFailed."""
        with _told("cannot be looked up"):
            return self._find(f"{self._root}/{name}", sha256_hex, size)

    def holds_part(self, name: str, sha256_hex: str, size: int) -> bool:
        """Whether the whole file is there and has not got its name yet. Raises HandOffFailed."""
        with _told("cannot be looked up"):
            return isinstance(self._find(self._part(name), sha256_hex, size), Found)

    def put(self, name: str, source: Path, sha256_hex: str, size: int, *, before_naming: Callable[[], None]) -> None:
        """Write the file at `source`, and give it its name once it reads back right. Raises HandOffFailed."""
        part = self._part(name)
        with _told("could not be written"):
            try:
                sent = self._write(part, source)
            except HandOffFailed:
                raise
            except BaseException:
                self._drop(part)
                raise
        if sent != sha256_hex:
            self._drop(part)
            raise HandOffFailed("the file changed while it was sent")
        with _told("could not be read back"):
            whole = isinstance(self._find(part, sha256_hex, size), Found)
        if not whole:
            self._drop(part)
            raise HandOffFailed("what arrived does not read back as it was sent")
        before_naming()
        self.name(name, sha256_hex, size)

    def name(self, name: str, sha256_hex: str, size: int) -> None:
        """Give the whole file that lies beside its name that name. Raises HandOffFailed."""
        with _told("could not be given its name"):
            self._fs.mv(self._part(name), f"{self._root}/{name}")

    def put_bytes(self, name: str, content: bytes) -> None:
        """As `put`, for what fits into memory; what is there already, whole, is left alone. Raises HandOffFailed."""
        digest, part = sha256(content).hexdigest(), self._part(name)
        if isinstance(self.find(name, digest, len(content)), Found):
            return
        with _told("the manifest could not be written"):
            with self._fs.open(part, "wb") as file:
                file.write(content)
            if not isinstance(self._find(part, digest, len(content)), Found):
                raise HandOffFailed("the manifest does not read back as it was sent")
            self._fs.mv(part, f"{self._root}/{name}")

    def close(self) -> None:
        """Give the connection back."""
        client = getattr(self._fs, "client", None)
        if client is not None:
            self._fs.loop.call_soon_threadsafe(client.abort)

    def _write(self, part: str, source: Path) -> str:
        seen = sha256()
        with source.open("rb") as reader, self._fs.open(part, "wb") as writer:
            while block := reader.read(_BLOCK):
                writer.write(block)
                seen.update(block)
                self._at_each_block()
        return seen.hexdigest()

    def _find(self, path: str, sha256_hex: str, size: int) -> Finding:
        try:
            there = self._fs.info(path)["size"]
        except FileNotFoundError:
            return Absent()
        if there != size:
            return Unprovable("a file of another size has the name")
        try:
            with self._fs.open(path, "rb") as file:
                same = self._digest(file) == sha256_hex
        except _REFUSED:
            return Found("size")  # a drop box that shows us sizes alone
        return Found(f"sha256:{sha256_hex}") if same else Unprovable("a file with other bytes has the name")

    def _digest(self, file: Any) -> str:
        seen = sha256()
        while block := file.read(_BLOCK):
            seen.update(block)
            self._at_each_block()
        return seen.hexdigest()

    def _drop(self, part: str) -> None:
        """Leave nothing half. Where that fails too, whatever it says, the next try writes over it."""
        with suppress(Exception):
            self._fs.rm_file(part)

    def _part(self, name: str) -> str:
        return f"{self._root}/{name}.part"


@contextmanager
def _told(what: str, *, everywhere: bool = False) -> Generator[None]:
    """The errors of all the stores there are have no base in common but Exception; each becomes a HandOffFailed."""
    try:
        yield
    except HandOffFailed:
        raise
    except Exception as error:
        lost = isinstance(error, ConnectionError | asyncssh.ConnectionLost | asyncssh.DisconnectError | TimeoutError)
        said = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error).partition("\n")[0]
        why = f"{what}: {str(said)[:200] or type(error).__name__}"
        raise HandOffFailed(why, everywhere=everywhere or lost) from error
