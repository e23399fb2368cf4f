"""Files as a whole: what they are, where their rows stand, and when none of them goes in."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrears.intake.portfolio import PortfolioError, portfolio_warnings, read_portfolio
from arrears.intake.rows import RejectedRow, rejected_path, write_rejected
from tests.unit.intake.files import HEADER, a_file, cells, portfolio, row


def refused(path: Path) -> str:
    with pytest.raises(PortfolioError) as caught:
        next(read_portfolio(path), None)
    return str(caught.value)


def a_spreadsheet() -> bytes:
    """A zip archive as spreadsheets are."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        # Dated, because the bytes name the test and every process must know it by one name.
        archive.writestr(zipfile.ZipInfo("[Content_Types].xml"), "<Types/>")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (a_spreadsheet(), "spreadsheet (.xlsx), not CSV; export it as CSV in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "this is a picture, not CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)"),
        (b"%PDF-1.7\n", "this is a PDF"),
        (b"\xff\xfea\x00c\x00c\x00", "UTF-16 text"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "a binary file"),
        (b"x" * 100_000, "a binary file"),
        (b"", "the file is empty; expected a header"),
        (b"\xef\xbb\xbf\r\n \n", "the file is empty; expected a header"),
        (b"account_id,name\nA-1,Nora\n", "portfolio.csv:1: the header lacks phone, street, city, region"),
        (f"{HEADER},Name\n".encode(), "portfolio.csv:1: the header repeats name"),
    ],
)
def test_a_file_that_is_no_portfolio_is_named_for_what_it_is(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "portfolio.csv"
    path.write_bytes(content)
    assert says in refused(path)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere.csv").endswith("nowhere.csv: no such file")


def test_a_header_alone_is_a_portfolio_of_nobody(tmp_path: Path) -> None:
    assert portfolio(a_file(tmp_path)) == ([], [])


def test_text_that_is_not_utf8_is_refused_by_line_before_any_row_goes_in(tmp_path: Path) -> None:
    path = a_file(tmp_path, row(account_id="A-1"), row(account_id="A-2", name="Jürgen"))
    path.write_bytes(path.read_bytes().decode().encode("latin-1"))
    assert refused(path).startswith("portfolio.csv:3: not UTF-8 text (byte 6 of the line")


def test_one_byte_that_is_not_utf8_refuses_a_long_file_by_its_line(tmp_path: Path) -> None:
    rows = [row(account_id=f"A-{i}") for i in range(3_000)]
    path = a_file(tmp_path, *rows, row(account_id="A-3000", city="München"))
    path.write_bytes(path.read_bytes().decode().encode("latin-1"))
    assert refused(path).startswith("portfolio.csv:3002: not UTF-8 text")


def test_nul_bytes_far_down_are_refused_before_any_row_goes_in(tmp_path: Path) -> None:
    path = a_file(tmp_path, *(row(account_id=f"A-{i}") for i in range(2_000)), "\0")
    assert "NUL bytes near line 2002" in refused(path)


def test_a_quote_never_closed_is_refused_before_any_row_goes_in(tmp_path: Path) -> None:
    path = a_file(tmp_path, row(), row(account_id="A-2", name='"Nora'), row(account_id="A-3"))
    assert refused(path).startswith("portfolio.csv:3: a quote that opens in this row is never closed")


def test_a_stray_quote_costs_its_row_alone(tmp_path: Path) -> None:
    taken, rejected = portfolio(a_file(tmp_path, row(name='"Nora" W'), row(account_id="A-2")))
    assert [r.account_id for r in taken] == ["A-2"]
    assert [(r.line, r.reason) for r in rejected] == [(2, "a quote is not where it may be")]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_mark_and_line_ends_of_every_system_are_read(tmp_path: Path, newline: str, mark: bytes) -> None:
    path = a_file(tmp_path, row(), "", row(account_id="A-2"), newline=newline)
    path.write_bytes(mark + path.read_bytes())
    taken, rejected = portfolio(path)
    assert [(r.line, r.account_id) for r in taken] == [(2, "A-1"), (4, "A-2")]
    assert rejected == []


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_told_by_the_header(tmp_path: Path, delimiter: str) -> None:
    path = a_file(tmp_path, row(name='"Whitfield, Nora"').replace(",", delimiter).replace(f"{delimiter} ", ", "))
    path.write_text(path.read_text().replace(HEADER, HEADER.replace(",", delimiter)))
    taken, rejected = portfolio(path)
    assert [r.name for r in taken] == ["Whitfield, Nora"]
    assert rejected == []


def test_a_row_is_known_by_the_line_it_starts_on(tmp_path: Path) -> None:
    path = a_file(
        tmp_path,
        row(street='"Flat 3\r\n 14 Alder Row"'),
        row(account_id="A-2", due_date="31/11/2026"),
        row(account_id="A-3", name='"Nora\nWhitfield"'),
        row(account_id="A-4", currency="XXQ"),
    )
    taken, rejected = portfolio(path)
    assert [(r.line, r.street) for r in taken] == [(2, "Flat 3, 14 Alder Row")]
    assert [r.line for r in rejected] == [4, 5, 7]
    assert rejected[1].reason == (
        "name: a control character or line break is in the text; lines 5 to 6 were read as one row"
    )


def test_lines_swallowed_by_a_quote_are_counted_in_the_reason(tmp_path: Path) -> None:
    path = a_file(tmp_path, row(name='"Nora'), row(account_id="A-2"), row(account_id="A-3", name='Nora"'))
    _, rejected = portfolio(path)
    assert [r.line for r in rejected] == [2]
    assert rejected[0].reason.endswith("; lines 2 to 4 were read as one row")


def test_blank_lines_before_the_header_are_passed_over(tmp_path: Path) -> None:
    path = a_file(tmp_path, row())
    path.write_text("\n\n" + path.read_text())
    assert [r.line for r in portfolio(path)[0]] == [4]


def test_unknown_columns_are_a_warning_and_nothing_in_them_can_refuse_a_row(tmp_path: Path) -> None:
    path = a_file(tmp_path, row() + ',"called\nagain"', header=HEADER + ",Notes")
    taken, rejected = portfolio(path)
    assert (len(taken), rejected) == (1, [])
    assert portfolio_warnings(path) == ("portfolio.csv: column 'notes' is not known and not read",)


def test_a_file_without_a_header_has_no_column_names_to_warn_of(tmp_path: Path) -> None:
    path = a_file(tmp_path, row(account_id="A-2"), header=row())
    with pytest.raises(PortfolioError) as caught:
        portfolio_warnings(path)
    assert "the header lacks account_id" in str(caught.value)
    assert "whitfield" not in str(caught.value).lower()


def test_trailing_columns_without_a_name_are_passed_over(tmp_path: Path) -> None:
    path = a_file(tmp_path, row() + ",,", header=HEADER + ",,")
    assert len(portfolio(path)[0]) == 1
    assert portfolio_warnings(path) == ()


def test_refused_rows_are_written_as_they_came_with_line_and_reason(tmp_path: Path) -> None:
    path = a_file(tmp_path, row(), row(account_id="A-2", due_date="31/11/2026"), row(account_id="A-3") + ",more")
    rejected = portfolio(path)[1]
    assert write_rejected(path, rejected) == rejected_path(path) == tmp_path / "portfolio.csv.rejected.csv"
    lines = rejected_path(path).read_text().splitlines()
    assert lines[0] == f"line,reason,{HEADER}"
    assert lines[1] == "3,due_date '31/11/2026' is no date; expected YYYY-MM-DD," + row(
        account_id="A-2", due_date="31/11/2026"
    )
    assert lines[2].startswith("4,13 cells; expected 12 as in the header,A-3,")
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".part"] == []


def test_the_file_of_refusals_goes_when_nothing_is_refused_any_more(tmp_path: Path) -> None:
    path = a_file(tmp_path, row())
    rejected_path(path).write_text("from the last time")
    assert write_rejected(path, []) is None
    assert not rejected_path(path).exists()


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=11, max_size=11))
def test_refused_rows_keep_every_character_of_their_cells(others: list[str]) -> None:
    original = ["not an id", *others]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "portfolio.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([HEADER.split(","), original])
        written = write_rejected(path, portfolio(path)[1])
        assert written is not None
        with written.open(encoding="utf-8", newline="") as stream:
            _, (line, _, *kept) = csv.reader(stream)
    assert (line, kept) == ("2", original)


def test_refused_rows_once_mended_go_in(tmp_path: Path) -> None:
    path = a_file(tmp_path, row(), row(account_id="A-2", street='"Flat 3, 9 ""Osier"" Mews"', due_date="31/11/2026"))
    written = write_rejected(path, portfolio(path)[1])
    assert written is not None
    written.write_text(written.read_text().replace(",31/11/2026,", ",2026-11-30,"))
    taken, rejected = portfolio(written)
    assert [(r.account_id, r.street) for r in taken] == [("A-2", 'Flat 3, 9 "Osier" Mews')]
    assert rejected == []


def test_refused_rows_are_written_with_the_delimiter_they_came_with(tmp_path: Path) -> None:
    semicolons = ";".join(cells(due_date="soon", street="9 Osier Mews, London"))
    path = a_file(tmp_path, semicolons, header=HEADER.replace(",", ";"))
    written = write_rejected(path, portfolio(path)[1])
    assert written is not None
    assert written.read_text().splitlines()[1].endswith(semicolons)


def test_a_write_that_breaks_off_leaves_the_earlier_refusals_whole_and_no_half_file(tmp_path: Path) -> None:
    path = a_file(tmp_path, row())
    rejected_path(path).write_text("from the last time")
    # No file can hold half a surrogate pair: the writing breaks off in the second row.
    rows = [RejectedRow(2, "A-1", "bad", ("A-1",)), RejectedRow(3, "A-2", "bad", ("\ud800",))]
    with pytest.raises(UnicodeEncodeError):
        write_rejected(path, rows)
    assert rejected_path(path).read_text() == "from the last time"
    assert {p.name for p in tmp_path.iterdir()} == {"portfolio.csv", "portfolio.csv.rejected.csv"}


def test_refusals_that_cannot_be_written_are_a_named_error(tmp_path: Path) -> None:
    path = a_file(tmp_path, row(due_date="soon"))
    rejected_path(path).mkdir()
    with pytest.raises(PortfolioError, match="cannot be written"):
        write_rejected(path, portfolio(path)[1])
    assert not path.with_name("portfolio.csv.rejected.csv.part").exists()
