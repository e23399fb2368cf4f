"""Reading delimited files row by row: where a row stands, and why it was refused."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any

from arrears.intake.fields import account_id_in

_MAGIC = {
    b"PK\x03\x04": "a zip archive or a spreadsheet (.xlsx)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"\x1f\x8b": "a gzip archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_DELIMITERS = ",;\t|"
_HEAD_BYTES = 65_536
_LONGEST_CELL = 10_000
_LINE_BREAK = re.compile(r"[ \t]*(?:\r\n|\r|\n)[ \t\r\n]*")
# Beside control characters: separators that break a printed line, and marks that reverse what a reader sees.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Held:
    """A file that is in memory and nowhere else, such as one that came encrypted."""

    name: str
    content: bytes

    def __str__(self) -> str:
        return self.name

    def open(self, mode: str = "r", *, encoding: str | None = None, newline: str | None = None) -> IO[Any]:
        """As a path does, to read."""
        stream = io.BytesIO(self.content)
        return stream if "b" in mode else io.TextIOWrapper(stream, encoding=encoding, newline=newline)


Source = Path | Held
"""What rows are read from."""


class PortfolioError(Exception):
    """The file as a whole cannot be read; the message says where, why and what next."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that does not go in. `reason` never repeats a phone number, a name or an amount; only `raw` does.

    `account_id` is empty when the row's cell holds no such id.
    """

    line: int
    account_id: str
    reason: str
    raw: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One data row: known columns by name, stripped; `line` is the physical line on which it starts."""

    line: int
    cells: Mapping[str, str]
    raw: tuple[str, ...]


def read_records(
    path: Source, *, required: Sequence[str], optional: Sequence[str] = (), multiline: Sequence[str] = ()
) -> Iterator[Record | RejectedRow]:
    """The data rows of a CSV file (comma, semicolon, tab or bar; UTF-8 with or without BOM).

    Column names are compared in lower case; columns neither `required` nor `optional` are left out, and
    blank lines too. A line break in a `multiline` column becomes a comma; elsewhere it is a fault. A row
    with too few or too many cells, a stray quote or a control character is rejected.

    Raises PortfolioError before the first row for a file that is missing, empty, binary or not UTF-8, whose
    header lacks a required column or repeats one, or in which a quote is never closed.
    """
    _must_be_text(path)
    _must_be_whole(path)
    with _table(path) as table:
        _must_have_columns(path, table, required)
        wanted = _Columns(table.header, {*required, *optional}, frozenset(multiline))
        for line, cells in table.rows():
            if isinstance(cells, _StrayQuote):
                yield RejectedRow(line, "", f"a quote is not where it may be{_span(line, table)}", (cells.text,))
            else:
                yield wanted.record(line, cells, _span(line, table))


def unknown_columns(path: Path, *, required: Sequence[str], optional: Sequence[str]) -> tuple[str, ...]:
    """Columns of the header that nothing reads, in its order. Raises PortfolioError as `read_records` does."""
    _must_be_text(path)
    with _table(path) as table:
        # Before any name is repeated: in a file without a header they are the first holder's cells.
        _must_have_columns(path, table, required)
        return tuple(name for name in table.header if name and name not in {*required, *optional})


def rejected_path(path: Path) -> Path:
    """`FILE.rejected.csv`, beside the file."""
    return path.with_name(f"{path.name}.rejected.csv")


def write_rejected(path: Path, rejected: Sequence[RejectedRow]) -> Path | None:
    """Write what was refused beside `path`, as it came plus line and reason; None when nothing was.

    An earlier file of refusals is replaced or, when there are none any more, removed. Line and reason come
    first, so that a row with too many cells does not push them out of place.
    Raises PortfolioError when the folder does not take the file.
    """
    target = rejected_path(path)
    part = target.with_name(f"{target.name}.part")
    try:
        if not rejected:
            target.unlink(missing_ok=True)
            return None
        try:
            with _table(path) as table, part.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, delimiter=table.delimiter)
                writer.writerow(["line", "reason", *table.names])
                writer.writerows([row.line, row.reason, *row.raw] for row in rejected)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(target)
        finally:
            # It holds what is personal: no half-written one stays behind.
            part.unlink(missing_ok=True)
    except OSError as error:
        raise PortfolioError(f"{target}: cannot be written: {error.strerror}; free the way and run again") from None
    return target


@dataclass(frozen=True, slots=True)
class _StrayQuote:
    """A row the CSV reader gave up on, as text."""

    text: str


class _Lines:
    """The physical lines of a file, keeping those of the row at hand."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.of_row: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._stream)
        self.of_row.append(line)
        return line


class _Table:
    """An open delimited file, past its header."""

    def __init__(self, path: Source, stream: IO[str]) -> None:
        self.delimiter = _delimiter(path)
        self._path = path
        self._lines = _Lines(stream)
        self._reader = csv.reader(self._lines, delimiter=self.delimiter, strict=True)
        self.header_line, self.names = self._first()
        self.header = [name.strip().lower() for name in self.names]

    @property
    def line(self) -> int:
        """The last physical line of the row at hand."""
        return self._reader.line_num

    def _first(self) -> tuple[int, list[str]]:
        for line, cells in self.rows():
            return line, [cells.text] if isinstance(cells, _StrayQuote) else cells
        return 1, []

    def rows(self) -> Iterator[tuple[int, list[str] | _StrayQuote]]:
        """Rows that hold anything, each with the line on which it starts."""
        while True:
            start = self._reader.line_num + 1
            self._lines.of_row.clear()
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                # The module has one exception for every fault and tells them apart by text alone.
                if "unexpected end" in str(error) or "field limit" in str(error):
                    raise PortfolioError(
                        f"{self._path.name}:{start}: a quote that opens in this row is never closed; "
                        'close it, or double a quote that belongs to the text ("")'
                    ) from None
                yield start, _StrayQuote("".join(self._lines.of_row).rstrip("\r\n"))
                continue
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield start, cells


class _Columns:
    """Which cell of a row belongs to which known column."""

    def __init__(self, header: Sequence[str], known: set[str], multiline: frozenset[str]) -> None:
        self._width = len(header)
        self._known = [(index, name) for index, name in enumerate(header) if name in known]
        self._multiline = multiline
        self._id = header.index("account_id") if "account_id" in header else len(header)

    def record(self, line: int, cells: list[str], span: str) -> Record | RejectedRow:
        raw = tuple(cells)
        account_id = account_id_in(cells[self._id]) if self._id < len(cells) else ""
        if len(cells) != self._width:
            reason = f"{len(cells)} cells; expected {self._width} as in the header{span}"
            return RejectedRow(line, account_id, reason, raw)
        named = {name: cells[index].strip() for index, name in self._known}
        # One search over the whole row: nearly every row is clean.
        if _FORBIDDEN.search("".join(named.values())):
            for name in self._multiline & named.keys():
                named[name] = _LINE_BREAK.sub(", ", named[name])
            bad = [name for name, cell in named.items() if _FORBIDDEN.search(cell)]
            if bad:
                reason = f"{', '.join(bad)}: a control character or line break is in the text{span}"
                return RejectedRow(line, account_id, reason, raw)
        if long := [name for name, cell in named.items() if len(cell) > _LONGEST_CELL]:
            reason = f"{', '.join(long)}: longer than {_LONGEST_CELL} characters{span}"
            return RejectedRow(line, account_id, reason, raw)
        return Record(line, named, raw)


@contextmanager
def _table(path: Source) -> Generator[_Table]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield _Table(path, stream)
    except UnicodeDecodeError:
        raise _not_utf8(path) from None


def _span(line: int, table: _Table) -> str:
    # A quote left open swallows the rows below it: say how many lines went with this one.
    return f"; lines {line} to {table.line} were read as one row" if table.line > line else ""


def _delimiter(path: Source) -> str:
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES).decode("utf-8-sig", errors="replace")
    header = head.lstrip().partition("\n")[0]
    return max(_DELIMITERS, key=header.count)


def _must_be_text(path: Source) -> None:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
            longer = bool(stream.read(1))
    except FileNotFoundError:
        raise PortfolioError(f"{path}: no such file") from None
    except OSError as error:
        raise PortfolioError(f"{path}: {error.strerror}") from None
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise PortfolioError(f"{path.name}: the file is empty; expected a header and one row per record")
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            raise PortfolioError(f"{path.name}: this is {kind}, not CSV; export it as CSV in UTF-8")
    if b"\0" in head or (longer and b"\n" not in head and b"\r" not in head):
        raise PortfolioError(f"{path.name}: this is a binary file, not CSV; export it as CSV in UTF-8")


def _must_be_whole(path: Source) -> None:
    """Read to the end once: what breaks a file on its last line is said before its first row goes in."""
    with path.open("rb") as stream:
        for number in count(1):
            line = stream.readline(_HEAD_BYTES)
            if not line:
                break
            if b"\0" in line:
                raise PortfolioError(f"{path.name}: NUL bytes near line {number}: not text; export it as CSV in UTF-8")
    with _table(path) as table:
        for _ in table.rows():
            pass


def _not_utf8(path: Source) -> PortfolioError:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return PortfolioError(
                    f"{path.name}:{number}: not UTF-8 text (byte {error.start + 1} of the line; Windows-1252 or "
                    "Latin-1, perhaps); save it as CSV in UTF-8"
                )
    return PortfolioError(f"{path.name}: not UTF-8 text; save it as CSV in UTF-8")


def _must_have_columns(path: Source, table: _Table, required: Sequence[str]) -> None:
    where, header = f"{path.name}:{table.header_line}", table.header
    missing = [column for column in required if column not in header]
    if missing:
        raise PortfolioError(f"{where}: the header lacks {', '.join(missing)}; expected {', '.join(required)}")
    repeated = sorted({column for column in header if column and header.count(column) > 1})
    if repeated:
        raise PortfolioError(f"{where}: the header repeats {', '.join(repeated)}; leave one of each")
