"""The legal referral pack: papers, letters, documents and an index of digests in one zip, the same bytes every time."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from typing import Any, Final

from arrears.rendering.catalog import Catalog, Kind
from arrears.rendering.context import ContactContext
from arrears.rendering.letters import render_pdf
from arrears.rendering.referral import IndexLine, ReferralFacts
from arrears.rendering.stored import to_json
from arrears.rendering.table import csv_bytes, text_cell

FORMAT: Final = "arrears-referral/2"
MANIFEST: Final = "arrears-referral-manifest/1"
_CHRONOLOGY: Final = ("at", "rung", "attempt", "channel", "status", "reference", "reason")


@dataclass(frozen=True, slots=True)
class Enclosure:
    """What is enclosed as it is: its name in the pack, the SHA-256 it must have, and where it lies.

    `path` is a letter's, relative to the outbox; empty for a document of the lender, which is kept by its digest.
    """

    name: str
    sha256: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class ReferralPack:
    """Everything a referral says. `context.today` dates it; `context.locale` is the court's language.

    `papers`: the templates under `legal/` that are filled in, besides the index.
    """

    context: ContactContext
    facts: ReferralFacts
    papers: tuple[str, ...]
    enclosures: tuple[Enclosure, ...]


def build_pack(catalog: Catalog, pack: ReferralPack, enclosed: Mapping[str, bytes]) -> bytes:
    """The zip; `enclosed` are the bytes of the enclosures by name. TemplateError or RenderError from a page."""
    members = {f"{name}.pdf": render_pdf(catalog, Kind.LEGAL, name, pack.context, pack.facts) for name in pack.papers}
    members["chronology.csv"] = _chronology_csv(pack)
    members |= enclosed
    listed = replace(pack.facts, index=index_of(members))
    members["index.pdf"] = render_pdf(catalog, Kind.LEGAL, "index", pack.context, listed)
    members["index.json"] = _index_json(pack, members)
    return zip_bytes(members, pack.context.today)


def manifest_bytes(pack: ReferralPack, *, file: str, content: bytes) -> bytes:
    """What goes beside the zip and comes after it: who gets it, and the digest by which it is known whole.

    It names the account by its id only: the zip is for whoever holds the key, the manifest may be read by others.
    """
    manifest = {
        "format": MANIFEST,
        "reference": pack.context.reference,
        "account_id": pack.context.account_id,
        "firm": pack.facts.firm,
        "date": pack.context.today.isoformat(),
        "file": file,
        "sha256": sha256(content).hexdigest(),
        "bytes": len(content),
        "documents": [line.reference for line in pack.facts.documents],
        "to_follow": [line.title for line in pack.facts.to_follow],
    }
    return _json(manifest)


def _chronology_csv(pack: ReferralPack) -> bytes:
    lines = pack.facts.chronology
    return csv_bytes(_CHRONOLOGY, ([text_cell(str(getattr(line, name))) for name in _CHRONOLOGY] for line in lines))


def index_of(members: Mapping[str, bytes]) -> tuple[IndexLine, ...]:
    """Every member with its digest and size, by name."""
    return tuple(
        IndexLine(name, sha256(content).hexdigest(), len(content)) for name, content in sorted(members.items())
    )


def _index_json(pack: ReferralPack, members: Mapping[str, bytes]) -> bytes:
    index = {
        "format": FORMAT,
        "account_id": pack.context.account_id,
        "reference": pack.context.reference,
        "date": pack.context.today.isoformat(),
        "members": to_json(index_of(members)),
    }
    return _json(index)


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def zip_bytes(members: Mapping[str, bytes], day: date) -> bytes:
    """A zip of `members`, all dated `day`: the same bytes on every machine."""
    buffer = io.BytesIO()
    # Stored, not deflated: the bytes must not depend on the machine's zlib, and PDFs are compressed.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(members.items()):
            member = zipfile.ZipInfo(name, (day.year, day.month, day.day, 0, 0, 0))
            member.create_system = 3
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)
    return buffer.getvalue()
