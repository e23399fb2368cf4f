"""What is known of the accounts that a partner's file speaks of, read together before its lines are judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

import models
from arrears.engine.partner_files import Collected, Line, NumberTold, Reported, RestrictionTold, TakenBack
from arrears.operations.agencies import REMITTANCES, REPORTS
from arrears.operations.hold import HOLDS
from arrears.operations.numbers import NUMBERS

# SQLite takes 32,766 variables in a statement.
_CHUNK = 1_000
Vintage = tuple[str, str]
"""The month of placement, `2026-11`, and the currency."""

_T = TypeVar("_T")


@dataclass(slots=True)
class Remittance:
    """Money that came through the partner, and what of it was taken back."""

    account_id: str
    placement: str
    gross: int
    commission: int
    back: int = 0


@dataclass(slots=True)
class PartnerBooks:
    """The partner's placements and what was collected on them.

    `numbers`: placements by the numbers that AIM and YGC know them by. `known`: names that its facts already have.
    """

    partner: str
    accounts: dict[str, models.Account] = field(default_factory=dict[str, models.Account])
    placements: dict[str, models.Placement] = field(default_factory=dict[str, models.Placement])
    numbers: dict[str, str] = field(default_factory=dict[str, str])
    by_account: dict[str, list[models.Placement]] = field(default_factory=dict[str, list[models.Placement]])
    orders: dict[str, int] = field(default_factory=dict[str, int])
    remittances: dict[str, Remittance] = field(default_factory=dict[str, Remittance])
    known: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    placed: dict[Vintage, int] = field(default_factory=dict[Vintage, int])
    reached: dict[Vintage, int] = field(default_factory=dict[Vintage, int])

    def own(self, account_id: str) -> list[models.Placement]:
        """The partner's placements of an account, the oldest first."""
        return self.by_account.get(account_id, [])


def named(partner: str, reference: str) -> str:
    """A partner's reference as the inbox keeps it: another's may be the same."""
    return f"{partner}/{reference}"


def register_of(line: Line) -> str:
    """The register in which the fact of a line is kept; none for what goes to a person."""
    match line.fact:
        case Collected() | TakenBack():
            return REMITTANCES
        case Reported():
            return REPORTS
        case NumberTold():
            return NUMBERS
        case RestrictionTold():
            return HOLDS
        case _:
            return ""


def vintage_of(placement: models.Placement) -> Vintage:
    """The month in which it was made, in UTC."""
    return f"{placement.at:%Y-%m}", placement.currency


def read_books(session: Session, partner: str, lines: Sequence[Line], *, by_target: bool) -> PartnerBooks:
    """Everything the lines may turn on; with `by_target`, what the vintages they touch have reached."""
    books = PartnerBooks(partner)
    books.numbers = _numbers(session, lines)
    ids = {line.placement for line in lines if line.placement} | set(books.numbers.values())
    for row in _all(session, models.Placement, models.Placement.reference, ids):
        books.placements[row.reference] = row
    accounts = {line.account_id for line in lines if line.account_id} | {
        p.account_id for p in books.placements.values()
    }
    books.accounts = {row.id: row for row in _all(session, models.Account, models.Account.id, accounts)}
    for row in _all(session, models.Placement, models.Placement.account_id, books.accounts):
        books.placements[row.reference] = row
    _order(books)
    _read_remittances(session, books)
    _read_known(session, books, lines)
    if by_target:
        for vintage in {vintage_of(p) for p in books.placements.values() if p.agency == partner}:
            books.placed[vintage], books.reached[vintage] = _vintage(session, partner, vintage)
    return books


def month_of(vintage: Vintage) -> tuple[datetime, datetime]:
    """The instants between which the placements of a vintage were made, the second not included."""
    year, month = (int(part) for part in vintage[0].split("-"))
    begins = datetime.fromisoformat(f"{year:04d}-{month:02d}-01T00:00:00+00:00")
    return begins, begins.replace(year=year + month // 12, month=month % 12 + 1)


def cash_on(session: Session, chosen: ColumnElement[bool]) -> Iterator[tuple[models.LifeEvent, models.Placement]]:
    """Every remittance, and every reversal of one, of the placements that a condition chooses."""
    event, placement = models.LifeEvent, models.Placement
    of_it = (col(placement.account_id) == col(event.account_id)) & (
        col(event.data)["placement"].as_string() == col(placement.reference)
    )
    kinds = col(event.kind).in_(("remittance", "remittance_reversal"))
    yield from session.exec(select(event, placement).join(placement, of_it).where(kinds, chosen))


def signed(event: models.LifeEvent) -> tuple[int, int]:
    """What a remittance brought and what was kept of it, in minor units; below zero when it was taken back."""
    sign = 1 if event.kind == "remittance" else -1
    return sign * int(event.data["gross"]), sign * int(event.data["commission"])


def _vintage(session: Session, partner: str, vintage: Vintage) -> tuple[int, int]:
    begins, ends = month_of(vintage)
    placement = models.Placement
    chosen = (
        (col(placement.agency) == partner)
        & (col(placement.currency) == vintage[1])
        & (col(placement.at) >= begins)
        & (col(placement.at) < ends)
    )
    placed = session.exec(select(func.coalesce(func.sum(placement.balance), 0)).where(chosen)).one()
    return int(placed), sum(signed(event)[0] for event, _ in cash_on(session, chosen))


def _numbers(session: Session, lines: Sequence[Line]) -> dict[str, str]:
    told = {line.file_number.lstrip("0") for line in lines if line.file_number}
    wanted = [int(number) for number in told if number.isascii() and number.isdigit() and len(number) <= 10]
    number = models.PlacementNumber
    return {str(row.number): row.placement for row in _all(session, number, number.number, wanted)}


def _order(books: PartnerBooks) -> None:
    """Which placement of its case each one is, and which of an account are the partner's."""
    of_case: dict[str, list[models.Placement]] = defaultdict(list)
    for placement in books.placements.values():
        of_case[placement.case_id].append(placement)
    for placements in of_case.values():
        ordered = sorted(placements, key=lambda placement: (placement.at, placement.reference))
        books.orders |= {placement.reference: order for order, placement in enumerate(ordered, start=1)}
    for placement in sorted(books.placements.values(), key=lambda placement: placement.at):
        if placement.agency == books.partner:
            books.by_account.setdefault(placement.account_id, []).append(placement)


def _read_remittances(session: Session, books: PartnerBooks) -> None:
    """By the partner's references: what came, and what of it was taken back."""
    event, prefix = models.LifeEvent, named(books.partner, "")
    found = _all(session, event, event.account_id, books.accounts, event.source == REMITTANCES)
    rows = sorted(found, key=lambda row: row.id or 0)
    for row in rows:
        if row.kind == "remittance" and row.external_id.startswith(prefix):
            name = row.external_id.removeprefix(prefix)
            data = row.data
            books.remittances[name] = Remittance(row.account_id, data["placement"], data["gross"], data["commission"])
    for row in rows:
        of = str(row.data.get("of", "")).removeprefix(f"{REMITTANCES}:{prefix}")
        if row.kind == "remittance_reversal" and of in books.remittances:
            books.remittances[of].back += row.data["gross"]


def _read_known(session: Session, books: PartnerBooks, lines: Sequence[Line]) -> None:
    names: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        if register := register_of(line):
            names[register].add(named(books.partner, line.reference))
    event = models.LifeEvent
    for register, of_it in names.items():
        for row in _all(session, event, event.external_id, of_it, event.source == register):
            books.known.add((register, row.external_id))


def _all(session: Session, kind: type[_T], column: Any, values: Iterable[Any], *more: Any) -> Iterable[_T]:
    wanted = sorted(values)
    for begin in range(0, len(wanted), _CHUNK):
        yield from session.exec(select(kind).where(col(column).in_(wanted[begin : begin + _CHUNK]), *more))
