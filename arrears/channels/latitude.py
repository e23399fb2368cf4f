"""Placement and recall files as Genesys Latitude's AIM exports them, fixed width. docs/agencies.md says what is sure.

Source: AIM Help, "Placement Export File … Record" and "Recalls Export File Record", help.genesys.com/latitude.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from arrears.channels import fixed
from arrears.channels.agency_rows import PlacementFileError, PlacementRow, RecallRow
from arrears.channels.fixed import DoesNotFit, Fields, ascii_text
from arrears.engine.money import Money
from arrears.engine.partners import Partner

PLACEMENTS: Final = "latitude-aim/CPLC"
RECALLS: Final = "latitude-aim/CRCL"

_PLACEMENT_WIDTH: Final = 3000
_RECALL_WIDTH: Final = 102
_CURRENT: Final = tuple((f"other{bucket}", 12) for bucket in range(3, 10))
_CACT: Final[Fields] = (
    *(("record_type", 4), ("file_number", 9), ("account", 30), ("principal", 12), ("interest", 12)),
    *_CURRENT,
    *(("last_charge", 8), ("last_paid", 8), ("userdate1", 8), ("userdate2", 8), ("userdate3", 8)),
)
_CUPP: Final[Fields] = (
    *(("record_type", 4), ("debtor_number", 9), ("file_number", 9), ("relationship", 50), ("phone_type_id", 1)),
    *(("phone_status_id", 1), ("on_hold", 1), ("phone_number", 30), ("phone_ext", 10), ("phone_name", 30)),
    ("source", 30),
)
_CMIS: Final[Fields] = (("record_type", 4), ("file_number", 9), ("account", 30), ("title", 30), ("misc_data", 100))
_RECALL: Final[Fields] = (
    *(("record_type", 4), ("file_number", 9), ("account", 30), ("recall_reason", 3), ("objection_date", 8)),
)
_TRAILER: Final[Fields] = (("record_type", 4), ("agency", 30), ("agency_name", 50), ("records", 10))
_PLACEMENT_TRAILER: Final[Fields] = (*_TRAILER, ("placement_total", 12), ("created_date", 8))
_RECALL_TRAILER: Final[Fields] = (*_TRAILER, ("created_date", 8))

_NEVER: Final = "19000101"
_RECORD_OF: Final = {"pending": "CPEN", "final": "CFIN"}
# Ours, where nothing else is agreed: AIM lets every creditor choose its own.
_REASONS: Final = {"paid": "PD", "held": "HLD", "referred to court": "LEG", "no result": "NR"}
_OTHER_REASON: Final = "OTH"


def placement_lines(
    partner: Partner, day: date, rows: Sequence[PlacementRow], numbers: Mapping[str, int]
) -> Iterator[bytes]:
    """A CACT record for each placement, its CUPP and CMIS records, and the trailer. Raises PlacementFileError."""
    records, total = 0, Money(0, partner.layout.currency or "USD")
    try:
        for row in rows:
            for record in _of_one(row, numbers[row.placement_id]):
                yield record
                records += 1
            total += row.balance
        values = _totals(partner, day, records) | {"placement_total": fixed.amount(total, 12)}
        yield fixed.line(_PLACEMENT_TRAILER, values, width=_PLACEMENT_WIDTH)
    except DoesNotFit as error:
        raise PlacementFileError(f"placement file of {partner.name}, {day}: {error}") from None


def recall_lines(partner: Partner, day: date, rows: Sequence[RecallRow], numbers: Mapping[str, int]) -> Iterator[bytes]:
    """A CPEN or CFIN record for each recall, and the trailer."""
    codes = _REASONS | dict(partner.codes.recall)
    for row in rows:
        values = {
            "record_type": _RECORD_OF[row.recall],
            "file_number": fixed.number(numbers[row.placement_id], 9),
            "account": ascii_text(row.account_id),
            "recall_reason": codes.get(row.reason, _OTHER_REASON),
            "objection_date": _NEVER,
        }
        yield fixed.line(_RECALL, values, width=_RECALL_WIDTH)
    yield fixed.line(_RECALL_TRAILER, _totals(partner, day, len(rows)), width=_RECALL_WIDTH)


def _of_one(row: PlacementRow, number: int) -> Iterator[bytes]:
    file_number, account = fixed.number(number, 9), ascii_text(row.account_id)
    nothing = fixed.amount(Money(0, row.balance.currency), 12)
    owed = {"principal": fixed.amount(row.balance, 12), "interest": nothing}
    known = {"record_type": "CACT", "file_number": file_number, "account": account}
    yield fixed.line(_CACT, {**known, **owed, **dict.fromkeys(dict(_CURRENT), nothing)}, width=_PLACEMENT_WIDTH)
    if row.phone:
        phone = {"debtor_number": file_number, "phone_status_id": "0", "on_hold": "0", "phone_number": row.phone}
        values = {"record_type": "CUPP", "file_number": file_number, **phone}
        yield fixed.line(_CUPP, values, width=_PLACEMENT_WIDTH)
    for title, text in _misc(row):
        values = {"record_type": "CMIS", "file_number": file_number, "account": account}
        yield fixed.line(_CMIS, {**values, "title": title, "misc_data": ascii_text(text)}, width=_PLACEMENT_WIDTH)


def _misc(row: PlacementRow) -> Iterator[tuple[str, str]]:
    """What the records above have no field for."""
    address = row.address
    place = "|".join((address.city, address.region, address.postal_code, address.country))
    yield "HOLDER NAME", row.holder_name
    yield "STREET", address.street
    yield "CITY|REGION|POSTAL|COUNTRY", place
    yield "PLACEMENT|DUE DATE|CREDITOR", "|".join((row.placement_id, row.due_date.isoformat(), row.creditor))


def _totals(partner: Partner, day: date, records: int) -> dict[str, str]:
    return {
        "record_type": "CTRL",
        "agency": partner.codes.theirs or partner.name,
        "agency_name": partner.name,
        "records": fixed.number(records, 10),
        "created_date": fixed.day(day),
    }
