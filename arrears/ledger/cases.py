"""From rows to the engine's frozen snapshots, in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final

from sqlalchemy import String, bindparam
from sqlalchemy import select as select_columns
from sqlalchemy.orm import defer
from sqlmodel import Session, col, desc, or_, select

import models
from arrears.engine.approval import Approval, Standing
from arrears.engine.case import Case, Step, Suspension, Turn
from arrears.engine.contact.facts import ContactChannel, Facts, Hold
from arrears.engine.delinquency import local_date
from arrears.engine.ladder import RecallTerms
from arrears.engine.life.books import Books, reckon
from arrears.engine.life.events import (
    LifeEvent,
    MailReturned,
    Payment,
    Reversal,
    bad_addresses,
    bad_numbers,
    one_line,
    untextable_numbers,
)
from arrears.engine.life.placements import Placed, Placement, placements
from arrears.engine.money import Money
from arrears.engine.vocabulary import CaseStatus, ChannelName, Disposition, Party, StepStatus
from arrears.ledger.ahead import Person, person_of
from arrears.ledger.life import opening_of, to_event

_AGENCY = str(ChannelName.AGENCY)
# Quicker than to ask the enumeration, which is done for every step at every look.
_CHANNELS: Final[dict[str, ChannelName]] = {str(name): name for name in ChannelName}
_STATUSES: Final[dict[str, StepStatus]] = {str(status): status for status in StepStatus}


class UnknownAccount(LookupError):
    """The ledger has no such account, or none with a case."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"account {account_id!r} is not in the ledger")


class NoCase(UnknownAccount):
    """The account is known and was never past due."""

    def __init__(self, account_id: str) -> None:
        LookupError.__init__(self, f"account {account_id!r} has no case: it was never past due")


@dataclass(slots=True)
class CaseFile:
    """Everything the ledger knows about one case, read together: rows to change, facts to decide on.

    `holds` were set for this account, `holds_elsewhere` for others of the person or of their number.
    """

    account: models.Account
    case: models.Case
    steps: list[models.Step]
    approvals: dict[str, list[Approval]]
    holds: list[models.Hold]
    holds_elsewhere: list[models.Hold]
    life: list[LifeEvent]

    def books(self, *, waives: bool = False) -> Books:
        """What the account owes, by everything that has happened to it. `waives`: charges left over, whenever."""
        return reckon(opening_of(self.account), self.life, zone=self.zone, waives=lambda _: waives)

    @property
    def last_payment_on(self) -> date | None:
        """The day of that payment where the account's days are counted."""
        at, reported = self.last_payment_at if self.life else None, self.account.last_payment_on
        if at is None or (reported is not None and at == datetime.combine(reported, time(0), tzinfo=UTC)):
            return reported
        return local_date(at, self.zone)

    @property
    def last_payment_at(self) -> datetime | None:
        """The last payment we know of: posted here, or reported by the lender when the account came in."""
        if self.life:
            taken_back = {event.of for event in self.life if isinstance(event, Reversal) and event.amount is None}
            kept = [e.at for e in self.life if isinstance(e, Payment) and e.key not in taken_back]
            if kept:
                return max(kept)
        paid_on = self.account.last_payment_on
        return datetime.combine(paid_on, time(0), tzinfo=UTC) if paid_on else None

    @property
    def actor(self) -> Party:
        """The bank speaks until the account is placed; whoever it is placed with speaks until it is back."""
        with_agency = self.ever_placed and any(not placement.status.over for placement in self.placements())
        return Party.THIRD if with_agency else Party.FIRST

    @property
    def ever_placed(self) -> bool:
        """Whether an agency has had the account in this case."""
        return any(of["channel"] == _AGENCY and of["status"] == StepStatus.DONE for of in map(vars, self.steps))

    def placements(self, terms: Callable[[str], RecallTerms] = lambda _: RecallTerms()) -> tuple[Placement, ...]:
        """The case's placements as they stand; `terms` by rung."""
        placed = [
            Placed(s.reference, s.rung, str(s.payload.get("agency", "")), s.at, terms(s.rung))
            for s in self.steps
            if ChannelName(s.channel) is ChannelName.AGENCY and s.status == StepStatus.DONE and s.at is not None
        ]
        return placements(placed, self.life)

    @property
    def number(self) -> str:
        """The number at which the holder is to be reached: the first that is not known to be bad, or none."""
        phones, bad = self.account.phones, bad_numbers(self.life) if self.life else frozenset[str]()
        return next((number for number in phones if number not in bad), "")

    @property
    def text_numbers(self) -> list[str]:
        """The numbers at which the holder is known neither to be out of reach nor to get no texts, in order."""
        if not self.life:
            return self.account.phones
        no_use = bad_numbers(self.life) | untextable_numbers(self.life)
        return [number for number in self.account.phones if number not in no_use]

    @property
    def mail_returned(self) -> bool:
        """Whether mail comes back from the address that is known."""
        came_back = any(isinstance(event, MailReturned) for event in self.life)
        return came_back and address_of(self.account) in bad_addresses(self.life)

    def number_for(self, channel: ChannelName) -> str:
        """The number that a rung of this channel goes to, or none."""
        return next(iter(self.text_numbers), "") if channel is ChannelName.SMS else self.number

    @property
    def zone(self) -> str:
        """The zone in which this account's days are counted."""
        return next(iter(vars(self.account)["zones"]), "")

    def step(self, rung: str, attempt: int) -> models.Step | None:
        """The row of one attempt, if it exists."""
        for step in self.steps:
            of = vars(step)
            if of["rung"] == rung and of["attempt"] == attempt:
                return step
        return None

    def step_known_as(self, reference: str) -> models.Step | None:
        """The row of this reference, if it is of this case."""
        return next((step for step in self.steps if vars(step)["reference"] == reference), None)

    def snapshot(
        self,
        *,
        suspension: Suspension | None,
        limitation_ends: date | None,
        broken_at: datetime | None,
        approvals: Mapping[str, Standing],
        papers_lacking: str = "",
        turn: Turn | None = None,
    ) -> Case:
        """What `decide` sees."""
        account, case = vars(self.account), vars(self.case)
        status = CaseStatus(case["status"])
        placed = self.placements() if self.ever_placed else ()
        return Case(
            account_id=account["id"],
            due_date=case["due_date"],
            amount_due=Money(account["amount_due"], account["currency"]),
            balance=Money(account["balance"], account["currency"]),
            zone=self.zone,
            # `held` is what a suspension looks like from outside; decide is given the suspension itself.
            status=CaseStatus.DELINQUENT if status is CaseStatus.HELD else status,
            steps=tuple(map(_step, self.steps)),
            approvals=frozenset(rung for rung, state in approvals.items() if state.complete),
            wanted_approvals={rung: state.wants for rung, state in approvals.items() if not state.complete},
            papers_lacking=papers_lacking,
            suspension=suspension,
            turn=turn,
            halted_why=case["halted_why"],
            outcome=case["outcome"],
            last_payment_at=self.last_payment_at,
            broken_at=broken_at,
            lost_contact=not self.number,
            untextable=not self.text_numbers,
            mail_returned=self.mail_returned,
            with_agency=next((p.placed.agency for p in placed if not p.status.over), ""),
            returned=frozenset(p.placed.rung for p in placed if p.status.over),
            limitation_ends=limitation_ends,
        )

    @property
    def is_held(self) -> bool:
        """Whether there is a hold of the person or of their numbers, in force or not."""
        return bool(self.holds or self.holds_elsewhere)

    def facts(self, **known: Any) -> Facts:
        """What contact law may turn on, besides what else is `known`: without any, enough to judge holds."""
        account = vars(self.account)
        holds = [hold_fact(row) for row in self.holds]
        holds.extend(hold_fact(row, other_debt=True) for row in self.holds_elsewhere)
        return Facts(
            jurisdictions=tuple(account["jurisdictions"]),
            zones=tuple(account["zones"]),
            holds=tuple(holds),
            email_known=bool(account["email"]),
            **known,
        )


# Built once: putting a statement together costs more than running it.
_ACCOUNT_ID = bindparam("account_id", type_=String)
_CASE_ID = bindparam("case_id", type_=String)
_CASE = (
    select(models.Case, models.Account)
    .join(models.Account, col(models.Account.id) == col(models.Case.account_id))
    .where(models.Case.account_id == _ACCOUNT_ID)
    .order_by(desc(models.Case.opened_at))
    .limit(1)
    .execution_options(populate_existing=True)
)
_CASE_LOCKED = _CASE.with_for_update()
_STEPS = (
    select(models.Step)
    .where(models.Step.case_id == _CASE_ID)
    .order_by(col(models.Step.id))
    # Only evidence and explanations need the verdict's text.
    .options(defer(models.Step.verdict))  # pyright: ignore[reportArgumentType]
    .execution_options(populate_existing=True)
)
_APPROVALS = select(models.Approval).where(models.Approval.case_id == _CASE_ID).order_by(col(models.Approval.id))
_HOLDS = select(models.Hold).where(
    or_(
        models.Hold.holder_id == bindparam("holder_id", type_=String),
        col(models.Hold.number).in_(bindparam("numbers", type_=String, expanding=True)),
    ),
    col(models.Hold.released_at).is_(None),
)
_PERSON = (
    select_columns(col(models.Case.account_id))
    .join(models.Account, col(models.Account.id) == col(models.Case.account_id))
    .where(col(models.Account.holder_id).in_(select(models.Account.holder_id).where(models.Account.id == _ACCOUNT_ID)))
    .order_by(col(models.Case.account_id), col(models.Case.id))
)
_PERSON_LOCKED = _PERSON.with_for_update()
_LIFE = select(models.LifeEvent).where(models.LifeEvent.account_id == _ACCOUNT_ID)


def read_case_file(session: Session, account_id: str, *, lock: bool = False) -> CaseFile:
    """The account's current (or last) case. With `lock`, nobody else changes it in this transaction.

    Raises UnknownAccount, or NoCase for an account that never was past due.
    """
    if person := person_of(session, account_id=account_id):
        return _file_ahead(person, *person.newest[account_id])
    found = session.exec(_CASE_LOCKED if lock else _CASE, params={"account_id": account_id}).first()
    if found is None:
        raise UnknownAccount(account_id) if session.get(models.Account, account_id) is None else NoCase(account_id)
    case, account = found
    return file_of(session, account, case)


def address_of(account: models.Account) -> str:
    """The address that is known, in one line, to tell it from others."""
    return one_line(account.street, account.city, account.region, account.postal_code, account.country)


def _file_ahead(person: Person, case: models.Case, account: models.Account) -> CaseFile:
    """The lists are the transaction's own: what is added to the file's shows to whoever reads it again."""
    holds = person.holds_of(account) if person.holds else []
    account_id, case_id = vars(account)["id"], vars(case)["id"]
    return CaseFile(
        account=account,
        case=case,
        steps=person.steps[case_id],
        approvals=_approvals(person.approvals[case_id]),
        holds=[hold for hold in holds if hold.account_id == account_id],
        holds_elsewhere=[hold for hold in holds if hold.account_id != account_id],
        life=person.life[account_id],
    )


def has_case(session: Session, account_id: str) -> bool:
    """Whether the account ever was past due."""
    return session.exec(select(models.Case.id).where(models.Case.account_id == account_id).limit(1)).first() is not None


def file_of(session: Session, account: models.Account, case: models.Case) -> CaseFile:
    """What is known of this very case, which the caller has locked if it means to change it."""
    of_account, of_case = {"account_id": account.id}, {"case_id": case.id}
    own, elsewhere = _holds(session, account)
    return CaseFile(
        account=account,
        case=case,
        steps=list(session.exec(_STEPS, params=of_case)),
        approvals=_approvals(session.exec(_APPROVALS, params=of_case)),
        holds=own,
        holds_elsewhere=elsewhere,
        life=[to_event(row) for row in session.exec(_LIFE, params=of_account)],
    )


def _approvals(rows: Iterable[models.Approval]) -> dict[str, list[Approval]]:
    given: dict[str, list[Approval]] = {}
    for row in rows:
        given.setdefault(row.rung, []).append(Approval(row.approved_by, row.at, row.balance))
    return given


def step_named(session: Session, key: str) -> models.Step | None:
    """The step that `models.step_key` names so, of whichever of the account's cases."""
    case_id, _, rest = key.partition("/")
    rung, _, attempt = rest.rpartition("/")
    return session.exec(
        select(models.Step).where(
            models.Step.case_id == case_id, models.Step.rung == rung, models.Step.attempt == int(attempt)
        )
    ).first()


def holds_of(session: Session, account_id: str, *, lock: bool = False) -> tuple[list[models.Hold], list[models.Hold]]:
    """The open holds of an account, and those set for others of the person or of their number.

    With `lock`, nobody else changes a case of the person in this transaction. Raises UnknownAccount.
    """
    if lock:
        lock_person(session, account_id)
    account = session.get(models.Account, account_id)
    if account is None:
        raise UnknownAccount(account_id)
    return _holds(session, account)


def _holds(session: Session, account: models.Account) -> tuple[list[models.Hold], list[models.Hold]]:
    holds = session.exec(_HOLDS, params={"holder_id": account.holder_id, "numbers": account.phones}).all()
    return (
        [hold for hold in holds if hold.account_id == account.id],
        [hold for hold in holds if hold.account_id != account.id],
    )


def lock_person(session: Session, account_id: str) -> list[str]:
    """Nobody else changes a case of this account's holder in this transaction; the holder's other accounts.

    Taken before any of those cases is read for a change, and always in the same order, so that two who
    mean the same person cannot wait for each other.
    """
    if person := person_of(session, account_id=account_id):
        return [other for other in person.newest if other != account_id]
    found = session.connection().execute(_PERSON_LOCKED, {"account_id": account_id}).scalars()
    return [other for other in dict.fromkeys(found) if other != account_id]


def accounts_of_holder(session: Session, account_id: str) -> list[str]:
    """The holder's other accounts that were ever past due, without a lock: to look, not to change."""
    found = session.connection().execute(_PERSON, {"account_id": account_id}).scalars()
    return [other for other in dict.fromkeys(found) if other != account_id]


def _step(row: models.Step) -> Step:
    # Not by its attributes: a case is looked at with all its steps, and SQLAlchemy takes its time for each.
    of = vars(row)
    disposition = of["disposition"]
    return Step(
        rung=of["rung"],
        attempt=of["attempt"],
        channel=_CHANNELS[of["channel"]],
        status=_STATUSES[of["status"]],
        at=of["at"],
        not_before=of["not_before"],
        needs_person=of["needs_person"],
        disposition=Disposition(disposition) if disposition else None,
        reason=of["reason"],
        again_at=of["again_at"],
        unreached=of["unreached"],
    )


def hold_fact(row: models.Hold, *, other_debt: bool = False) -> Hold:
    """The hold as contact law sees it."""
    channel = ContactChannel(row.channel) if row.channel else None
    return Hold(kind=row.kind, since=row.since, until=row.until, channel=channel, other_debt=other_debt)
