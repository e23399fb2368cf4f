"""Our own layout of a partner's file: one CSV row a fact, and trailers with control totals (docs/remittances.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from arrears.engine.life.placements import PlacementReport
from arrears.engine.partner_files import (
    Collected,
    Fact,
    ForAPerson,
    Line,
    NumberTold,
    PartnerFile,
    Reported,
    RestrictionTold,
    TakenBack,
    Totals,
    Wrong,
)
from arrears.intake.fields import Cells
from arrears.intake.rows import Held, PortfolioError, Record, read_records

FORMAT: Final = "arrears-return/1"
REQUIRED: Final = ("record", "placement_id", "account_id", "reference", "at")
OPTIONAL: Final = (
    *("amount", "commission", "currency", "of", "reason", "balance", "number", "good", "why", "kind", "evidence"),
    *("street", "city", "region", "postal_code", "country", "note", "count"),
)
TRAILER: Final = "trailer"
LONGEST_REFERENCE: Final = 64
_WORDS: Final = ("reason", "why", "evidence", "note", "street", "city")


def read_partner_csv(name: str, content: bytes) -> PartnerFile:
    """Every fact of the file, and everything that is wrong with it, in its order.

    A file that cannot be read at all has one thing wrong and no facts.
    """
    lines: list[Line] = []
    wrong: list[Wrong] = []
    trailers: list[Cells] = []
    try:
        for row in read_records(Held(name, content), required=REQUIRED, optional=OPTIONAL, multiline=_WORDS):
            if not isinstance(row, Record):
                wrong.append(Wrong(row.line, row.reason))
                continue
            if trailers and row.cells["record"].lower() != TRAILER:
                wrong.append(Wrong(row.line, "a row behind the trailer; expected the trailers last"))
            cells = Cells(row.cells)
            if row.cells["record"].lower() == TRAILER:
                trailers.append(cells)
                continue
            line = _line(row.line, row.cells, cells)
            wrong.extend(Wrong(row.line, problem) for problem in cells.problems)
            if line is not None:
                lines.append(line)
    except PortfolioError as error:
        wrong.append(Wrong(0, str(error)))
    number, totals, more = _trailers(trailers)
    return PartnerFile(tuple(lines), (*wrong, *more), number, totals)


def _line(number: int, raw: Mapping[str, str], cells: Cells) -> Line | None:
    record = raw["record"].lower()
    read = _FACTS.get(record)
    if read is None:
        cells.problems.append(f"record is not known; expected one of {', '.join((*_FACTS, TRAILER))}")
        return None
    account_id, placement = cells.account_id(), cells.text("placement_id", required=True)
    reference, at = cells.reference("reference", longest=LONGEST_REFERENCE), cells.instant("at")
    fact = read(cells)
    if cells.problems or fact is None or at is None:
        return None
    return Line(number, placement, account_id, reference, at, fact)


def _payment(cells: Cells) -> Fact | None:
    amount, commission, currency = _money(cells)
    return Collected(amount, commission, currency)


def _reversal(cells: Cells) -> Fact | None:
    amount, commission, currency = _money(cells)
    return TakenBack(cells.reference("of", longest=LONGEST_REFERENCE), amount, commission, currency)


def _money(cells: Cells) -> tuple[str, str, str]:
    """Amount, commission and currency as text; what is wrong with them is noted."""
    currency = cells.currency()
    amount = cells.money("amount", currency, required=True)
    commission = cells.money("commission", currency, required=True)
    if amount is not None and amount.amount == 0:
        cells.problems.append("amount is zero")
    if amount is None or commission is None:
        return "", "", ""
    return amount.decimal_text(), commission.decimal_text(), amount.currency


def _report(report: PlacementReport) -> Callable[[Cells], Fact | None]:
    def read(cells: Cells) -> Fact:
        return Reported(report, cells.text("reason"), cells.text("balance"))

    return read


def _number(cells: Cells) -> Fact | None:
    good = cells.text("good", required=True).lower()
    if good not in ("true", "false", ""):
        cells.problems.append("good is neither true nor false")
    return NumberTold(cells.text("number", required=True), good == "true", cells.text("why"))


def _restriction(cells: Cells) -> Fact | None:
    return RestrictionTold(cells.text("kind", required=True).upper(), cells.text("evidence"))


def _address(cells: Cells) -> Fact | None:
    street, city = cells.text("street", required=True), cells.text("city", required=True)
    parts = (street, city, cells.text("region"), cells.text("postal_code"), cells.country() or "")
    return ForAPerson("address", ", ".join(part for part in parts if part))


def _note(cells: Cells) -> Fact | None:
    return ForAPerson("note", cells.text("note", required=True))


_FACTS: Final[Mapping[str, Callable[[Cells], Fact | None]]] = {
    "payment": _payment,
    "reversal": _reversal,
    **{str(report): _report(report) for report in PlacementReport},
    "number": _number,
    "hold": _restriction,
    "address": _address,
    "note": _note,
}


def _trailers(trailers: list[Cells]) -> tuple[str, tuple[Totals, ...], list[Wrong]]:
    """The file's number, its totals, and what is wrong with them. Each currency has a trailer of its own."""
    if not trailers:
        return "", (), []
    counts = {cells.text("count", required=True) for cells in trailers}
    numbers = {cells.text("reference") for cells in trailers} - {""}
    collected: dict[str, str] = {}
    commissions: dict[str, str] = {}
    wrong: list[Wrong] = []
    for cells in trailers:
        if currency := cells.text("currency").upper():
            if currency in collected:
                wrong.append(Wrong(0, f"two trailers for {currency}; expected one for each currency"))
            collected[currency] = cells.text("amount", required=True)
            commissions[currency] = cells.text("commission", required=True)
        wrong.extend(Wrong(0, f"trailer: {problem}") for problem in cells.problems)
    if len(counts) > 1 or len(numbers) > 1:
        wrong.append(Wrong(0, "the trailers differ in count or reference; each repeats those of the whole file"))
    count = counts.pop()
    if not (count.isascii() and count.isdigit()):
        wrong.append(Wrong(0, "trailer: count is no number; expected how many rows there are besides the trailers"))
        return "", (), wrong
    return (min(numbers) if numbers else ""), (Totals(int(count), collected, commissions),), wrong
