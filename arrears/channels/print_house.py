"""Folders for the print house: letters, or one file of them, and last the manifest that says what must be there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from arrears.channels import files
from arrears.channels.effect import Found
from arrears.clock import iso
from arrears.rendering.letters import page_count
from arrears.rendering.merge import merge

FORMAT: Final = "arrears-print/1"
MANIFEST: Final = "manifest.json"
_ALL: Final = "letters.pdf"


@dataclass(frozen=True, slots=True)
class Sheet:
    """One letter to print. `content` is its PDF, `country` (ISO 3166) where it goes."""

    reference: str
    account_id: str
    template: str
    locale: str
    country: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Job:
    """One batch. `path` is its folder in the outbox; `at` when the batch was made."""

    number: int
    path: str
    at: datetime
    one_file: bool
    duplex: bool


@dataclass(frozen=True, slots=True)
class Printed:
    """What was written; `sha256` is the manifest's."""

    letters: int
    pages: int
    sheets: int
    sha256: str


@dataclass(frozen=True, slots=True)
class _Line:
    """A letter as the manifest tells of it; `first_page` counts in `file`."""

    reference: str
    account_id: str
    template: str
    locale: str
    country: str
    pages: int
    sheets: int
    sha256: str
    file: str
    first_page: int


def write_batch(outbox: Path, job: Job, letters: Iterable[Sheet]) -> Printed:
    """Write the batch's files, then its manifest; what is there already, whole, is left as it is.

    The same letters give the same bytes. OSError when a file cannot be written; a later call goes on.
    """
    lines, written = _one_file(outbox, job, list(letters)) if job.one_file else _many_files(outbox, job, letters)
    content = _manifest(job, lines, written)
    sealed = _put(outbox, f"{job.path}/{MANIFEST}", content)
    return Printed(len(lines), _sum(lines, "pages"), _sum(lines, "sheets"), sealed)


def _many_files(outbox: Path, job: Job, letters: Iterable[Sheet]) -> tuple[list[_Line], list[tuple[str, str, int]]]:
    lines: list[_Line] = []
    written: list[tuple[str, str, int]] = []
    for letter in letters:
        name = f"{files.file_name(letter.reference)}.pdf"
        written.append((name, _put(outbox, f"{job.path}/{name}", letter.content), len(letter.content)))
        lines.append(_line(job, letter, name, 1))
    return lines, written


def _one_file(outbox: Path, job: Job, letters: Sequence[Sheet]) -> tuple[list[_Line], list[tuple[str, str, int]]]:
    merged = merge((letter.content for letter in letters), duplex=job.duplex)
    digest = _put(outbox, f"{job.path}/{_ALL}", merged.content)
    lines = [_line(job, letter, _ALL, start) for letter, start in zip(letters, merged.starts, strict=True)]
    return lines, [(_ALL, digest, len(merged.content))]


def _line(job: Job, letter: Sheet, file: str, first_page: int) -> _Line:
    pages = page_count(letter.content)
    return _Line(
        letter.reference,
        letter.account_id,
        letter.template,
        letter.locale,
        letter.country,
        pages,
        -(-pages // 2) if job.duplex else pages,
        files.digest(letter.content),
        file,
        first_page,
    )


def _put(outbox: Path, relative: str, content: bytes) -> str:
    """The digest of `content`, which stands at `relative` afterwards."""
    digest = files.digest(content)
    if not isinstance(files.find_file(outbox, relative, digest), Found):
        files.write_atomically(files.inside(outbox, relative), content)
    return digest


def _manifest(job: Job, lines: Sequence[_Line], written: Sequence[tuple[str, str, int]]) -> bytes:
    document: dict[str, Any] = {
        "format": FORMAT,
        "batch": job.number,
        "made_at": iso(job.at),
        "one_file": job.one_file,
        "duplex": job.duplex,
        "pdf_a": not job.one_file,
        "totals": {
            "letters": len(lines),
            "pages": _sum(lines, "pages"),
            "sheets": _sum(lines, "sheets"),
            "bytes": sum(size for _, _, size in written),
            "by_country": dict(sorted(Counter(line.country for line in lines).items())),
            "by_template": dict(sorted(Counter(f"{line.template}/{line.locale}" for line in lines).items())),
            # Over the letters' own digests, in the order of their references: it is these and no others.
            "letters_sha256": _digest_of_all(lines),
        },
        "files": [{"name": name, "sha256": digest, "bytes": size} for name, digest, size in written],
        "letters": [asdict(line) for line in lines],
    }
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _digest_of_all(lines: Sequence[_Line]) -> str:
    return sha256("".join(sorted(f"{line.reference}:{line.sha256}\n" for line in lines)).encode()).hexdigest()


def _sum(lines: Sequence[_Line], name: str) -> int:
    return sum(getattr(line, name) for line in lines)
