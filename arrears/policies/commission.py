"""The `commission:` block of a partner's file."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from arrears.engine.commission import AgeOf, ByAge, ByTarget, Commission, Flat, Schedule, Step, problems_of
from arrears.policies.check import Row
from arrears.policies.fields import Days, one_of, wrong_block, wrong_value

_PERCENT: Final = re.compile(r"(100|[0-9]{1,2})(?:\.([0-9]{1,2}))?")


def _basis_points(value: object) -> object:
    """`22.5` percent is 2,250 basis points."""
    match = _PERCENT.fullmatch(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    points = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else None
    if points is None or points > 10_000:
        raise wrong_value(f"{value!r} is no percentage; expected 0 to 100 with at most two decimals, such as 22.5")
    return points


Percent = Annotated[int, BeforeValidator(_basis_points)]
"""Basis points, written as a percentage."""


class BandRow(Row):
    """`{from: 90, percent: 25}`: from day 90 on."""

    least: Annotated[Days, Field(alias="from")]
    percent: Percent


class TierRow(Row):
    """`{from: 10, percent: 25}`: from a tenth of the vintage on."""

    least: Annotated[Percent, Field(alias="from")]
    percent: Percent


def _ascending(rows: list[BandRow] | list[TierRow]) -> list[BandRow] | list[TierRow]:
    if why := problems_of(_steps(rows)):
        raise wrong_value(f"are out of order: {why}")
    return rows


class ByAgeRow(Row):
    """`{of: debt, bands: […]}`."""

    of: Annotated[AgeOf, one_of(AgeOf, "age")]
    bands: Annotated[list[BandRow], AfterValidator(_ascending)]


class ByTargetRow(Row):
    """`{tiers: […]}`."""

    tiers: Annotated[list[TierRow], AfterValidator(_ascending)]


class ScheduleRow(Row):
    """One of `flat`, `by_age`, `by_target`."""

    flat: Percent | None = None
    by_age: ByAgeRow | None = None
    by_target: ByTargetRow | None = None

    @model_validator(mode="after")
    def _one_way(self) -> ScheduleRow:
        if sum(each is not None for each in (self.flat, self.by_age, self.by_target)) != 1:
            raise wrong_block("a commission needs one of flat, by_age or by_target")
        return self

    def schedule(self) -> Schedule:
        """As the engine has it."""
        if self.by_age is not None:
            return ByAge(self.by_age.of, _steps(self.by_age.bands))
        if self.by_target is not None:
            return ByTarget(_steps(self.by_target.tiers))
        assert self.flat is not None, "one of them is there"
        return Flat(self.flat)


class CommissionRow(ScheduleRow):
    """The terms; `further` is for accounts that another agency has had before, `tolerance` in minor units a row."""

    further: ScheduleRow | None = None
    tolerance: Annotated[int, Field(ge=0, le=100)] = 0

    def commission(self) -> Commission:
        """As the engine has it."""
        further = self.further.schedule() if self.further is not None else None
        return Commission(self.schedule(), further, self.tolerance)


def _steps(rows: list[BandRow] | list[TierRow]) -> tuple[Step, ...]:
    return tuple(Step(row.least, row.percent) for row in rows)
