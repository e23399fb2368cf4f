"""A number that a search has found, added to its account."""

from __future__ import annotations

from sqlmodel import Session

import models
from arrears.engine.life.events import LifeEvent, NumberChecked
from arrears.intake.places import plausible_jurisdictions
from arrears.intake.zones import plausible_zones


def learn(session: Session, account: models.Account, event: LifeEvent) -> None:
    """Add a number that was found to the account, in the caller's transaction."""
    if not isinstance(event, NumberChecked) or not event.good or event.number in account.phones:
        return
    zones = plausible_zones(
        country=account.country,
        region=account.region,
        phone_e164=event.number,
        time_zone=account.zones[0] if account.zones else "",
    )
    places = plausible_jurisdictions(
        country=account.country,
        region=account.region,
        city=account.city,
        postal_code=account.postal_code,
        phone_e164=event.number,
    )
    account.phones = [*account.phones, event.number]
    account.zones = list(dict.fromkeys((*account.zones, *zones)))
    account.jurisdictions = list(dict.fromkeys((*account.jurisdictions, *places)))
    session.add(account)
    session.add(models.AccountNumber(number=event.number, account_id=account.id))
