"""Files as a partner would send them, in our layout: rows, trailers that add up, manifests."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from arrears.engine.money import Money
from arrears.intake.partner_csv import OPTIONAL, REQUIRED

COLUMNS = (*REQUIRED, *OPTIONAL)


def a_fact(record: str, placement: str, reference: str, **cells: str) -> dict[str, str]:
    return {"record": record, "placement_id": placement, "account_id": "A-1", "reference": reference} | cells


def rows(*facts: dict[str, str]) -> bytes:
    """The file without control totals."""
    lines = [",".join(COLUMNS), *(",".join(fact.get(column, "") for column in COLUMNS) for fact in facts)]
    return "".join(f"{line}\n" for line in lines).encode()


def a_file(*facts: dict[str, str], number: str = "", **wrong: str) -> bytes:
    """The facts and their trailer; `wrong` overrides what it says."""
    collected, kept = sums(facts)
    money = {"currency": "USD", "amount": collected, "commission": kept} if has_money(facts) else {}
    trailer = {"record": "trailer", "reference": number, "count": str(len(facts)), **money, **wrong}
    return rows(*facts, trailer)


def has_money(facts: tuple[dict[str, str], ...]) -> bool:
    return any(fact["record"] in ("payment", "reversal") for fact in facts)


def sums(facts: tuple[dict[str, str], ...]) -> tuple[str, str]:
    def added(column: str) -> str:
        signs = {"payment": 1, "reversal": -1}
        amounts = (
            signs[fact["record"]] * Money.parse(fact[column], "USD").amount for fact in facts if fact["record"] in signs
        )
        return Money(sum(amounts), "USD").decimal_text()

    return added("amount"), added("commission")


def a_manifest(content: bytes, *facts: dict[str, str], **more: Any) -> bytes:
    collected, kept = sums(facts)
    money = [{"currency": "USD", "collected": collected, "commission": kept}] if has_money(facts) else []
    digest = sha256(content).hexdigest()
    said = {"format": "arrears-return/1", "count": len(facts), "sums": money, "sha256": digest, **more}
    return json.dumps(said).encode()
