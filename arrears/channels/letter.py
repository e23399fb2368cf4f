"""Letters: a PDF in the outbox, for the print shop to fetch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
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
from arrears.rendering.catalog import Catalog, Kind
from arrears.rendering.context import ContactContext
from arrears.rendering.errors import RenderError, TemplateError
from arrears.rendering.letters import page_count, render_pdf
from arrears.rendering.stored import from_json, to_json

logger = logging.getLogger(__name__)
UNWRITTEN = "could not be written"


@dataclass(frozen=True, slots=True)
class LetterPayload:
    """What is committed with a letter's intent; `path` is relative to the outbox."""

    template: str
    locale: str
    path: str
    sha256: str
    pages: int
    context: ContactContext


class LetterChannel:
    """Writes `letters/<date>/<reference>.pdf` under the outbox."""

    def __init__(self, outbox: Path, catalog: Catalog) -> None:
        self._outbox = outbox
        self._catalog = catalog
        self._recent = files.RecentFiles(most=64)

    def prepare(self, template: str, context: ContactContext) -> dict[str, Any]:
        """The payload to commit with the intent; writes nothing.

        TemplateError or RenderError when the letter cannot be made, ValueError when the reference
        cannot name a file.
        """
        pdf = render_pdf(self._catalog, Kind.LETTERS, template, context)
        payload = LetterPayload(
            template=template,
            locale=context.locale,
            path=f"letters/{context.today.isoformat()}/{files.file_name(context.reference)}.pdf",
            sha256=self._recent.keep(pdf),
            pages=page_count(pdf),
            context=context,
        )
        return to_json(payload)

    def perform(self, intent: Intent) -> Outcome:
        """Renders the letter again from the payload alone and writes it, once."""
        payload = from_json(LetterPayload, intent.payload)
        match files.find_file(self._outbox, payload.path, payload.sha256):
            case Found(reference):
                return Done(reference, _detail(payload))
            case Absent():
                return self._write(payload)
            case Unprovable(reason) | LookUpFailed(reason):
                return InDoubt(reason)

    def look_up(self, intent: Intent) -> Finding:
        """By the digest of the file at the path."""
        payload = from_json(LetterPayload, intent.payload)
        finding = files.find_file(self._outbox, payload.path, payload.sha256)
        return Found(finding.reference, _detail(payload)) if isinstance(finding, Found) else finding

    def _write(self, payload: LetterPayload) -> Outcome:
        try:
            pdf = self._recent.take(payload.sha256) or render_pdf(
                self._catalog, Kind.LETTERS, payload.template, payload.context
            )
        except RenderError as error:
            return Refused(error.code, str(error))
        except TemplateError as error:
            return Refused("template", str(error))
        if files.digest(pdf) != payload.sha256:
            return Refused("changed", f"{payload.template} no longer gives the letter that was committed")
        try:
            files.write_atomically(files.inside(self._outbox, payload.path), pdf)
        except OSError as error:
            why = f"{payload.path} {UNWRITTEN}: {error.strerror or error}"
            logger.error("%s; it is tried again", why)
            return TryAgain(why)
        return Done(f"sha256:{payload.sha256}", _detail(payload))


def _detail(payload: LetterPayload) -> Mapping[str, Any]:
    return {"path": payload.path, "sha256": payload.sha256, "pages": payload.pages}
