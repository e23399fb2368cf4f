"""What agencies, law firms and courts tell us, each thing once."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

import models
from arrears.engine.life.events import LifeEvent, Payment
from arrears.engine.life.placements import (
    Objection,
    Placement,
    PlacementReport,
    PlacementReported,
    ReferralReport,
    ReferralReported,
    Remitted,
)
from arrears.engine.money import Money
from arrears.ledger.cases import file_of, lock_person
from arrears.ledger.life import key_of
from arrears.operations.inbox import EventRefused, take
from arrears.operations.pay import PAYMENTS, Posted, in_currency, post
from arrears.operations.recall import placements_of, recall
from arrears.operations.services import Services, instant
from arrears.operations.work import Work, open_item

# The registers in which these are kept.
REPORTS, REMITTANCES, COURT = "agency reports", "remittances", "court reports"


_FOR_A_PERSON = (
    ReferralReport.DOCUMENTS_WANTED,
    ReferralReport.SETTLED,
    ReferralReport.DISMISSED,
    ReferralReport.WITHDRAWN,
)


class ReportRefused(EventRefused):
    """Nothing was taken; the message says why."""


def report_placement(
    services: Services,
    placement: str,
    report: PlacementReport,
    *,
    reason: str = "",
    reference: str,
    at: datetime,
    source: str,
    who: str,
) -> Posted:
    """What the agency says of a placement: acknowledged, refused, objected to its recall, or returned.

    A refusal or a return gives the account back to the bank; an objection counts for an open promise or a
    recent payment. Raises EventRefused.
    """
    account_id = _account_of(services, placement)
    if report is PlacementReport.OBJECTED and reason not in list(Objection):
        raise ReportRefused(f"an objection needs a reason; expected one of {', '.join(Objection)}")
    event = PlacementReported(
        key=key_of(REPORTS, reference), at=at, placement=placement, report=str(report), reason=reason
    )
    posted = post(services, account_id, event, source=source, who=who)
    if posted.new and report is PlacementReport.REFUSED:
        _for_a_person(services, account_id, Work.PLACEMENT, f"{placement} refused: {reason}", reference, at)
    return posted


def remit(
    services: Services,
    placement: str,
    gross: Money | str,
    commission: Money | str,
    *,
    reference: str,
    at: datetime,
    source: str,
    who: str,
) -> Posted:
    """Money that came through an agency: a payment of the holder's of `gross`, of which it keeps `commission`.

    Both are taken in one transaction. Raises MoneyError and EventRefused.
    """
    account_id = _account_of(services, placement)
    paid = in_currency(services, account_id, gross, what="remittance")
    kept = in_currency(services, account_id, commission, what="commission", signed=True, may_be_zero=True)
    if not 0 <= kept.amount <= paid.amount:
        raise ReportRefused("the commission must lie between zero and what was collected")
    told: list[LifeEvent] = [
        Remitted(
            key=key_of(REMITTANCES, reference), at=at, placement=placement, gross=paid.amount, commission=kept.amount
        ),
        Payment(key=key_of(PAYMENTS, f"remittance/{reference}"), at=at, amount=paid.amount),
    ]
    received_at = max(at, instant(services, None))
    with services.ledger.write() as session:
        results = [
            take(services, session, account_id, event, received_at=received_at, via=source, who=who) for event in told
        ]
    return Posted(account_id, reference, results[0].new, results[-1].closed)


def recall_by_hand(services: Services, placement: str, *, why: str, at: datetime, who: str) -> bool:
    """Call an account back finally; False when it is back already. Raises EventRefused."""
    account_id = _account_of(services, placement)
    with services.ledger.write() as session:
        lock_person(session, account_id)
        state = _standing(services, session, account_id, placement)
        if state.status.over:
            return False
        file = file_of(session, session.get_one(models.Account, account_id), _case_of(session, placement))
        recall(services, session, file, state, final=True, why=why, at=at, who=who)
        return True


def report_referral(
    services: Services,
    referral: str,
    report: ReferralReport,
    *,
    detail: str = "",
    amount: Money | str | None = None,
    reference: str,
    at: datetime,
    source: str,
    who: str,
) -> Posted:
    """What the law firm or the court says: accepted, suit filed, judgment (maybe for an amount), or how it ended.

    What wants more documents (`detail` says which), or is settled, dismissed or withdrawn, goes to a
    person. Raises MoneyError and EventRefused.
    """
    with services.ledger.read() as session:
        row = session.get(models.Referral, referral)
    if row is None:
        raise ReportRefused(f"there is no referral {referral!r}")
    if report is ReferralReport.DOCUMENTS_WANTED and not detail.strip():
        raise ReportRefused("a report that documents are wanted must say which, in detail")
    if amount is not None and report is not ReferralReport.JUDGMENT:
        raise ReportRefused(f"an amount belongs to a judgment, not to {report}")
    money = in_currency(services, row.account_id, amount, what="judgment") if amount is not None else None
    event = ReferralReported(
        key=key_of(COURT, reference),
        at=at,
        referral=referral,
        report=str(report),
        detail=detail,
        amount=money.amount if money is not None else None,
    )
    posted = post(services, row.account_id, event, source=source, who=who)
    if posted.new and report in _FOR_A_PERSON:
        note = f"{referral} {report.replace('_', ' ')}: {detail}"
        _for_a_person(services, row.account_id, Work.REFERRAL, note, reference, at)
    return posted


def all_placements(services: Services, *, limit: int) -> list[tuple[models.Placement, Placement]]:
    """Placements and how they stand, the newest first."""
    with services.ledger.read() as session:
        rows = session.exec(select(models.Placement).order_by(col(models.Placement.at).desc()).limit(limit)).all()
        return [(row, _standing(services, session, row.account_id, row.reference)) for row in rows]


def _standing(services: Services, session: Session, account_id: str, placement: str) -> Placement:
    file = file_of(session, session.get_one(models.Account, account_id), _case_of(session, placement))
    return next(each for each in placements_of(services, file) if each.placed.reference == placement)


def _case_of(session: Session, placement: str) -> models.Case:
    return session.get_one(models.Case, session.get_one(models.Placement, placement).case_id)


def _account_of(services: Services, placement: str) -> str:
    with services.ledger.read() as session:
        row = session.get(models.Placement, placement)
    if row is None:
        raise ReportRefused(f"there is no placement {placement!r}")
    return row.account_id


def _for_a_person(services: Services, account_id: str, kind: Work, note: str, key: str, at: datetime) -> None:
    with services.ledger.write() as session:
        open_item(session, account_id, kind, key=key, note=note, at=at)
