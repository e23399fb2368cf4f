"""CSV that opens safely in a spreadsheet: UTF-8, CRLF, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

from arrears.rendering.formats import plain

# The full-width signs count too: spreadsheets fold them.
_FORMULA: Final = re.compile(r"'*[=+\-@＝＋－＠]")


def text_cell(text: str) -> str:
    """`text` as one plain line; one `'` in front when a spreadsheet would take it for a formula."""
    cleaned = plain(text)
    return f"'{cleaned}" if _FORMULA.match(cleaned) else cleaned


def cell_text(cell: str) -> str:
    """What `text_cell` was given, as one plain line."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """The table with a header line. Cells are written as they come: text must be a `text_cell`."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue().encode()


def csv_rows(content: bytes) -> list[dict[str, str]]:
    """The rows of `csv_bytes`, by column, with cells as they stand in the file."""
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))
