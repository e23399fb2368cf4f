"""Many PDFs as one, to print from: the same bytes for the same documents in the same order."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

from pypdf import PdfReader, PdfWriter


@dataclass(frozen=True, slots=True)
class Merged:
    """`starts`: the page, from 1, on which each document begins; `pages`: of the whole, blank ones included."""

    content: bytes
    starts: tuple[int, ...]
    pages: int


def merge(documents: Iterable[bytes], *, duplex: bool) -> Merged:
    """One PDF of all pages; with `duplex` a blank page goes behind an odd number, so that each begins on a front side.

    It is no PDF/A: a file of that kind has one title, one language and one structure tree, and these are many letters.
    """
    writer, starts, pages = PdfWriter(), list[int](), 0
    for document in documents:
        reader = PdfReader(io.BytesIO(document))
        starts.append(pages + 1)
        for page in reader.pages:
            writer.add_page(page)
        pages += len(reader.pages)
        if duplex and len(reader.pages) % 2:
            writer.add_blank_page(*reader.pages[-1].mediabox.upper_right)
            pages += 1
    writer.metadata = {"/Producer": "arrears", "/Title": "Letters to print"}
    buffer = io.BytesIO()
    writer.write(buffer)
    return Merged(buffer.getvalue(), tuple(starts), pages)
