"""The inbox in the ledger: rows to the engine's events and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, func, select

import models
from arrears.engine.life.books import Opening
from arrears.engine.life.events import (
    AddressFound,
    Adjustment,
    Billed,
    Charge,
    ConsentGiven,
    ConsentRevoked,
    HoldReleased,
    HoldSet,
    LifeEvent,
    MailReturned,
    NumberChecked,
    Payment,
    Plan,
    Promise,
    Residue,
    Reversal,
    Untextable,
    Withdrawn,
)
from arrears.engine.life.placements import (
    PlacementReported,
    Recalled,
    ReferralReported,
    RemittanceReversed,
    Remitted,
)
from arrears.rendering.stored import from_json, to_json

KINDS: Final[Mapping[str, type[LifeEvent]]] = {
    "payment": Payment,
    "reversal": Reversal,
    "charge": Charge,
    "adjustment": Adjustment,
    "billed": Billed,
    "residue": Residue,
    "promise": Promise,
    "plan": Plan,
    "withdrawn": Withdrawn,
    "number": NumberChecked,
    "untextable": Untextable,
    "returned_mail": MailReturned,
    "address": AddressFound,
    "hold": HoldSet,
    "release": HoldReleased,
    "consent": ConsentGiven,
    "revocation": ConsentRevoked,
    "placement_report": PlacementReported,
    "remittance": Remitted,
    "remittance_reversal": RemittanceReversed,
    "recall": Recalled,
    "referral_report": ReferralReported,
}
_WORD: Final[Mapping[type[LifeEvent], str]] = {shape: word for word, shape in KINDS.items()}


def key_of(source: str, external_id: str) -> str:
    """The name of an event for good."""
    return f"{source}:{external_id}"


def unused_name(session: Session, account_id: str, what: str, at: datetime) -> str:
    """A reference for something that came without one. The caller has locked the person."""
    told = session.exec(
        select(func.count()).select_from(models.LifeEvent).where(models.LifeEvent.account_id == account_id)
    ).one()
    return f"{account_id}/{what}/{at.isoformat()}/{told}"


def to_event(row: models.LifeEvent) -> LifeEvent:
    """The engine's event that a row stands for."""
    stored = {
        **row.data,
        "key": key_of(row.source, row.external_id),
        "at": row.happened_at.isoformat(),
        "seq": row.id or 0,
    }
    return from_json(KINDS[row.kind], stored)


def to_row(event: LifeEvent, account_id: str, *, received_at: datetime, via: str, who: str) -> models.LifeEvent:
    """The row that keeps an event, under the register and name that its key is made of."""
    source, _, external_id = event.key.partition(":")
    data: dict[str, Any] = to_json(event)
    for name in ("key", "at", "seq"):
        del data[name]
    return models.LifeEvent(
        source=source,
        external_id=external_id,
        account_id=account_id,
        kind=_WORD[type(event)],
        happened_at=event.at,
        received_at=received_at,
        data=data,
        via=via,
        recorded_by=who,
    )


def opening_of(account: models.Account) -> Opening:
    """The account as it was taken in."""
    return Opening(account.due_date, account.opening_due, account.opening_balance)
