"""A number or an address that a search has found, added to its account."""

from __future__ import annotations

from sqlmodel import Session, col, select

import models
from arrears.engine.life.events import AddressFound, LifeEvent, NumberChecked
from arrears.intake.places import plausible_jurisdictions
from arrears.intake.zones import plausible_zones
from arrears.ledger.cases import address_of


def learn(session: Session, account: models.Account, row: models.LifeEvent, event: LifeEvent) -> None:
    """Let the account say what was found, kept as `row`, in the caller's transaction."""
    match event:
        case NumberChecked(good=True, number=number) if number not in account.phones:
            zones, places = _places(account, number)
            account.phones = [*account.phones, number]
            account.zones = list(dict.fromkeys((*account.zones, *zones)))
            account.jurisdictions = list(dict.fromkeys((*account.jurisdictions, *places)))
            session.add(account)
            session.add(models.AccountNumber(number=number, account_id=account.id))
        case AddressFound() if _is_the_latest(session, row):
            _move(session, account, event)
        case _:
            pass


def _places(account: models.Account, number: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The zones the holder may be in and the places whose law may bind, by address and number."""
    zones = plausible_zones(
        country=account.country,
        region=account.region,
        phone_e164=number,
        time_zone=account.zones[0] if account.zones else "",
    )
    places = plausible_jurisdictions(
        country=account.country,
        region=account.region,
        city=account.city,
        postal_code=account.postal_code,
        phone_e164=number,
    )
    return zones, places


def _is_the_latest(session: Session, row: models.LifeEvent) -> bool:
    """Whether no later address was told before: of one instant, what is told last counts."""
    later = select(models.LifeEvent.id).where(
        models.LifeEvent.account_id == row.account_id,
        models.LifeEvent.kind == row.kind,
        col(models.LifeEvent.happened_at) > row.happened_at,
    )
    return session.exec(later.limit(1)).first() is None


def _move(session: Session, account: models.Account, event: AddressFound) -> None:
    account.opening_address = account.opening_address or address_of(account)
    account.street, account.city, account.region = event.street, event.city, event.region
    account.postal_code, account.country = event.postal_code, event.country
    zones, places = _places(account, account.phones[0] if account.phones else "")
    # The old places stay: whoever is not sure which law binds keeps both.
    account.zones = list(dict.fromkeys((*account.zones, *zones)))
    account.jurisdictions = list(dict.fromkeys((*places, *account.jurisdictions)))
    session.add(account)
