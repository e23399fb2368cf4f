"""Frozen snapshots of one case: everything `decide` may know, and nothing it can change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from arrears.engine.money import Money
from arrears.engine.vocabulary import CaseStatus, ChannelName, Disposition, StepStatus


@dataclass(frozen=True, slots=True)
class Step:
    """One attempt at one rung.

    `at`: when it was intended or settled. `not_before`: a planned step the gate deferred. `needs_person`:
    the gate sent it to review. Of one that failed, `again_at`: the same rung is made again from then; `unreached`:
    it could not reach the holder, and another way is to be tried.
    """

    rung: str
    attempt: int
    channel: ChannelName
    status: StepStatus
    at: datetime | None = None
    not_before: datetime | None = None
    needs_person: bool = False
    disposition: Disposition | None = None
    reason: str = ""
    again_at: datetime | None = None
    unreached: bool = False


@dataclass(frozen=True, slots=True)
class Suspension:
    """Why nothing may go on for now: the holds that say so, and when the last of them ends if it does."""

    reason: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Turn:
    """When it is this account's turn among those of its holder, and why not before. It may be over."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Case:
    """One delinquency episode of one account, as of the moment it was read.

    `zone` is the account's first plausible IANA zone: days past due and preferred local times count
    there. `limitation_ends` is the first day on which the claim is time-barred. `broken_at`: when the last
    promise or plan broke, if nothing was agreed upon since. `lost_contact`: no number is known to be good;
    `untextable`: none that takes texts. `mail_returned`: mail comes back from the address that is known.
    `with_agency`: who works the account now, if an agency does; `returned`: rungs whose placement is over.
    `turn`: the holder is not to be contacted about this account before, because of another of theirs.
    `approvals`: the rungs that are approved, by as many people as they need; `wanted_approvals`: what other rungs'
    approvals still want. `papers_lacking`: the documents without which a referral must not leave.
    """

    account_id: str
    due_date: date
    amount_due: Money
    balance: Money
    zone: str
    status: CaseStatus = CaseStatus.DELINQUENT
    steps: tuple[Step, ...] = ()
    approvals: frozenset[str] = frozenset()
    wanted_approvals: Mapping[str, str] = field(default_factory=dict[str, str])
    papers_lacking: str = ""
    suspension: Suspension | None = None
    turn: Turn | None = None
    halted_why: str = ""
    outcome: str = ""
    last_payment_at: datetime | None = None
    broken_at: datetime | None = None
    lost_contact: bool = False
    untextable: bool = False
    mail_returned: bool = False
    with_agency: str = ""
    returned: frozenset[str] = frozenset()
    limitation_ends: date | None = None
