"""Public holidays by the names the rules use."""

from __future__ import annotations

from datetime import date
from functools import cache

import holidays

FIRST_YEAR, LAST_YEAR = 2000, 2060

_COUNTRIES: dict[str, tuple[str, str | None]] = {
    "gb_bank_holidays": ("GB", "ENG"),  # England and Wales, as in the rules of the GB file
    "us_federal_holidays": ("US", None),
}

CALENDAR_NAMES = tuple(_COUNTRIES)


@cache
def calendar(name: str) -> frozenset[date]:
    """The public holidays of a named calendar, 2000 to 2060; days outside count as working days.

    A plain set, so that threads may read it at once: the calendars of `holidays` fill in as they are
    read. Raises KeyError for a name that is not in CALENDAR_NAMES.
    """
    country, subdivision = _COUNTRIES[name]
    return frozenset(holidays.country_holidays(country, subdivision, years=range(FIRST_YEAR, LAST_YEAR + 1)))
