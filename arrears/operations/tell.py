"""An outside fact as a document, to the operation that takes it: one way for HTTP and for files."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_never

import models
from arrears.clock import iso
from arrears.engine.money import Money
from arrears.intake.events import (
    AddressDocument,
    AdjustmentDocument,
    CallDocument,
    ChargeDocument,
    ConsentDocument,
    ContactDocument,
    Direction,
    EventDocument,
    HoldDocument,
    LeftoverDocument,
    NumberDocument,
    PaymentDocument,
    PlacementReportDocument,
    PlanDocument,
    PromiseDocument,
    ReferralReportDocument,
    ReleaseDocument,
    RemittanceDocument,
    ReturnedMailDocument,
    ReversalDocument,
    RevocationDocument,
    TextDocument,
    WithdrawalDocument,
)
from arrears.ledger.cases import UnknownAccount
from arrears.operations import agencies, arrange, calls, consent, hold, mail, numbers, pay, replies
from arrears.operations.calls import Promised
from arrears.operations.inbox import EventRefused
from arrears.operations.pay import ChargeKind, Posted
from arrears.operations.services import Services, instant

# A feed's clock may run ahead of ours; a year that was mistyped must not count today.
_AHEAD = timedelta(days=1)


def tell(services: Services, document: EventDocument, *, source: str, who: str) -> Posted:
    """Take one fact in, once by its reference, with its consequences in one transaction.

    Raises UnknownAccount, MoneyError and EventRefused; then nothing has changed.
    """
    account_id = document.account_id
    if document.at > instant(services, None) + _AHEAD:
        raise EventRefused(f"at {iso(document.at)} lies in the future")
    told: dict[str, Any] = {"reference": document.reference, "at": document.at, "source": source, "who": who}
    match document:
        case PaymentDocument():
            return pay.pay(services, account_id, _money(document), **told)
        case ReversalDocument():
            return pay.reverse(services, account_id, document.of, amount=document.amount, **told)
        case ChargeDocument():
            return pay.charge(services, account_id, ChargeKind(document.kind), _money(document), **told)
        case AdjustmentDocument():
            return pay.adjust(services, account_id, _money(document), **told)
        case LeftoverDocument():
            return pay.leftover(services, account_id, waive=document.waive, **told)
        case PromiseDocument():
            return arrange.promise(services, account_id, document.amount, document.due_on, late=True, **told)
        case PlanDocument():
            parts = [(part.due_on, part.amount) for part in document.instalments]
            return arrange.plan(services, account_id, parts, misses_allowed=document.misses_allowed, late=True, **told)
        case WithdrawalDocument():
            return arrange.withdraw(services, account_id, document.of, late=True, **told)
        case NumberDocument():
            return numbers.check_number(
                services, account_id, document.number, good=document.good, why=document.why, **told
            )
        case ReturnedMailDocument():
            return mail.returned(
                services,
                document.reference,
                document.reason,
                account_id=account_id,
                at=document.at,
                source=source,
                who=who,
            )
        case AddressDocument():
            parts = ("street", "city", "region", "postal_code", "country", "why")
            return mail.found(services, account_id, **{part: getattr(document, part) for part in parts}, **told)
        case PlacementReportDocument():
            _must_be_theirs(services, models.Placement, document.placement, account_id)
            return agencies.report_placement(
                services, document.placement, document.report, reason=document.reason, **told
            )
        case RemittanceDocument():
            _must_be_theirs(services, models.Placement, document.placement, account_id)
            commission = Money.parse(document.commission, document.currency)
            return agencies.remit(services, document.placement, _money(document), commission, **told)
        case ReferralReportDocument():
            _must_be_theirs(services, models.Referral, document.referral, account_id)
            return agencies.report_referral(
                services, document.referral, document.report, detail=document.detail, amount=document.amount, **told
            )
        case HoldDocument():
            new = hold.hold(
                services,
                account_id,
                document.kind,
                until=document.until,
                channel=document.channel,
                evidence=document.evidence,
                review_on=document.review_on,
                **told,
            )
        case ReleaseDocument():
            new = hold.release(services, account_id, document.kind, **told).new
        case ConsentDocument():
            new = consent.give_consent(services, account_id, document.channel, evidence=document.evidence, **told)
        case RevocationDocument():
            new = consent.revoke(services, account_id, document.channels, how=document.how, **told).new
        case ContactDocument():
            new = consent.record_contact(
                services,
                account_id,
                document.channel,
                inbound=document.direction is Direction.INBOUND,
                outcome=str(document.outcome),
                notice=document.notice,
                note=document.note,
                reference=f"{consent.CONTACTS}:{document.reference}",
                at=document.at,
                who=who,
            )
        case TextDocument():
            new = replies.receive_text(services, account_id, document.text, number=document.number, **told).new
        case CallDocument():
            new = calls.record_call(
                services,
                account_id,
                document.outcome,
                by=document.by,
                note=document.note,
                promised=_promised(document),
                call_back_at=document.call_back_at,
                reference=document.reference,
                at=document.at,
            ).new
        case _:
            assert_never(document)
    return Posted(account_id, document.reference, new, closed=False)


def _must_be_theirs(
    services: Services, kind: type[models.Placement | models.Referral], reference: str, account_id: str
) -> None:
    with services.ledger.read() as session:
        if session.get(models.Account, account_id) is None:
            raise UnknownAccount(account_id)
        row = session.get(kind, reference)
    if row is None or row.account_id != account_id:
        raise agencies.ReportRefused(f"account {account_id} has no {kind.__name__.lower()} {reference!r}")


def _money(document: PaymentDocument | ChargeDocument | AdjustmentDocument | RemittanceDocument) -> Money:
    return Money.parse(document.amount, document.currency)


def _promised(document: CallDocument) -> Promised | None:
    if document.amount is None and document.due_on is None:
        return None
    if document.amount is None or document.due_on is None:
        raise calls.CallRefused("a promise needs its amount and its day, both")
    return Promised(document.amount, document.due_on)
