"""Files that agencies send in the layouts of Latitude's Agency Interface Manager (AIM): acknowledgements, payments,
closes, objections, telephone numbers, addresses, bankruptcies, deaths, states of their own.

Layouts: Genesys, AIM Help, "Import File Layouts" (help.genesys.com/latitude, Liquid 12). The close record and the death
record were not to be found there in full: docs/remittances.md says what is taken for granted. Amounts have a decimal
point before the last two digits, days are CCYYMMDD; there is no currency, it is the account's.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from arrears.engine.life.placements import Objection, PlacementReport
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
from arrears.intake.fields import account_id_in
from arrears.intake.partner_text import ccyymmdd, text_of

_AMOUNT: Final = re.compile(r"[0-9]{1,9}\.[0-9]{2}")
_DELIMITERS: Final = "|,\t;"
_HEAD: Final = (("file_number", 5, 13), ("account", 14, 43))
_OF_DEBTOR: Final = (("debtor", 5, 13), ("file_number", 14, 22))
# Name, first and last position, counted from 1 as the source does; in a delimited file they are the columns, in order.
_RECORDS: Final[Mapping[str, tuple[tuple[str, int, int], ...]]] = {
    "AACK": (*_HEAD, ("balance", 44, 55), ("date", 56, 63)),
    "APAY": (*_HEAD, ("amount", 44, 55), ("date", 56, 63), ("type", 64, 66), ("id", 67, 96), ("comment", 97, 126)),
    "ACLS": (*_HEAD, ("code", 44, 46), ("date", 47, 54)),
    "AOBJ": (*_HEAD, ("code", 44, 46), ("date", 47, 54)),
    "AUPH": (*_OF_DEBTOR, ("type", 23, 23), ("new", 24, 53), ("old", 54, 83), ("date", 84, 91)),
    "AUAD": (
        *_OF_DEBTOR,
        *(("street", 23, 150), ("street2", 151, 278), ("city", 279, 308), ("state", 309, 311), ("zip", 312, 321)),
        *(("old_street", 322, 449), ("old_street2", 450, 577), ("old_city", 578, 607), ("old_state", 608, 610)),
        *(("old_zip", 611, 620), ("date", 621, 628)),
    ),
    "ABKP": (*_OF_DEBTOR, ("chapter", 23, 24), ("date", 25, 32), ("case", 33, 52)),
    "ADEC": _OF_DEBTOR,
    "ASTS": (*_OF_DEBTOR, ("status", 23, 25), ("note", 26, 100), ("date", 101, 108)),
    "ATRL": (("agency", 5, 34), ("agency_name", 35, 84), ("records", 85, 94)),
}
OBJECTIONS: Final[Mapping[str, Objection]] = {"PTP": Objection.OPEN_PROMISE, "PMT": Objection.RECENT_PAYMENT}
# What a close says of the holder besides: AIM updates these from the close itself.
CLOSES: Final[Mapping[str, str]] = {
    "DEC": "DECEASED",
    **dict.fromkeys(("BKP", "B7", "B07", "B11", "B13"), "BANKRUPTCY_STAY"),
}


@dataclass(slots=True)
class _Record:
    """One record, its fields stripped, and what is wrong with it."""

    kind: str
    fields: Mapping[str, str]
    problems: list[str] = field(default_factory=list[str])

    def amount(self, name: str) -> str:
        text = self.fields.get(name, "").lstrip("0")
        text = f"0{text}" if text.startswith(".") else text
        if not _AMOUNT.fullmatch(text):
            self.problems.append(f"{name} is no amount; expected a decimal point before the last two digits")
        return text

    def day(self) -> datetime | None:
        day = ccyymmdd(self.fields.get("date", ""))
        if day is None:
            self.problems.append("the date is none; expected CCYYMMDD")
        return day


def read_aim(content: bytes, *, digest: str, received: datetime) -> PartnerFile:
    """Every fact of an AIM file, fixed or delimited, and everything that is wrong with it.

    What has no identifier of its own is called by the file's `digest` and its line; what has no day, by `received`.
    """
    text = text_of(content)
    if isinstance(text, Wrong):
        return PartnerFile((), (text,))
    lines: list[Line] = []
    wrong: list[Wrong] = []
    totals: list[Totals] = []
    seen = 0
    for number, record in _records(text):
        if record.kind == "ATRL":
            totals.append(_trailer(record))
        elif record.kind in _FACTS:
            seen += 1
            if totals:
                record.problems.append("a record behind the trailer; expected the trailer last")
            lines.extend(_lines(number, record, digest, received))
        else:
            record.problems.append(f"record type is not known; expected one of {', '.join(_RECORDS)}")
        wrong.extend(Wrong(number, f"{record.kind}: {problem}".lstrip(": ")) for problem in record.problems)
    # One close may be two facts: the trailer counts records.
    if len(totals) == 1 and totals[0].count == seen:
        totals = [Totals(len(lines))]
    elif len(totals) == 1:
        wrong.append(Wrong(0, "the trailer counts other records than there are", str(totals[0].count), str(seen)))
    elif totals:
        wrong.append(Wrong(0, "more than one trailer; expected one, at the end"))
    return PartnerFile(tuple(lines), tuple(wrong), totals=tuple(totals))


def _records(text: str) -> Iterator[tuple[int, _Record]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        kind = line[:4]
        layout = _RECORDS.get(kind, ())
        if line[4:5] in _DELIMITERS and len(line) > 4:
            cells = next(csv.reader([line], delimiter=line[4]))[1:]
            fields = {name: cell.strip() for (name, _, _), cell in zip(layout, cells, strict=False)}
        else:
            fields = {name: line[first - 1 : last].strip() for name, first, last in layout}
        yield number, _Record(kind if layout else "", fields)


def _lines(number: int, record: _Record, digest: str, received: datetime) -> list[Line]:
    facts = _FACTS[record.kind](record)
    at = received if record.kind == "ADEC" else record.day()
    account_id, file_number = record.fields.get("account", ""), record.fields.get("file_number", "").lstrip("0")
    if account_id and not account_id_in(account_id):
        record.problems.append("account is no account number of ours")
    if not account_id and not file_number:
        record.problems.append("neither account nor file number is there")
    if record.problems or at is None:
        return []
    names = [_name(record, digest, number), *(f"{digest[:16]}/{number}/{more}" for more in range(1, len(facts)))]
    return [Line(number, "", account_id, name, at, fact, file_number) for name, fact in zip(names, facts, strict=True)]


def _name(record: _Record, digest: str, number: int) -> str:
    own = record.fields.get("id", "")
    return f"{record.fields['type']}/{own}" if own else f"{digest[:16]}/{number}"


def _acknowledged(record: _Record) -> list[Fact]:
    return [Reported(PlacementReport.ACKNOWLEDGED, balance=record.amount("balance"))]


def _paid(record: _Record) -> list[Fact]:
    amount, kind = record.amount("amount"), record.fields.get("type", "")
    if not record.fields.get("id"):
        record.problems.append("the payment has no identifier")
    match kind:
        case "PA":
            return [Collected(amount)]
        case "PAR":
            return [TakenBack(f"PA/{record.fields.get('id', '')}", amount)]
        case _:
            record.problems.append("payment type is not known; expected PA or PAR")
            return []


def _closed(record: _Record) -> list[Fact]:
    code = record.fields.get("code", "")
    closed: list[Fact] = [Reported(PlacementReport.RETURNED, code)]
    return [*closed, RestrictionTold(CLOSES[code], f"close code {code}")] if code in CLOSES else closed


def _objected(record: _Record) -> list[Fact]:
    reason = OBJECTIONS.get(record.fields.get("code", ""))
    if reason is None:
        record.problems.append(f"objection reason is not known; expected {' or '.join(OBJECTIONS)}")
        return []
    return [Reported(PlacementReport.OBJECTED, str(reason))]


def _phone(record: _Record) -> list[Fact]:
    return [NumberTold(record.fields.get("new", ""), True, "the agency found it")]


def _address(record: _Record) -> list[Fact]:
    parts = (record.fields.get(name, "") for name in ("street", "street2", "city", "state", "zip"))
    return [ForAPerson("address", ", ".join(part for part in parts if part))]


def _bankrupt(record: _Record) -> list[Fact]:
    chapter, case = record.fields.get("chapter", ""), record.fields.get("case", "")
    return [RestrictionTold("BANKRUPTCY_STAY", f"chapter {chapter}, case {case}")]


def _dead(_record: _Record) -> list[Fact]:
    return [RestrictionTold("DECEASED", "the agency's file of deaths")]


def _status(record: _Record) -> list[Fact]:
    return [ForAPerson("status", f"{record.fields.get('status', '')} {record.fields.get('note', '')}".strip())]


_FACTS: Final[Mapping[str, Callable[[_Record], list[Fact]]]] = {
    "AACK": _acknowledged,
    "APAY": _paid,
    "ACLS": _closed,
    "AOBJ": _objected,
    "AUPH": _phone,
    "AUAD": _address,
    "ABKP": _bankrupt,
    "ADEC": _dead,
    "ASTS": _status,
}


def _trailer(record: _Record) -> Totals:
    count = record.fields.get("records", "")
    if not (count.isascii() and count.isdigit()):
        record.problems.append("records is no number; expected how many there are besides the trailer")
        return Totals(-1)
    return Totals(int(count))
