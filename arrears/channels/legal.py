"""Legal referrals: one zip in the outbox with all that a lawyer needs, and the digest of each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

from arrears.channels import files
from arrears.channels.effect import (
    Absent,
    Done,
    Finding,
    Found,
    InDoubt,
    Intent,
    LookUpFailed,
    Outcome,
    Refused,
    TryAgain,
    Unprovable,
)
from arrears.rendering.catalog import Catalog
from arrears.rendering.context import ChronologyLine, ContactContext, StatementLine
from arrears.rendering.errors import RenderError, TemplateError
from arrears.rendering.pack import PackLetter, ReferralPack, build_pack
from arrears.rendering.stored import from_json, to_json


class ReferralPackError(ValueError):
    """A pack that cannot be made from what was given; the message says what is missing or wrong."""


@dataclass(frozen=True, slots=True)
class LegalPayload:
    """What is committed with a referral's intent; `path` is relative to the outbox.

    `letters` are the SHA-256 digests of the letters enclosed, in the pack's order.
    """

    path: str
    sha256: str
    size: int
    letters: tuple[str, ...]
    pack: ReferralPack


class LegalChannel:
    """Writes `legal/<date>/<reference>.zip` under the outbox."""

    def __init__(self, outbox: Path, catalog: Catalog) -> None:
        self._outbox = outbox
        self._catalog = catalog
        self._recent = files.RecentFiles(most=8)

    def prepare(
        self,
        context: ContactContext,
        *,
        statement: Sequence[StatementLine],
        chronology: Sequence[ChronologyLine],
        letters: Sequence[tuple[str, str]],
        approved_by: str,
        approved_at: str,
        limitation_ends: date | None,
    ) -> dict[str, Any]:
        """The payload to commit with the intent; reads the letters, writes nothing.

        `letters` are names and paths relative to the outbox; the second of a name becomes `name-2`.
        For the rest see `ReferralPack`. ReferralPackError when a letter is missing; TemplateError or
        RenderError when a page cannot be made; OSError from the disk.
        """
        pack = ReferralPack(
            context=context,
            statement=tuple(statement),
            chronology=tuple(chronology),
            letters=_named(letters),
            approved_by=approved_by,
            approved_at=approved_at,
            limitation_ends=limitation_ends,
        )
        enclosed = self._read_letters(pack)
        content = build_pack(self._catalog, pack, enclosed)
        payload = LegalPayload(
            path=f"legal/{pack.context.today.isoformat()}/{files.file_name(pack.context.reference)}.zip",
            sha256=self._recent.keep(content),
            size=len(content),
            letters=tuple(files.digest(letter) for letter in enclosed.values()),
            pack=pack,
        )
        return to_json(payload)

    def perform(self, intent: Intent) -> Outcome:
        """Builds the pack again from the payload and the letters it names, and writes it, once."""
        payload = from_json(LegalPayload, intent.payload)
        match files.find_file(self._outbox, payload.path, payload.sha256):
            case Found(reference):
                return Done(reference, _detail(payload))
            case Absent():
                return self._write(payload)
            case Unprovable(reason) | LookUpFailed(reason):
                return InDoubt(reason)

    def look_up(self, intent: Intent) -> Finding:
        """By the digest of the file at the path."""
        payload = from_json(LegalPayload, intent.payload)
        finding = files.find_file(self._outbox, payload.path, payload.sha256)
        return Found(finding.reference, _detail(payload)) if isinstance(finding, Found) else finding

    def _write(self, payload: LegalPayload) -> Outcome:
        try:
            content = self._recent.take(payload.sha256) or self._build(payload)
            if files.digest(content) != payload.sha256:
                return Refused("changed", f"{payload.path}: the templates no longer give the pack that was committed")
            files.write_atomically(files.inside(self._outbox, payload.path), content)
        except RenderError as error:
            return Refused(error.code, str(error))
        except TemplateError as error:
            return Refused("template", str(error))
        except ReferralPackError as error:
            return Refused("letters", str(error))
        except OSError as error:
            return TryAgain(f"{payload.path} could not be written: {error.strerror or error}")
        return Done(f"sha256:{payload.sha256}", _detail(payload))

    def _build(self, payload: LegalPayload) -> bytes:
        letters = self._read_letters(payload.pack)
        for (name, content), committed in zip(letters.items(), payload.letters, strict=True):
            if files.digest(content) != committed:
                raise ReferralPackError(f"letter {name} is not the one that was committed")
        return build_pack(self._catalog, payload.pack, letters)

    def _read_letters(self, pack: ReferralPack) -> dict[str, bytes]:
        letters: dict[str, bytes] = {}
        for letter in pack.letters:
            try:
                letters[letter.name] = files.inside(self._outbox, letter.path).read_bytes()
            except FileNotFoundError:
                raise ReferralPackError(f"letter {letter.path} is not in the outbox") from None
        return letters


def _named(letters: Sequence[tuple[str, str]]) -> tuple[PackLetter, ...]:
    """Each letter under a file name of its own."""
    named: dict[str, str] = {}
    for name, path in letters:
        stem = files.file_name(name.removesuffix(".pdf"))
        numbers = (f"{stem}-{number}.pdf" for number in count(2))
        free = f"{stem}.pdf" if f"{stem}.pdf" not in named else next(other for other in numbers if other not in named)
        named[free] = path
    return tuple(PackLetter(name, path) for name, path in named.items())


def _detail(payload: LegalPayload) -> Mapping[str, Any]:
    return {"path": payload.path, "sha256": payload.sha256, "size": payload.size}
