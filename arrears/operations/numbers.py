"""Telephone numbers: which are bad, and which a search has found."""

from __future__ import annotations

from datetime import datetime

from arrears.engine.life.events import NumberChecked
from arrears.ledger.life import key_of
from arrears.operations.pay import Posted, post
from arrears.operations.services import Services

# The register of what calls, messages and searches show about numbers.
NUMBERS = "numbers"


def check_number(
    services: Services,
    account_id: str,
    number: str,
    *,
    good: bool,
    why: str,
    reference: str,
    at: datetime,
    source: str,
    who: str,
) -> Posted:
    """Record whether the holder can be reached at `number` (E.164). A good one that is new is added.

    The holder may then also be where the number is: its zones and its law count from now on. Raises
    UnknownAccount and EventRefused.
    """
    event = NumberChecked(key=key_of(NUMBERS, reference), at=at, number=number, good=good, why=why)
    return post(services, account_id, event, source=source, who=who)
