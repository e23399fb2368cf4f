"""Whose contact law may bind: every place the holder may be in, from address and number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import phonenumbers
import yaml

from arrears.intake.numbers import has_a_place, stand_in
from arrears.settings import ROOT


def plausible_jurisdictions(
    *, country: str, region: str, city: str, postal_code: str, phone_e164: str
) -> tuple[str, ...]:
    """Country, subdivision and city (`US`, `US-NY`, `US-NY-NYC`) of the address, then of the number.

    `country` is ISO 3166 alpha-2 and `region` its subdivision, both in capitals. Whoever moved keeps the
    number: where address and number disagree, the law of both places may apply, and the strictest wins.
    A number's state is known from its area code; a toll-free or network number is nobody's place.
    """
    found = (
        *_of_address(country, region, city, postal_code),
        *_of_telephone(stand_in(phone_e164)),
    )
    return tuple(dict.fromkeys(found))


def _of_address(country: str, region: str, city: str, postal_code: str) -> Iterator[str]:
    yield country
    part = region.removeprefix(f"{country}-")
    if part:
        yield f"{country}-{part}"
    for name, place in _cities().items():
        if place.country == country and place.region == part and place.holds(city, postal_code):
            yield name


@lru_cache(maxsize=65_536)
def _of_telephone(e164: str) -> tuple[str, ...]:
    if not e164:
        return ()
    number = phonenumbers.parse(e164)
    if not has_a_place(number):
        return ()
    country = phonenumbers.region_code_for_number(number)
    if not country:
        return ()
    if country != "US":
        return (country,)
    # Most commands take no portfolio in, and this import alone takes a third of a second.
    from phonenumbers import geocoder

    # `New York, NY`, or the bare name of the state where the number's city is not told.
    where = geocoder.description_for_number(number, "en")
    state = where.rpartition(", ")[2]
    state = state if state in _STATES.values() else _STATES.get(where, "")
    area = e164[2:5]
    cities = [name for name, place in _cities().items() if place.country == country and area in place.area_codes]
    return (country, *([f"US-{state}"] if state else []), *cities)


@dataclass(frozen=True, slots=True)
class _City:
    country: str
    region: str
    postal_codes: tuple[str, ...]
    cities: frozenset[str]
    area_codes: frozenset[str]

    def holds(self, city: str, postal_code: str) -> bool:
        return postal_code.strip().startswith(self.postal_codes) or city.strip().casefold() in self.cities


@lru_cache(maxsize=1)
def _cities() -> dict[str, _City]:
    path = ROOT / "policies" / "places" / "cities.yaml"
    data = cast(dict[str, dict[str, Any]], yaml.safe_load(path.read_text(encoding="utf-8")))
    return {
        name: _City(
            country=row["country"],
            region=row["region"],
            postal_codes=tuple(row["postal_codes"]),
            cities=frozenset(city.casefold() for city in row["cities"]),
            area_codes=frozenset(row["area_codes"]),
        )
        for name, row in data.items()
    }


# ISO 3166-2 by the names that phonenumbers uses.
_STATES = {
    "Alabama": "AL", "Alaska": "AK", "Arizona": "AZ", "Arkansas": "AR", "California": "CA", "Colorado": "CO",
    "Connecticut": "CT", "Delaware": "DE", "District of Columbia": "DC", "Washington D.C.": "DC", "Florida": "FL",
    "Georgia": "GA", "Hawaii": "HI", "Idaho": "ID", "Illinois": "IL", "Indiana": "IN", "Iowa": "IA", "Kansas": "KS",
    "Kentucky": "KY", "Louisiana": "LA", "Maine": "ME", "Maryland": "MD", "Massachusetts": "MA", "Michigan": "MI",
    "Minnesota": "MN", "Mississippi": "MS", "Missouri": "MO", "Montana": "MT", "Nebraska": "NE", "Nevada": "NV",
    "New Hampshire": "NH", "New Jersey": "NJ", "New Mexico": "NM", "New York": "NY", "North Carolina": "NC",
    "North Dakota": "ND", "Ohio": "OH", "Oklahoma": "OK", "Oregon": "OR", "Pennsylvania": "PA", "Rhode Island": "RI",
    "South Carolina": "SC", "South Dakota": "SD", "Tennessee": "TN", "Texas": "TX", "Utah": "UT", "Vermont": "VT",
    "Virginia": "VA", "Washington State": "WA", "Washington": "WA", "West Virginia": "WV", "Wisconsin": "WI",
    "Wyoming": "WY",
}  # fmt: skip
