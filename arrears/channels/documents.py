"""The lender's documents for court, each kept once under its digest."""

from __future__ import annotations

from pathlib import Path

from arrears.channels.files import digest, write_atomically


class DocumentLost(Exception):
    """A document that is not in its folder any more, or is not what it was; the message says which."""


class DocumentStore:
    """Files `<first two of the digest>/<digest>.pdf` under `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, content: bytes) -> str:
        """Writes the document unless it is there, and gives its digest. OSError from the disk."""
        sha256 = digest(content)
        path = self._path(sha256)
        if not path.exists() or digest(path.read_bytes()) != sha256:
            write_atomically(path, content)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The document with that digest. DocumentLost when it is gone or changed; OSError from the disk."""
        path = self._path(sha256)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise DocumentLost(f"{path} is gone") from None
        if digest(content) != sha256:
            raise DocumentLost(f"{path} is not the document that was supplied: its digest differs")
        return content

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / f"{sha256}.pdf"
