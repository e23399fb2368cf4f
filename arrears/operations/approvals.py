"""How far the approval of a rung has come."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from arrears.clock import iso
from arrears.engine.approval import Approval, ApprovalTerms, Standing, lapse, standing
from arrears.engine.money import Money
from arrears.engine.vocabulary import ChannelName
from arrears.ledger.cases import CaseFile
from arrears.operations.services import Services, UnknownLadder

_ONE_PERSON = ApprovalTerms()


def terms_for(services: Services, file: CaseFile, rung: str) -> ApprovalTerms:
    """What an approval of `rung` is worth: the place's policy for a referral, one person's word for all else."""
    try:
        asked = services.ladder(file.case.ladder, file.case.ladder_version).by_name.get(rung)
    except UnknownLadder:
        asked = None
    court = asked is not None and asked.channel is ChannelName.LEGAL
    return services.referral_policy(file.account).approval if court else _ONE_PERSON


def approval_of(services: Services, file: CaseFile, rung: str, *, now: datetime) -> Standing:
    """Who stands by the rung at `now`, and what is still missing."""
    given = file.approvals.get(rung, [])
    return standing(given, _balance(file), terms_for(services, file, rung), now=now)


def approvals_shown(services: Services, file: CaseFile, *, now: datetime) -> list[dict[str, Any]]:
    """Every approval ever given in the case, as `arrears show --json` has it."""
    return [_shown(services, file, rung, each, now) for rung, given in file.approvals.items() for each in given]


def _shown(services: Services, file: CaseFile, rung: str, approval: Approval, now: datetime) -> dict[str, Any]:
    balance = None if approval.balance is None else Money(approval.balance, file.account.currency).decimal_text()
    # Once the referral is under way nothing that comes later can make its approval lapse.
    under_way = any(step.rung == rung and step.status in ("intended", "done", "unknown") for step in file.steps)
    lapsed = "" if under_way else lapse(approval, _balance(file), terms_for(services, file, rung), now=now)
    return {"rung": rung, "by": approval.by, "at": iso(approval.at), "balance": balance, "lapsed": lapsed or None}


def _balance(file: CaseFile) -> Money:
    return Money(file.account.balance, file.account.currency)
