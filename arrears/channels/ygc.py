"""Placements and recalls for attorneys in the records of You've Got Claims. docs/agencies.md says what is sure.

Source: AIM Help, "YGC Export Record Type …" and "YGC Import Record Type 31", help.genesys.com/latitude.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from arrears.channels import fixed
from arrears.channels.agency_rows import PlacementFileError, PlacementRow, RecallRow
from arrears.channels.fixed import DoesNotFit, Fields, ascii_text
from arrears.engine.partners import Partner

PLACEMENTS: Final = "ygc/01-02"
RECALLS: Final = "ygc/09"

_HEAD: Final[Fields] = (
    *(("RECORD_CODE", 2), ("FILENO", 10), ("FORW_FILE", 20), ("MASCO_FILE", 15), ("FORW_ID", 10), ("FIRM_ID", 10)),
)
_NEW_ACCOUNT: Final[Fields] = (
    *_HEAD,
    *(("DATE_FORW", 8), ("LAW_LIST", 4), ("COMM", 4), ("SFEE", 4), ("ORIG_CLAIM", 14), ("ORIG_INT", 14)),
)
_PRIMARY_DEBTOR: Final[Fields] = (
    *_HEAD,
    *(("D1_NAME", 30), ("D1_SALUT", 1), ("D1_ALIAS", 25), ("D1_STREET", 25), ("D1_CS", 23), ("D1_ZIP", 9)),
    *(("D1_PHONE", 12), ("D1_FAX", 12), ("D1_SSN", 15)),
)
_NOTE: Final[Fields] = (*_HEAD, ("PDATE", 8), ("PCODE", 8), ("PCMT", 1024))


def placement_lines(partner: Partner, rows: Sequence[PlacementRow], numbers: Mapping[str, int]) -> Iterator[bytes]:
    """For each placement a record 01, new account, and a record 02, primary debtor. Raises PlacementFileError."""
    try:
        for row in rows:
            head = _head(partner, row.account_id, numbers[row.placement_id])
            yield fixed.line(_NEW_ACCOUNT, {"RECORD_CODE": "01", **head, **_claim(row)})
            yield fixed.line(_PRIMARY_DEBTOR, {"RECORD_CODE": "02", **head, **_debtor(row)})
    except DoesNotFit as error:
        raise PlacementFileError(f"placement file of {partner.name}: {error}") from None


def recall_lines(partner: Partner, rows: Sequence[RecallRow], numbers: Mapping[str, int]) -> Iterator[bytes]:
    """For each recall a record 09, notes, that ends with its text."""
    for row in rows:
        said = {
            "PDATE": fixed.day(row.recalled_at),
            "PCODE": partner.codes.recall.get(row.reason, ""),
            "PCMT": f"{row.recall.upper()} RECALL: {ascii_text(row.reason)}",
        }
        record = fixed.line(
            _NOTE, {"RECORD_CODE": "09", **_head(partner, row.account_id, numbers[row.placement_id]), **said}
        )
        yield record.rstrip() + b"\r\n"


def _head(partner: Partner, account_id: str, number: int) -> dict[str, str]:
    return {
        "FILENO": str(number),
        "FORW_FILE": ascii_text(account_id),
        "FORW_ID": partner.codes.ours,
        "FIRM_ID": partner.codes.theirs,
    }


def _claim(row: PlacementRow) -> dict[str, str]:
    return {"DATE_FORW": fixed.day(row.placed_at), "ORIG_CLAIM": fixed.amount(row.balance, 14, fill=" ")}


def _debtor(row: PlacementRow) -> dict[str, str]:
    address = row.address
    return {
        "D1_NAME": ascii_text(_last_name_first(row.holder_name)),
        "D1_STREET": ascii_text(address.street),
        "D1_CS": ascii_text(f"{address.city} {address.region.removeprefix(f'{address.country}-')}"),
        "D1_ZIP": address.postal_code.replace("-", "").replace(" ", ""),
        "D1_PHONE": _phone(row.phone),
    }


def _phone(number: str) -> str:
    """`617-555-0123`; nothing where a number of another country would have to be cut."""
    digits = number.removeprefix("+1")
    return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}" if number.startswith("+1") and len(digits) == 10 else ""


def _last_name_first(name: str) -> str:
    """`Gonzalez/Maria`: the last word is taken for the last name, since the name is kept as one text."""
    *first, last = name.split() or [""]
    return f"{last}/{' '.join(first)}" if first else last
