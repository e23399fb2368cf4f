"""Letters and legal papers: Typst source to a PDF/A-2a, PDF/UA-1 document, the same bytes every time."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import typst

from arrears.rendering.catalog import Catalog
from arrears.rendering.context import ContactContext
from arrears.rendering.errors import RenderError
from arrears.rendering.referral import ReferralFacts

_STANDARDS: Final[list[typst.PDFStandard]] = ["a-2a", "ua-1"]
_idle: Final[defaultdict[Path, list[typst.Compiler]]] = defaultdict(list)
_AT_LINE: Final = re.compile(r"\.typ:(\d+):\d+")
# On one line, so that the template's lines keep their numbers but for one.
_SPECIMEN: Final = (
    '#set page(foreground: rotate(-35deg, text(size: 72pt, weight: "bold", font: "Libertinus Serif", '
    'fill: rgb("#c0303050"))[SPECIMEN]))\n'
)
_PAGE: Final = re.compile(rb"/Type ?/Page\b")


def render_pdf(
    catalog: Catalog,
    kind: str,
    name: str,
    context: ContactContext,
    extra: ReferralFacts | None = None,
    *,
    specimen: bool = False,
) -> bytes:
    """The PDF, dated `context.today`, in fonts that come with the project; identical for identical input.

    TemplateError when there is no such template. RenderError `missing_glyph` when a value has a
    character those fonts lack, `typst` when the template is no valid Typst. A `specimen` says so all over.
    """
    source = (_SPECIMEN if specimen else "") + catalog.render(kind, name, context, extra)
    made = datetime.combine(context.today, time(), tzinfo=UTC)
    try:
        with _compiler(catalog.root) as compiler:
            pdf = compiler.compile(
                source.encode(), format="pdf", pdf_standards=_STANDARDS, timestamp=int(made.timestamp())
            )
    except typst.TypstError as error:
        raise _explained(error, _where(catalog, kind, name, context, source, error), context.account_id) from None
    assert isinstance(pdf, bytes), "without an output file, a PDF comes back as bytes"
    return pdf


def render_pictures(
    catalog: Catalog, kind: str, name: str, context: ContactContext, *, ppi: float, specimen: bool = False
) -> list[bytes]:
    """Each page as PNG, `ppi` pixels an inch; marked all over as a specimen if asked. Raises as `render_pdf`."""
    source = (_SPECIMEN if specimen else "") + catalog.render(kind, name, context)
    try:
        with _compiler(catalog.root) as compiler:
            pages = compiler.compile(source.encode(), format="png", ppi=ppi)
    except typst.TypstError as error:
        raise _explained(error, _where(catalog, kind, name, context, source, error), context.account_id) from None
    return [page for page in (pages if isinstance(pages, list) else [pages]) if isinstance(page, bytes)]


def _where(
    catalog: Catalog, kind: str, name: str, context: ContactContext, source: str, error: typst.TypstError
) -> str:
    """The file and line of the template that Typst could not take, as far as it can be told."""
    path = catalog.find(kind, name, context.locale)
    at = _AT_LINE.search(error.diagnostic)
    lines = source.splitlines()
    number = int(at[1]) if at else 0
    return catalog.line_of(path, lines[number - 1]) if 0 < number <= len(lines) else f"{catalog.root.name}/{path}"


def page_count(pdf: bytes) -> int:
    """Pages of a PDF made here: Typst writes page objects uncompressed."""
    return len(_PAGE.findall(pdf))


@contextmanager
def _compiler(root: Path) -> Generator[typst.Compiler]:
    """A compiler that nobody else is using, to be used again: there are as many as letters at one time.

    With typst 0.15.0, `typst.compile` and a new compiler for each letter both keep about 100 KB of every
    letter for ever; a compiler that is used again forgets.
    """
    idle = _idle[root]
    try:
        compiler = idle.pop()
    except IndexError:
        compiler = typst.Compiler(root=root, font_paths=_fonts())
    try:
        yield compiler
    finally:
        idle.append(compiler)


@cache
def _fonts() -> typst.Fonts:
    """Typst's own, and Noto for Han characters. The package is found and not imported: it would want matplotlib."""
    package = find_spec("mplfonts")
    assert package is not None, "mplfonts is one of the project's own requirements"
    assert package.origin is not None
    han = Path(package.origin).parent / "fonts"
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[han])


def _explained(error: typst.TypstError, template: str, account_id: str) -> RenderError:
    """Typst quotes the text it choked on, which may be a name: only its own words are passed on."""
    if "could not be displayed" in error.message or "codepoint" in error.message:
        return RenderError(
            "missing_glyph", f"account {account_id}: a value in {template} has a character its fonts lack"
        )
    return RenderError("typst", f"account {account_id}: {template} is no valid Typst: {_own_words(error)}")


def _own_words(error: typst.TypstError) -> str:
    """Typst's message up to the first thing it quotes."""
    return re.split(r"[`\"]", error.message, maxsplit=1)[0].strip()
