"""Limitation periods: until when a debt may be sued upon. Data in `policies/limitation.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from arrears.policies.check import Row, check
from arrears.policies.document import Document, Place
from arrears.policies.fields import Text, one_of
from arrears.policies.rule_rows import Evidence
from arrears.policies.source import read_document

_Claim = tuple[str, str, date | None, date]
_MOST_KEPT = 50_000


class Start(StrEnum):
    """From when the years count."""

    CLAIM = "claim"
    END_OF_YEAR = "end_of_year"


class PeriodRow(Row):
    """One limitation period. `revives: false`: a payment after the end does not start it anew."""

    years: Annotated[int, Field(ge=1, le=30)]
    source: Text
    evidence: Annotated[Evidence, one_of(Evidence, "kind of evidence")]
    verified: bool
    counts_from: Annotated[Start, one_of(Start, "start")] = Start.CLAIM
    revives: bool = True
    also_called: Annotated[list[Text], Field(default_factory=list)]
    note: str = ""


class CountryRow(Row):
    """A country's own period, those of its regions, or both."""

    period: object = None
    regions: Annotated[dict[str, object], Field(default_factory=dict)]


class _File(Row):
    countries: Annotated[dict[str, object], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Reckoned:
    """A limitation period applied to one claim: `ends` is the first day on which it is time-barred.

    `rule` names the period's place in the file; `counted_from` is a day and `because` what happened on it.
    """

    rule: str
    years: int
    source: str
    verified: bool
    counted_from: date
    because: str
    ends: date

    def days_left(self, today: date) -> int:
        """Days on which it may still go to court, today included; zero or less when time-barred."""
        return (self.ends - today).days


@dataclass(frozen=True)
class Limitation:
    """Every known limitation period, by country and region in capitals; region `` is the country's own."""

    periods: Mapping[tuple[str, str], PeriodRow]
    _reckoned: dict[_Claim, Reckoned | None] = field(
        default_factory=dict["_Claim", "Reckoned | None"], compare=False, repr=False
    )

    def limitation_years(self, country: str, region: str) -> int | None:
        """Years after which a claim is time-barred; None where nothing is known.

        `region` is a subdivision without the country (`MA`, `SCT`). A country whose law is its regions'
        has no period of its own.
        """
        period = self._period(country, region)
        return period.years if period else None

    def limitation_ends(self, country: str, region: str, last_payment: date | None, due_date: date) -> date | None:
        """First day on which the claim is time-barred; None where nothing is known."""
        reckoned = self.reckon(country, region, last_payment, due_date)
        return reckoned.ends if reckoned else None

    def reckon(self, country: str, region: str, last_payment: date | None, due_date: date) -> Reckoned | None:
        """The period of the place applied to one claim; None where nothing is known.

        Counted from the later of the due date and the last payment, which acknowledges the debt. Where the
        years count from the end of the year (BGB 199), a payment restarts them on its own day (BGB 212).
        On a 29 February the period ends a day early rather than late.
        """
        claim = (country, region, last_payment, due_date)
        if claim not in self._reckoned:
            if len(self._reckoned) >= _MOST_KEPT:
                self._reckoned.clear()
            self._reckoned[claim] = self._reckon(*claim)
        return self._reckoned[claim]

    def _reckon(self, country: str, region: str, last_payment: date | None, due_date: date) -> Reckoned | None:
        land, part = country.strip().upper(), region.strip().upper()
        key = (land, part) if (land, part) in self.periods else (land, "")
        period = self.periods.get(key)
        if period is None:
            return None
        counted_from, because, ends = due_date, "first missed due date", _years_later(due_date, period.years)
        if period.counts_from is Start.END_OF_YEAR:
            counted_from, because = date(due_date.year, 12, 31), "end of the year of the first missed due date"
            ends = date(due_date.year + period.years + 1, 1, 1)
        revived = last_payment is not None and (last_payment < ends or period.revives)
        if last_payment is not None and revived and _years_later(last_payment, period.years) > ends:
            counted_from, because, ends = last_payment, "last payment", _years_later(last_payment, period.years)
        rule = "-".join(("LIMITATION", *filter(None, key)))
        return Reckoned(rule, period.years, period.source, period.verified, counted_from, because, ends)

    def _period(self, country: str, region: str) -> PeriodRow | None:
        land, part = country.strip().upper(), region.strip().upper()
        return self.periods.get((land, part)) or self.periods.get((land, ""))


def load_limitation(path: Path) -> Limitation:
    """The periods in the file at `path`. Raises PolicyError with every problem, each with its line."""
    document = read_document(path)
    document.subject = _subject
    head = check(document, (), _File)
    periods: dict[tuple[str, str], PeriodRow] = {}
    for country in head.countries if head else ():
        place: Place = ("countries", country)
        row = check(document, place, CountryRow)
        if row is None:
            continue
        if row.period is None and not row.regions:
            document.report(place, "needs a period, regions or both")
        if row.period is not None:
            _add(document, (*place, "period"), periods, country, "")
        for region in row.regions:
            _add(document, (*place, "regions", region), periods, country, region)
    document.settle()
    return Limitation(periods)


def _add(
    document: Document, place: Place, periods: dict[tuple[str, str], PeriodRow], country: str, region: str
) -> None:
    row = check(document, place, PeriodRow)
    if row is None:
        return
    for name in (region, *row.also_called):
        periods[(country.upper(), name.upper())] = row


def _subject(place: Place) -> str:
    match place:
        case ("countries", str(country), "regions", str(region), *_):
            return f"{country}-{region}: "
        case ("countries", str(country), *_):
            return f"{country}: "
        case _:
            return ""


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 2, 28)
