"""Which time zones a holder may be in, from address, number, and what the lender knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.resources import files
from typing import cast

import phonenumbers
import yaml
from phonenumbers import timezone

from arrears.intake.numbers import has_a_place, stand_in
from arrears.settings import ROOT

_UNKNOWN = "Etc/Unknown"
_MOST_ZONES_OF_A_NUMBER = 3


def plausible_zones(*, country: str, region: str, phone_e164: str, time_zone: str) -> tuple[str, ...]:
    """IANA zones the holder may be in, the most likely first; empty when nothing is known.

    `country` is ISO 3166 alpha-2 and `region` its subdivision (`CA` or `US-CA`), both in capitals.

    - The address gives the zones of its region, or every zone of the country when the region is not listed.
    - What the lender knows (`time_zone`) replaces what the address suggests.
    - The number's zones are always added: whoever moved keeps the number, and a contact must be legal in
      every place they may be. A toll-free or network number is nobody's place and adds nothing. A number
      known only to be of a wide country (an Australian mobile, a new American area code) adds nothing
      either: a dozen zones would leave no hour to call in, and would say no more than the country does.

    Zones that have agreed since 1970 count once, under the name that came first.
    """
    zones = (time_zone,) if time_zone else _of_address(country, region)
    return tuple(_distinct((*zones, *_of_telephone(stand_in(phone_e164)))))


@lru_cache(maxsize=4096)
def _of_address(country: str, region: str) -> tuple[str, ...]:
    by_region = _subdivisions().get(country)
    if by_region is None:
        return _of_country().get(country, ())
    if zones := by_region.get(region.removeprefix(f"{country}-")) or by_region.get("*"):
        return zones
    return tuple(dict.fromkeys(zone for zones in by_region.values() for zone in zones))


@lru_cache(maxsize=65_536)
def _of_telephone(e164: str) -> tuple[str, ...]:
    if not e164:
        return ()
    number = phonenumbers.parse(e164)
    if not has_a_place(number):
        return ()
    zones = tuple(_distinct(zone for zone in timezone.time_zones_for_number(number) if zone != _UNKNOWN))
    return zones if len(zones) <= _MOST_ZONES_OF_A_NUMBER else ()


def _distinct(zones: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for zone in zones:
        target = _links().get(zone, zone)
        if target not in seen:
            seen.add(target)
            yield zone


@lru_cache(maxsize=1)
def _subdivisions() -> dict[str, dict[str, tuple[str, ...]]]:
    path = ROOT / "policies" / "zones" / "subdivisions.yaml"
    data = cast(dict[str, dict[str, list[str]]], yaml.safe_load(path.read_text(encoding="utf-8")))
    return {country: {region: tuple(zones) for region, zones in rows.items()} for country, rows in data.items()}


@lru_cache(maxsize=1)
def _of_country() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line in _tzdata("zone.tab"):
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            found.setdefault(country, []).append(zone)
    return {country: tuple(zones) for country, zones in found.items()}


@lru_cache(maxsize=1)
def _links() -> dict[str, str]:
    rows = (line.split() for line in _tzdata("tzdata.zi") if line.startswith("L "))
    return {alias: target for _, target, alias in rows}


def _tzdata(name: str) -> list[str]:
    return files("tzdata").joinpath("zoneinfo", name).read_text(encoding="utf-8").splitlines()
