"""The legal referral pack: papers, letters and an index of digests in one zip, the same bytes every time."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce
from hashlib import sha256
from operator import add
from typing import Final

from arrears.engine.money import Money
from arrears.rendering.catalog import Catalog, Kind
from arrears.rendering.context import ChronologyLine, ContactContext, StatementLine
from arrears.rendering.letters import render_pdf
from arrears.rendering.referral import IndexLine, ReferralFacts
from arrears.rendering.stored import to_json
from arrears.rendering.table import csv_bytes, text_cell

FORMAT: Final = "arrears-referral/1"
_CHRONOLOGY: Final = ("at", "rung", "attempt", "channel", "status", "reference", "reason")


@dataclass(frozen=True, slots=True)
class PackLetter:
    """A letter already sent: its name in the pack and its path relative to the outbox."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class ReferralPack:
    """Everything a referral says. `context.today` dates it.

    `approved_at` is ISO 8601 UTC, empty without an approval; `limitation_ends` is the first day on which
    the claim is time-barred, None when that is not established.
    """

    context: ContactContext
    statement: tuple[StatementLine, ...]
    chronology: tuple[ChronologyLine, ...]
    letters: tuple[PackLetter, ...]
    approved_by: str
    approved_at: str
    limitation_ends: date | None


def build_pack(catalog: Catalog, pack: ReferralPack, letters: Mapping[str, bytes]) -> bytes:
    """The zip; `letters` are the bytes of the letters by name.

    TemplateError or RenderError when a page cannot be made; MoneyError for a statement in two currencies.
    """
    facts = _facts(pack)
    members = {
        f"{name}.pdf": render_pdf(catalog, Kind.LEGAL, name, pack.context, facts)
        for name in ("cover-sheet", "statement", "chronology")
    }
    members["chronology.csv"] = _chronology_csv(pack)
    members |= {f"letters/{name}": content for name, content in letters.items()}
    listed = replace(facts, index=index_of(members))
    members["index.pdf"] = render_pdf(catalog, Kind.LEGAL, "index", pack.context, listed)
    members["index.json"] = _index_json(pack, members)
    return zip_bytes(members, pack.context.today)


def _facts(pack: ReferralPack) -> ReferralFacts:
    nothing = Money(0, pack.context.balance.currency)
    return ReferralFacts(
        statement=pack.statement,
        statement_total=reduce(add, (line.amount for line in pack.statement), nothing),
        chronology=pack.chronology,
        approved_by=pack.approved_by,
        approved_at=pack.approved_at,
        limitation_ends=pack.limitation_ends,
        index=(),
    )


def _chronology_csv(pack: ReferralPack) -> bytes:
    return csv_bytes(
        _CHRONOLOGY, ([text_cell(str(getattr(line, name))) for name in _CHRONOLOGY] for line in pack.chronology)
    )


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
    return (json.dumps(index, indent=2, ensure_ascii=False) + "\n").encode()


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
