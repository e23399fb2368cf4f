"""Legal referrals: one zip in the outbox with all that a lawyer needs, and a manifest with its digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from arrears.channels import files
from arrears.channels.documents import DocumentLost, DocumentStore
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
from arrears.rendering.errors import RenderError, TemplateError
from arrears.rendering.pack import Enclosure, ReferralPack, build_pack, manifest_bytes
from arrears.rendering.stored import from_json, to_json


class ReferralPackError(ValueError):
    """A pack that cannot be made from what is there; the message says what is missing or wrong."""


@dataclass(frozen=True, slots=True)
class LegalPayload:
    """What is committed with a referral's intent; `path` is relative to the outbox."""

    path: str
    sha256: str
    size: int
    pack: ReferralPack


class LegalChannel:
    """Writes `legal/<firm>/<date>/<reference>.zip` under the outbox, without a firm `legal/<date>/…`.

    Beside it, and after it, the manifest `<reference>.manifest.json`: what has none is not whole.
    """

    def __init__(self, outbox: Path, catalog: Catalog, documents: DocumentStore) -> None:
        self._outbox = outbox
        self._catalog = catalog
        self._documents = documents
        self._recent = files.RecentFiles(most=8)

    def prepare(self, pack: ReferralPack) -> dict[str, Any]:
        """The payload to commit with the intent; reads what is enclosed, writes nothing.

        ReferralPackError when something that is enclosed is missing or changed; TemplateError or RenderError when
        a page cannot be made; OSError from the disk.
        """
        content = build_pack(self._catalog, pack, self._read(pack))
        folder = Path("legal", *filter(None, (pack.facts.firm,)), pack.context.today.isoformat())
        payload = LegalPayload(
            path=f"{folder}/{files.file_name(pack.context.reference)}.zip",
            sha256=self._recent.keep(content),
            size=len(content),
            pack=pack,
        )
        return to_json(payload)

    def perform(self, intent: Intent) -> Outcome:
        """Builds the pack again from the payload and what it encloses, and writes it and its manifest, each once."""
        payload = from_json(LegalPayload, intent.payload)
        match self._find(payload):
            case Found(reference):
                return Done(reference, _detail(payload))
            case Absent():
                return self._write(payload)
            case Unprovable(reason) | LookUpFailed(reason):
                return InDoubt(reason)

    def look_up(self, intent: Intent) -> Finding:
        """By the digest of the file at the path; a zip without its manifest has not left yet, whatever is in it."""
        payload = from_json(LegalPayload, intent.payload)
        finding = self._find(payload)
        return Found(finding.reference, _detail(payload)) if isinstance(finding, Found) else finding

    def _find(self, payload: LegalPayload) -> Finding:
        finding = files.find_file(self._outbox, payload.path, payload.sha256)
        whole = files.inside(self._outbox, _manifest(payload)).exists()
        return finding if whole or isinstance(finding, LookUpFailed) else Absent()

    def _write(self, payload: LegalPayload) -> Outcome:
        try:
            content = self._recent.take(payload.sha256) or build_pack(
                self._catalog, payload.pack, self._read(payload.pack)
            )
            if files.digest(content) != payload.sha256:
                return Refused("changed", f"{payload.path}: the templates no longer give the pack that was committed")
            files.write_atomically(files.inside(self._outbox, payload.path), content)
            manifest = manifest_bytes(payload.pack, file=Path(payload.path).name, content=content)
            files.write_atomically(files.inside(self._outbox, _manifest(payload)), manifest)
        except RenderError as error:
            return Refused(error.code, str(error))
        except TemplateError as error:
            return Refused("template", str(error))
        except ReferralPackError as error:
            # Put back: judged anew it waits, and whoever can make it good is told.
            return TryAgain(str(error))
        except OSError as error:
            return TryAgain(f"{payload.path} could not be written: {error.strerror or error}")
        return Done(f"sha256:{payload.sha256}", _detail(payload))

    def _read(self, pack: ReferralPack) -> dict[str, bytes]:
        return {enclosure.name: self._read_one(enclosure) for enclosure in pack.enclosures}

    def _read_one(self, enclosure: Enclosure) -> bytes:
        if not enclosure.path:
            try:
                return self._documents.read(enclosure.sha256)
            except DocumentLost as error:
                raise ReferralPackError(f"{enclosure.name}: {error}") from None
        try:
            content = files.inside(self._outbox, enclosure.path).read_bytes()
        except FileNotFoundError:
            raise ReferralPackError(f"letter {enclosure.path} is not in the outbox") from None
        if files.digest(content) != enclosure.sha256:
            raise ReferralPackError(f"letter {enclosure.path} is not the one that was sent: its digest differs")
        return content


def named_apart(folder: str, stems: Sequence[str]) -> list[str]:
    """A file name for each stem, `<folder>/<stem>.pdf`; the second of a stem becomes `<stem>-2.pdf`."""
    names: list[str] = []
    for stem in stems:
        stem = files.file_name(stem)
        numbers = (f"{folder}/{stem}-{number}.pdf" for number in count(2))
        first = f"{folder}/{stem}.pdf"
        names.append(first if first not in names else next(other for other in numbers if other not in names))
    return names


def _manifest(payload: LegalPayload) -> str:
    return f"{payload.path.removesuffix('.zip')}.manifest.json"


def _detail(payload: LegalPayload) -> Mapping[str, Any]:
    return {"path": payload.path, "sha256": payload.sha256, "size": payload.size}
