"""Lines of a partner's file into the inbox, in the transaction of the file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from arrears.engine.life.events import HoldSet, LifeEvent, NumberChecked, Payment, Reversal
from arrears.engine.life.placements import PlacementReport, PlacementReported, RemittanceReversed, Remitted
from arrears.engine.partner_files import Collected, ForAPerson, NumberTold, Reported, RestrictionTold, TakenBack
from arrears.ledger.life import key_of
from arrears.operations.agencies import REMITTANCES, REPORTS
from arrears.operations.check_partner_file import Booked
from arrears.operations.hold import HOLDS, set_hold
from arrears.operations.inbox import take
from arrears.operations.numbers import NUMBERS
from arrears.operations.partner_books import named
from arrears.operations.pay import PAYMENTS, REVERSALS
from arrears.operations.services import Services
from arrears.operations.work import Work, open_item


def book(
    services: Services,
    session: Session,
    partner: str,
    via: str,
    booked: Sequence[Booked],
    *,
    received_at: datetime,
    who: str,
) -> tuple[str, ...]:
    """Take every line in; the accounts to which something new happened. Raises EventRefused.

    Person by person in one order for all files, so that two that are taken at once do not wait for each other.
    """
    touched: dict[str, None] = {}
    for each in sorted(booked, key=lambda one: (one.account.holder_id, one.account.id, one.line.line)):
        for event in _events(partner, each):
            when = max(event.at, received_at)
            if isinstance(event, HoldSet):
                new = set_hold(services, session, each.account.id, event, received_at=when, via=via, who=who)
            else:
                new = take(services, session, each.account.id, event, received_at=when, via=via, who=who).new
            if new:
                touched[each.account.id] = None
        _for_a_person(session, partner, each, received_at)
    return tuple(touched)


def _events(partner: str, each: Booked) -> list[LifeEvent]:
    line, placement, name = each.line, each.placement.reference, named(partner, each.line.reference)
    match line.fact:
        case Collected():
            return [
                Remitted(
                    key=key_of(REMITTANCES, name),
                    at=each.at,
                    placement=placement,
                    gross=each.amount,
                    commission=each.commission,
                ),
                Payment(key=key_of(PAYMENTS, _payment(name)), at=each.at, amount=each.amount),
            ]
        case TakenBack():
            of = named(partner, each.of)
            return [
                RemittanceReversed(
                    key=key_of(REMITTANCES, name),
                    at=each.at,
                    placement=placement,
                    of=key_of(REMITTANCES, of),
                    gross=each.amount,
                    commission=each.commission,
                ),
                Reversal(
                    key=key_of(REVERSALS, _payment(name)),
                    at=each.at,
                    of=key_of(PAYMENTS, _payment(of)),
                    amount=each.amount,
                ),
            ]
        case Reported(report=report, reason=reason):
            key = key_of(REPORTS, name)
            return [PlacementReported(key=key, at=each.at, placement=placement, report=str(report), reason=reason)]
        case NumberTold(good=good, why=why):
            return [NumberChecked(key=key_of(NUMBERS, name), at=each.at, number=each.number, good=good, why=why)]
        case RestrictionTold(kind=kind, evidence=evidence):
            return [HoldSet(key=key_of(HOLDS, name), at=each.at, kind=kind, evidence=evidence)]
        case ForAPerson():
            return []


def _payment(name: str) -> str:
    """What a payment through a partner is called among the payments."""
    return f"remittance/{name}"


def _for_a_person(session: Session, partner: str, each: Booked, at: datetime) -> None:
    """What no rule answers: a refusal, a new address, costs, a state of the partner's own."""
    match each.line.fact:
        case Reported(report=PlacementReport.REFUSED, reason=reason):
            note = f"{each.placement.reference} refused: {reason}"
        case ForAPerson(what=what, words=words):
            note = f"{each.placement.reference} {what}: {words}"
        case _:
            return
    key = named(partner, each.line.reference)
    open_item(session, each.account.id, Work.PLACEMENT, key=key, note=note, at=at)
