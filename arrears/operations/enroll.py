"""A portfolio file in: accounts, cases, and what each case waits for first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path

from sqlalchemy import select as select_columns
from sqlmodel import Session, col, func, select

import models
from arrears.clock import iso
from arrears.engine.case import Case, Step
from arrears.engine.contact.facts import ContactChannel, Facts
from arrears.engine.decide import Decision, Perform, Skip, Wait, decide
from arrears.engine.delinquency import at_local
from arrears.engine.ladder import Ladder
from arrears.engine.life.events import AddressFound, Billed, one_line
from arrears.engine.money import Money
from arrears.engine.vocabulary import CaseStatus, StepStatus
from arrears.intake.portfolio import PortfolioRow, RejectedRow, read_portfolio, write_rejected
from arrears.ledger import state
from arrears.ledger.cases import read_case_file
from arrears.ledger.events import log_event
from arrears.ledger.life import key_of
from arrears.operations.inbox import take
from arrears.operations.mail import ADDRESSES
from arrears.operations.services import Services, find_ladder
from arrears.operations.strain import count_accounts, require_room

_BATCH = 1_000
# The register of what falls due after the account was taken in.
BILLS = "bills"
_ADDRESS = ("street", "city", "region", "postal_code", "country")


@dataclass(slots=True)
class Enrolment:
    """What came of a portfolio file. `opened` lists (account, case) pairs only when asked for."""

    portfolio: str
    rows: int = 0
    enrolled: int = 0
    already: int = 0
    renewed: int = 0
    moved: int = 0
    not_past_due: int = 0
    rejected: list[RejectedRow] = field(default_factory=list[RejectedRow])
    rejected_path: Path | None = None
    opened: list[str] = field(default_factory=list[str])
    first: Counter[str] = field(default_factory=Counter[str])
    dry_run: bool = False


def enroll(
    services: Services,
    path: Path,
    *,
    at: datetime,
    who: str,
    driver: str,
    virtual: bool = False,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Enrolment:
    """Take every good row of `path` in, true as of `at`; refuse the bad ones by line and reason.

    Idempotent by account id: an account that is known is left as it is, unless its last case is closed and
    the row is about a later due date: that is its next delinquency; or its address is another: that is taken in.
    A thousand rows are one
    transaction, so an interrupted run is completed by running it again. With `virtual`, an empty ledger's
    clock starts at `at`. Raises PortfolioError when the file as a whole cannot be read, TooMuchForSqlite.
    """
    result = Enrolment(portfolio=path.stem, dry_run=dry_run)
    ladder = find_ladder(services.ladders, services.settings.ladder)
    rows = read_portfolio(path)
    with services.ledger.read() as session:
        before = count_accounts(session)
    if virtual and not dry_run:
        _start_virtual_clock(services, at)
    while batch := list(islice(rows, _BATCH)):
        good = [row for row in batch if isinstance(row, PortfolioRow)]
        result.rejected.extend(row for row in batch if isinstance(row, RejectedRow))
        result.rows += len(batch)
        with services.ledger.write() as session:
            known = _known(session, good)
            new = [row for row in good if row.account_id not in known]
            again = [row for row in good if _is_next(known.get(row.account_id), row)]
            if not dry_run:
                require_room(services, before + result.enrolled + len(new))
            moved = _moved(session, known, good)
            result.already += len(good) - len(new) - len(again)
            result.renewed += len(again)
            result.moved += len(moved)
            if not dry_run:
                for row in moved:
                    _readdress(services, session, row, result, at=at, who=who)
                for row in again:
                    _renew(services, session, row, result, at=at, who=who, driver=driver)
            for row in new:
                first = _first_move(services, row, ladder, at)
                if isinstance(first, Perform):
                    result.first[str(first.rung.channel)] += 1
                if not dry_run:
                    _open(services, session, row, first, ladder, result, at=at, who=who, driver=driver)
            result.enrolled += len(new)
            result.not_past_due += sum(row.amount_due.amount == 0 for row in new)
        if progress is not None:
            progress(result.rows)
    if not dry_run:
        result.rejected_path = write_rejected(path, result.rejected)
        with services.ledger.write() as session:
            data: dict[str, object] = {
                "portfolio": result.portfolio,
                "rows": result.rows,
                "enrolled": result.enrolled,
                "already": result.already,
                "renewed": result.renewed,
                "moved": result.moved,
                "rejected": len(result.rejected),
            }
            log_event(session, "portfolio", who=who, at=at, wall=services.clock.wall(), why=path.name, data=data)
    return result


@dataclass(frozen=True, slots=True)
class _Known:
    """What the ledger has of an account: its currency, the latest due date it knows of, whether a case is open.

    `addresses`: where it is, and where it was when it came in.
    """

    currency: str
    due_date: date
    open: bool
    addresses: tuple[str, ...]


def _known(session: Session, rows: list[PortfolioRow]) -> dict[str, _Known]:
    ids = [row.account_id for row in rows]
    account, case = models.Account, models.Case
    address = [col(getattr(account, part)) for part in _ADDRESS]
    accounts = select_columns(
        col(account.id), col(account.currency), col(account.due_date), col(account.opening_address), *address
    ).where(col(account.id).in_(ids))
    cases = select_columns(col(case.account_id), col(case.due_date), col(case.status)).where(
        col(case.account_id).in_(ids)
    )
    connection = session.connection()
    found = {
        # One that was never behind may be so for the very date it was taken in with.
        account_id: _Known(currency, due_date - timedelta(days=1), open=False, addresses=(opening, one_line(*parts)))
        for account_id, currency, due_date, opening, *parts in connection.execute(accounts)
    }
    for account_id, due_date, status in connection.execute(cases):
        so_far = found[account_id]
        is_open = so_far.open or status != CaseStatus.CLOSED
        found[account_id] = replace(so_far, due_date=max(so_far.due_date, due_date), open=is_open)
    return found


def _moved(session: Session, known: dict[str, _Known], rows: list[PortfolioRow]) -> list[PortfolioRow]:
    """The rows of accounts that are known, at an address that never was theirs."""
    odd = [row for row in rows if row.account_id in known and _address(row) not in known[row.account_id].addresses]
    if not odd:
        return []
    told = models.LifeEvent
    found = select(told).where(col(told.account_id).in_([row.account_id for row in odd]), told.kind == "address")
    theirs = {(each.account_id, one_line(*(str(each.data[part]) for part in _ADDRESS))) for each in session.exec(found)}
    return [row for row in odd if (row.account_id, _address(row)) not in theirs]


def _address(row: PortfolioRow) -> str:
    return one_line(*(getattr(row, part) for part in _ADDRESS))


def _readdress(
    services: Services, session: Session, row: PortfolioRow, result: Enrolment, *, at: datetime, who: str
) -> None:
    """The lender has another address by now; one that it has sent before is old news, and says nothing."""
    mark = sha256(_address(row).encode()).hexdigest()[:16]
    event = AddressFound(
        key=key_of(ADDRESSES, f"{row.account_id}/{mark}"),
        at=at,
        why=f"portfolio {result.portfolio}",
        **{part: getattr(row, part) for part in _ADDRESS},
    )
    take(services, session, row.account_id, event, received_at=at, via=f"portfolio {result.portfolio}", who=who)


def _is_next(known: _Known | None, row: PortfolioRow) -> bool:
    """Whether the row tells of another delinquency of an account that is known and not behind."""
    if known is None or known.open or row.amount_due.amount <= 0:
        return False
    return row.due_date > known.due_date and row.balance.currency == known.currency


def _renew(
    services: Services, session: Session, row: PortfolioRow, result: Enrolment, *, at: datetime, who: str, driver: str
) -> None:
    reference = f"{row.account_id}/{row.due_date}"
    event = Billed(
        key=key_of(BILLS, reference),
        at=at,
        due_on=row.due_date,
        amount=row.amount_due.amount,
        balance=row.balance.amount,
    )
    via = f"portfolio {result.portfolio}"
    taken = take(
        services,
        session,
        row.account_id,
        event,
        received_at=at,
        via=via,
        who=who,
    )
    # One that ended unpaid, as before a court, is not begun anew: more is owed in it.
    if taken.new and not taken.closed:
        case = read_case_file(session, row.account_id, lock=True).case
        case.driver = driver
        session.add(case)
        result.opened.append(row.account_id)


def _open(
    services: Services,
    session: Session,
    row: PortfolioRow,
    first: Decision,
    ladder: Ladder,
    result: Enrolment,
    *,
    at: datetime,
    who: str,
    driver: str,
) -> None:
    session.add(_account(row, result.portfolio, services.settings.creditor, at))
    if row.phone:
        session.add(models.AccountNumber(number=row.phone, account_id=row.account_id))
    if row.sms_consent_on is not None:
        session.add(_text_consent(row, row.sms_consent_on, who))
    if row.amount_due.amount == 0:
        return
    if isinstance(first, Perform):
        waits = Wait(at, f"{first.rung.name} is due", first.rung.name)
    else:
        waits = first if isinstance(first, Wait) else Wait(at, "to be decided")
    case = models.Case(
        account_id=row.account_id,
        status=CaseStatus.DELINQUENT,
        began=row.due_date,
        due_date=row.due_date,
        ladder=ladder.name,
        ladder_version=ladder.version,
        driver=driver,
        next_due_at=waits.until,
        next_rung=waits.rung,
        next_reason=waits.reason,
        opened_at=at,
    )
    session.add(case)
    result.opened.append(row.account_id)
    data: dict[str, object] = {"portfolio": result.portfolio, "line": row.line, "ladder": ladder.id, "at": iso(at)}
    log_event(session, "enrolled", who=who, at=at, wall=services.clock.wall(), case=case, data=data)


def _first_move(services: Services, row: PortfolioRow, own: Ladder, at: datetime) -> Decision:
    """What the account comes to first, past the rungs that its age already skips."""
    facts = Facts(row.jurisdictions, row.zones, email_known=bool(row.email))
    ladder = services.lawful_ladder(own, facts, at.date())
    zone = row.zones[0] if row.zones else ""
    case = Case(row.account_id, row.due_date, row.amount_due, row.balance, zone)
    while isinstance(first := decide(case, ladder, now=at), Skip):
        step = Step(first.rung.name, first.attempt, first.rung.channel, StepStatus.SKIPPED, at=at)
        case = replace(case, steps=(*case.steps, step))
    return first


def _account(row: PortfolioRow, portfolio: str, creditor: str, at: datetime) -> models.Account:
    return models.Account(
        id=row.account_id,
        holder_id=row.holder_id,
        portfolio=portfolio,
        name=row.name,
        phones=[row.phone],
        email=row.email,
        street=row.street,
        city=row.city,
        region=row.region,
        postal_code=row.postal_code,
        country=row.country,
        locale=row.locale,
        zones=list(row.zones),
        jurisdictions=list(row.jurisdictions),
        currency=row.balance.currency,
        opening_due=row.amount_due.amount,
        opening_balance=row.balance.amount,
        amount_due=row.amount_due.amount,
        balance=row.balance.amount,
        minimum_due=_minor(row.minimum_due),
        due_date=row.due_date,
        last_payment_on=row.last_payment_date,
        last_payment_amount=_minor(row.last_payment_amount),
        opened_on=row.opened_on,
        creditor=row.creditor or creditor,
        segment=row.segment,
        enrolled_at=at,
    )


def _text_consent(row: PortfolioRow, given_on: date, who: str) -> models.Consent:
    given = at_local(given_on, time(0), row.zones[0] if row.zones else "")
    evidence = "the lender's portfolio file"
    return models.Consent(
        account_id=row.account_id, channel=ContactChannel.SMS, at=given, evidence=evidence, recorded_by=who
    )


def _minor(money: Money | None) -> int | None:
    return money.amount if money is not None else None


def _start_virtual_clock(services: Services, at: datetime) -> None:
    with services.ledger.write() as session:
        if session.exec(select(func.count()).select_from(models.Account)).one() == 0:
            state.put(session, state.VIRTUAL_NOW, iso(at))
