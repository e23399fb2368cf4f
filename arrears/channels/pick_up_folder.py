"""The folder in which a partner leaves its files, wherever fsspec reaches: what lies there, and putting it aside."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from arrears.channels.files import digest
from arrears.channels.partner_folder import HandOffFailed, PartnerFolder


class PickUpFailed(Exception):
    """The folder or a file in it cannot be reached; the message says why, and nothing of what lies there is lost."""


@dataclass(frozen=True, slots=True)
class Lying:
    """A file in the folder. `modified`: when it was last written to, None where the store does not say."""

    name: str
    modified: datetime | None


class PickUpFolder(PartnerFolder):
    """An open folder of files that are ours to take."""

    @classmethod
    def reach(cls, url: str, *, password: str = "") -> PickUpFolder:
        """Connect to the folder at `url`. Raises PickUpFailed."""
        try:
            opened = PartnerFolder.open(url, password=password)
        except HandOffFailed as error:
            raise PickUpFailed(str(error)) from error
        return cls(opened._fs, opened._root)

    def files(self) -> list[Lying]:
        """What lies in the folder itself, by name. Raises PickUpFailed."""
        with told("cannot be listed"):
            self._fs.invalidate_cache()
            found = [PurePosixPath(each["name"]).name for each in self._fs.ls(self._root, detail=True) if _file(each)]
            return [Lying(name, self._modified(name)) for name in sorted(found)]

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises PickUpFailed."""
        with told(f"{name!r} cannot be read"), self._fs.open(f"{self._root}/{name}", "rb") as file:
            return file.read()

    def holds(self, name: str, folder: str) -> bool:
        """Whether a file was put aside into `folder` before. Raises PickUpFailed."""
        with told(f"{name!r} cannot be looked up"):
            return bool(self._fs.exists(f"{self._root}/{folder}/{name}"))

    def put_aside(self, name: str, folder: str, content: bytes) -> str:
        """Move a file into `folder`, under another name where one of other bytes lies; what it is called there.

        Raises PickUpFailed; then it lies where it lay, or is in `folder` already.
        """
        with told(f"{name!r} cannot be moved to {folder}"):
            self._fs.makedirs(f"{self._root}/{folder}", exist_ok=True)
            target = name
            if self._fs.exists(f"{self._root}/{folder}/{name}"):
                target = f"{digest(content)[:12]}-{name}"
            if self._fs.exists(f"{self._root}/{folder}/{target}"):
                self._fs.rm_file(f"{self._root}/{name}")
            else:
                self._fs.mv(f"{self._root}/{name}", f"{self._root}/{folder}/{target}")
        return target

    def _modified(self, name: str) -> datetime | None:
        try:
            return self._fs.modified(f"{self._root}/{name}")
        except NotImplementedError:
            return None


def _file(each: Any) -> bool:
    return each["type"] == "file"


@contextmanager
def told(what: str) -> Generator[None]:
    """The errors of all the stores there are have no base in common but Exception; each becomes a PickUpFailed."""
    try:
        yield
    except Exception as error:
        said = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error).partition("\n")[0]
        raise PickUpFailed(f"{what}: {str(said)[:200] or type(error).__name__}") from error
