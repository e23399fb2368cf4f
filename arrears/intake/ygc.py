"""Files that attorneys send over You've Got Claims (YGC): record 30, money, and record 39, notes.

Layouts: Genesys, AIM Help, "YGC Import Record Type 30" and "39" (help.genesys.com/latitude, Liquid 12); what of them
could not be verified stands in docs/remittances.md. Days are CCYYMMDD; there is no currency, it is the account's, no
name for a payment and no trailer.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from arrears.engine.partner_files import Collected, Fact, ForAPerson, Line, PartnerFile, TakenBack, Wrong
from arrears.intake.fields import account_id_in
from arrears.intake.partner_text import ccyymmdd, text_of

_AMOUNT: Final = re.compile(r"(-?)0*([0-9]{1,11}\.[0-9]{2})")
PAYMENTS: Final = (1, 3)
DIRECT: Final = 6
COSTS: Final = range(33, 82)


def read_ygc(content: bytes, *, digest: str) -> PartnerFile:
    """Every fact of a YGC file and all that is wrong with it. Facts are called by the file's `digest` and line."""
    text = text_of(content)
    if isinstance(text, Wrong):
        return PartnerFile((), (text,))
    lines: list[Line] = []
    wrong: list[Wrong] = []
    for number, row in enumerate(text.splitlines(), start=1):
        if row.strip():
            problems: list[str] = []
            line = _line(number, row, digest, problems)
            wrong.extend(Wrong(number, problem) for problem in problems)
            lines.extend([line] if line is not None else [])
    return PartnerFile(tuple(lines), tuple(wrong))


def _line(number: int, row: str, digest: str, problems: list[str]) -> Line | None:
    match row[:2]:
        case "30":
            at, fact = _day(row[69:77], problems), _money(row, problems)
        case "39":
            at, fact = (
                _day(row[67:75], problems),
                ForAPerson("status", f"{row[75:83].strip()} {row[83:].strip()}".strip()),
            )
        case _:
            problems.append("record type is not known; expected 30 or 39")
            return None
    account_id = account_id_in(row[12:32])
    if not account_id:
        problems.append("FORW_FILE holds no account number of ours")
    if problems or at is None or fact is None:
        return None
    return Line(number, "", account_id, f"{digest[:16]}/{number}", at, fact, row[2:12].strip())


def _money(row: str, problems: list[str]) -> Fact | None:
    code = row[67:69].strip()
    gross, fees = (_AMOUNT.fullmatch(row[begin:end].strip()) for begin, end in ((77, 91), (133, 147)))
    if not code.isdigit():
        problems.append("RET_CODE is no number")
        return None
    if int(code) == DIRECT or int(code) in COSTS:
        what = "a payment made to us directly" if int(code) == DIRECT else "costs"
        return ForAPerson("status", f"{what}, RET_CODE {code}")
    if int(code) not in PAYMENTS:
        problems.append("RET_CODE is not known; expected 1, 3, 6 or 33 to 81")
    if gross is None or fees is None:
        problems.append("GROSS_PAY or FEES is no amount; expected one such as 120.00")
    elif gross[1] != fees[1] and fees[2] != "0.00":
        problems.append("GROSS_PAY and FEES have different signs")
    if problems or gross is None or fees is None:
        return None
    return TakenBack("", gross[2], fees[2]) if gross[1] else Collected(gross[2], fees[2])


def _day(text: str, problems: list[str]) -> datetime | None:
    day = ccyymmdd(text)
    if day is None:
        problems.append("the date is none; expected CCYYMMDD")
    return day
