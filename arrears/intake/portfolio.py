"""The portfolio file: one row per account, as the lender knows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from arrears.engine.money import Money
from arrears.intake.fields import Cells
from arrears.intake.places import plausible_jurisdictions
from arrears.intake.rows import PortfolioError, Record, RejectedRow, read_records, unknown_columns, write_rejected
from arrears.intake.zones import plausible_zones

__all__ = ["PortfolioError", "PortfolioRow", "RejectedRow", "portfolio_warnings", "read_portfolio", "write_rejected"]

REQUIRED = (
    "account_id",
    "name",
    "phone",
    "street",
    "city",
    "region",
    "postal_code",
    "country",
    "due_date",
    "amount_due",
    "balance",
    "currency",
)
OPTIONAL = (
    "locale",
    "email",
    "time_zone",
    "minimum_due",
    "last_payment_date",
    "last_payment_amount",
    "opened_on",
    "creditor",
    "segment",
    "holder_id",
    "sms_consent_on",
)


@dataclass(frozen=True, slots=True)
class PortfolioRow:
    """One good row. `zones`: every IANA zone the holder may be in, the most likely first.

    `phone` is E.164, `country` ISO 3166 in capitals, `locale` BCP 47. A text column the file lacks is empty;
    `time_zone` is what the lender wrote, and already stands first in `zones`. `holder_id`: the lender's number
    for the person, so that two cards of one holder are known as such; the account's own id when not given.
    """

    line: int
    account_id: str
    name: str
    phone: str
    street: str
    city: str
    region: str
    postal_code: str
    country: str
    due_date: date
    amount_due: Money
    balance: Money
    locale: str
    email: str
    time_zone: str
    zones: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    minimum_due: Money | None
    last_payment_date: date | None
    last_payment_amount: Money | None
    opened_on: date | None
    creditor: str
    segment: str
    holder_id: str
    sms_consent_on: date | None


def read_portfolio(path: Path) -> Iterator[PortfolioRow | RejectedRow]:
    """Good rows and rejected ones, in the file's order; memory holds the ids seen and nothing else.

    An id belongs to the first good row that uses it; later ones are rejected. A line break in the street is
    read as a comma. Raises PortfolioError before the first row when the file as a whole cannot be read.
    """
    seen: dict[str, int] = {}
    for record in read_records(path, required=REQUIRED, optional=OPTIONAL, multiline=("street",)):
        row = _row(record, seen) if isinstance(record, Record) else record
        if isinstance(row, PortfolioRow):
            seen[row.account_id] = row.line
        yield row


def portfolio_warnings(path: Path) -> tuple[str, ...]:
    """What is odd about the file and no reason to refuse it: a line for each column that nothing reads."""
    unknown = unknown_columns(path, required=REQUIRED, optional=OPTIONAL)
    return tuple(f"{path.name}: column {name[:40]!r} is not known and not read" for name in unknown)


def _row(record: Record, seen: Mapping[str, int]) -> PortfolioRow | RejectedRow:
    cells = Cells(record.cells)
    account_id = cells.account_id()
    if first := seen.get(account_id):
        cells.problems.append(f"account_id was used on line {first} already")
    name = cells.text("name", required=True)
    country = cells.country()
    # Addresses without a region exist: only what a letter cannot do without is required.
    street, city = cells.text("street", required=True), cells.text("city", required=True)
    region, postal_code = cells.text("region").upper(), cells.text("postal_code", required=True)
    phone = cells.phone(country)
    due_date = cells.day("due_date", required=True)
    currency = cells.currency()
    amount_due = cells.money("amount_due", currency, required=True)
    balance = cells.money("balance", currency, required=True)
    if amount_due is not None and balance is not None and balance < amount_due:
        cells.problems.append("balance is less than amount_due")
    time_zone = cells.zone()
    locale = cells.locale(country)
    minimum_due = cells.money("minimum_due", currency)
    last_payment_amount = cells.money("last_payment_amount", currency)
    last_payment_date, opened_on = cells.day("last_payment_date"), cells.day("opened_on")
    sms_consent_on = cells.day("sms_consent_on")
    if len(cells.text("holder_id")) > 64:
        cells.problems.append("holder_id is longer than 64 characters")
    if cells.problems or country is None or due_date is None or amount_due is None or balance is None:
        return RejectedRow(record.line, account_id, "; ".join(cells.problems), record.raw)
    return PortfolioRow(
        line=record.line,
        account_id=account_id,
        name=name,
        phone=phone,
        street=street,
        city=city,
        region=region,
        postal_code=postal_code,
        country=country,
        due_date=due_date,
        amount_due=amount_due,
        balance=balance,
        locale=locale,
        email=cells.text("email"),
        time_zone=time_zone,
        zones=plausible_zones(country=country, region=region, phone_e164=phone, time_zone=time_zone),
        jurisdictions=plausible_jurisdictions(
            country=country, region=region, city=city, postal_code=postal_code, phone_e164=phone
        ),
        minimum_due=minimum_due,
        last_payment_date=last_payment_date,
        last_payment_amount=last_payment_amount,
        opened_on=opened_on,
        creditor=cells.text("creditor"),
        segment=cells.text("segment"),
        holder_id=cells.text("holder_id") or account_id,
        sms_consent_on=sms_consent_on,
    )
