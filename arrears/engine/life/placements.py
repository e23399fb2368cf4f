"""Accounts at agencies and in court: what was reported, how they stand, and when they are to be called back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from arrears.engine.ladder import RecallTerms
from arrears.engine.life.events import LifeEvent, in_order


class PlacementReport(StrEnum):
    """What an agency says of a placement."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    OBJECTED = "objected"
    RETURNED = "returned"


class Objection(StrEnum):
    """Why an agency wants to keep an account that is called back."""

    OPEN_PROMISE = "open_promise"
    RECENT_PAYMENT = "recent_payment"


class ReferralReport(StrEnum):
    """How far a referral has come, in order; settled, dismissed and withdrawn end it.

    documents_wanted takes it no further: it stands until the next report.
    """

    DOCUMENTS_WANTED = "documents_wanted"
    ACCEPTED = "accepted"
    SUIT_FILED = "suit_filed"
    JUDGMENT = "judgment"
    SETTLED = "settled"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"


# A settlement or a dismissal ends a suit as a withdrawal does: none follows another.
_OVER = (ReferralReport.SETTLED, ReferralReport.DISMISSED, ReferralReport.WITHDRAWN)


class PlacementStatus(StrEnum):
    """Where a placement stands. The last three are over: the account is the bank's again."""

    PLACED = "placed"
    ACKNOWLEDGED = "acknowledged"
    RECALLING = "recalling"
    REFUSED = "refused"
    RETURNED = "returned"
    RECALLED = "recalled"

    @property
    def over(self) -> bool:
        """The agency does not work the account any more."""
        return self in (PlacementStatus.REFUSED, PlacementStatus.RETURNED, PlacementStatus.RECALLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementReported(LifeEvent):
    """An agency's word on the placement with this reference; an objection's reason is one of `Objection`."""

    placement: str
    report: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remitted(LifeEvent):
    """Money that came through an agency: `gross` was the holder's payment, `commission` the agency keeps."""

    placement: str
    gross: int
    commission: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemittanceReversed(LifeEvent):
    """Such money taken back, all of it or a part: `gross` and the `commission` given back, both above zero.

    `of` is the key of the remittance.
    """

    placement: str
    of: str
    gross: int
    commission: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled(LifeEvent):
    """We called the account back; unless `final`, the agency may object."""

    placement: str
    final: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralReported(LifeEvent):
    """What the law firm or the court says of a referral; `detail` is the court's number or the reason."""

    referral: str
    report: str
    detail: str = ""
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A placement that was made, and the terms of its rung."""

    reference: str
    rung: str
    agency: str
    at: datetime
    terms: RecallTerms


@dataclass(frozen=True, slots=True)
class Placement:
    """A placement as it stands. `pending_at`: when the recall went out to which the agency may object."""

    placed: Placed
    status: PlacementStatus = PlacementStatus.PLACED
    ended_at: datetime | None = None
    reason: str = ""
    pending_at: datetime | None = None
    objected_at: datetime | None = None
    remitted: int = 0
    commission: int = 0


@dataclass(frozen=True, slots=True)
class Referral:
    """A referral as it stands; `report` is empty until something is heard of it.

    `wanted`: the documents that were asked for last, while nothing else has been heard since.
    """

    reference: str
    at: datetime
    report: str = ""
    reported_at: datetime | None = None
    detail: str = ""
    judgment: int | None = None
    wanted: str = ""

    @property
    def open(self) -> bool:
        """It has been neither settled, dismissed nor withdrawn."""
        return self.report not in _OVER

    @property
    def status(self) -> str:
        """How it stands, in a word of `ReferralReport`, or `referred`."""
        return ReferralReport.DOCUMENTS_WANTED if self.wanted else self.report or "referred"


@dataclass(frozen=True, slots=True)
class RecallDue:
    """The account is to be called back at `at`, which may be past; unless `final`, the agency may object."""

    at: datetime
    final: bool
    why: str


def placements(placed: Iterable[Placed], events: Iterable[LifeEvent]) -> tuple[Placement, ...]:
    """Every placement as it stands, from all that was told, in the order in which it happened."""
    ordered = in_order(events)
    return tuple(_stands(each, [event for event in ordered if _about(event) == each.reference]) for each in placed)


def referrals(made: Iterable[tuple[str, datetime]], events: Iterable[LifeEvent]) -> tuple[Referral, ...]:
    """Every referral (its reference and instant) as it stands: the furthest it has come, or how it ended."""
    ordered = in_order(events)
    found: list[Referral] = []
    for reference, at in made:
        state = Referral(reference, at)
        for event in ordered:
            if isinstance(event, ReferralReported) and event.referral == reference and state.open:
                state = _heard(state, event)
        found.append(state)
    return tuple(found)


def recall_due(
    placement: Placement, *, settled: bool, held: str, in_court: bool, last_paid_at: datetime | None, now: datetime
) -> RecallDue | None:
    """When and why the account is to be called back next; None when it is over, or nothing will.

    What is paid, held (`held` says why) or before a court is called back finally and at once: the agency must
    not go on. Without result it is called back after the terms' days, counted anew from each payment; the
    agency may object for `objection_days`, and an objection, or a payment meanwhile, gives it
    `extension_days` more. Then the recall is final.
    """
    if placement.status.over:
        return None
    placed, terms = placement.placed, placement.placed.terms
    if settled:
        return RecallDue(now, True, "paid")
    if in_court:
        return RecallDue(now, True, "referred to court")
    if held and terms.on_hold:
        return RecallDue(now, True, f"held: {held}")
    paid_since = last_paid_at if last_paid_at is not None and last_paid_at > placed.at else placed.at
    if placement.pending_at is None:
        return RecallDue(paid_since + timedelta(days=terms.without_result_days), False, "no result")
    window_ends = placement.pending_at + timedelta(days=terms.objection_days)
    kept_for = [
        moment
        for moment in (placement.objected_at, paid_since)
        if moment is not None and placement.pending_at <= moment < window_ends
    ]
    ends = max(kept_for) + timedelta(days=terms.extension_days) if kept_for else window_ends
    return RecallDue(max(ends, window_ends), True, "no result")


def _about(event: LifeEvent) -> str:
    if isinstance(event, PlacementReported | Remitted | RemittanceReversed | Recalled):
        return event.placement
    return ""


def _stands(placed: Placed, events: list[LifeEvent]) -> Placement:
    state = Placement(placed)
    for event in events:
        match event:
            case Remitted(gross=gross, commission=commission):
                state = replace(state, remitted=state.remitted + gross, commission=state.commission + commission)
            case RemittanceReversed(gross=gross, commission=commission):
                state = replace(state, remitted=state.remitted - gross, commission=state.commission - commission)
            case _ if state.status.over:
                continue
            case Recalled(final=True, why=why):
                state = replace(state, status=PlacementStatus.RECALLED, ended_at=event.at, reason=why)
            case Recalled(why=why):
                first = state.pending_at or event.at
                state = replace(state, status=PlacementStatus.RECALLING, pending_at=first, reason=why)
            case PlacementReported(report=PlacementReport.ACKNOWLEDGED):
                if state.status is PlacementStatus.PLACED:
                    state = replace(state, status=PlacementStatus.ACKNOWLEDGED)
            case PlacementReported(report=PlacementReport.OBJECTED, reason=reason):
                if state.pending_at is not None and state.objected_at is None:
                    state = replace(state, objected_at=event.at, reason=f"objected: {reason}")
            case PlacementReported(report=report, reason=reason):
                state = replace(state, status=PlacementStatus(report), ended_at=event.at, reason=reason)
            case _:
                continue
    return state


def _heard(state: Referral, event: ReferralReported) -> Referral:
    if event.report == ReferralReport.DOCUMENTS_WANTED:
        return replace(state, wanted=event.detail or "not said which", reported_at=event.at)
    state = replace(state, wanted="")
    order = [str(report) for report in ReferralReport]
    if state.report and order.index(event.report) <= order.index(state.report):
        return state
    amount = event.amount if event.amount is not None else state.judgment
    return replace(
        state, report=event.report, reported_at=event.at, detail=event.detail or state.detail, judgment=amount
    )
