"""Bring one account as far as it can go now. Both drivers, the sweep and the timeline, come through here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from arrears.engine.vocabulary import CaseStatus, StepStatus
from arrears.ledger.cases import read_case_file
from arrears.ledger.events import log_event
from arrears.operations.backoff import backoff
from arrears.operations.brakes import Budget
from arrears.operations.moves import Closed, InDoubt, Intended, Ready, Standstill, next_move
from arrears.operations.perform import carry_out, reconcile
from arrears.operations.services import Services

_MOST_FAILURES = 5
_FIRST_BACKOFF = timedelta(seconds=30)
_LONGEST_BACKOFF = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Advanced:
    """Where the account came to rest, and how many effects were made on the way."""

    rest: Standstill | Closed
    by_channel: Counter[str]

    @property
    def effects(self) -> int:
        """Effects over all channels."""
        return self.by_channel.total()


def advance(
    services: Services,
    account_id: str,
    *,
    who: str,
    budget: Budget | None = None,
    through: Callable[[str], object] | None = None,
) -> Advanced:
    """Decide, perform and reconcile until there is nothing to do now.

    `through(rung)`, when given, makes each rung in its place by calling `perform_rung` (the timeline wraps
    that in a task run named by the rung). Raises UnknownAccount; anything a channel did not anticipate
    propagates, and the step stays intended to be looked up later.
    """
    budget = budget or Budget()
    effects: Counter[str] = Counter()
    while True:
        match next_move(services, account_id, who=who, budget=budget, intend=through is None):
            case Intended(intent, channel):
                if carry_out(services, intent, channel, who=who) is StepStatus.DONE:
                    effects[str(channel)] += 1
            case InDoubt(intent, channel):
                reconcile(services, intent, channel, who=who)
            case Ready(rung=rung):
                assert through is not None
                through(rung)
                effects["task"] += 1
            case Standstill() | Closed() as rest:
                return Advanced(rest, effects)


def perform_rung(services: Services, account_id: str, rung: str, *, who: str, budget: Budget) -> str:
    """Make one rung if it still is the one to make; says what became of it."""
    move = next_move(services, account_id, who=who, budget=budget, only=rung)
    if isinstance(move, Intended):
        return str(carry_out(services, move.intent, move.channel, who=who))
    if isinstance(move, InDoubt):
        return str(reconcile(services, move.intent, move.channel, who=who))
    return "overtaken: something else comes first"


def record_failure(services: Services, account_id: str, error: BaseException, *, who: str) -> Standstill:
    """Keep an unforeseen failure with its case: back off, and after five in a row halt it for a person.

    Only the error's type is kept: its text may hold personal data.
    """
    now, wall = services.clock.now(), services.clock.wall()
    with services.ledger.write() as session:
        file = read_case_file(session, account_id, lock=True)
        case = file.case
        case.failures += 1
        reason = f"{type(error).__name__}, {case.failures} in a row"
        again = wall + backoff(case.failures, first=_FIRST_BACKOFF, longest=_LONGEST_BACKOFF)
        for step in file.steps:
            # What is open in a case that is closed, or halted, is looked at for ever, but ever more seldom.
            if step.status == StepStatus.INTENDED and (step.lease_until is None or step.lease_until < again):
                step.lease_until = again
                session.add(step)
        if case.failures >= _MOST_FAILURES and case.status not in (CaseStatus.CLOSED, CaseStatus.HALTED):
            case.status, case.halted_why = CaseStatus.HALTED, f"failed with {reason}"
            case.next_due_at = None
            log_event(session, "halted", who=who, at=now, wall=wall, case=case, why=case.halted_why)
        else:
            case.retry_at = again
            log_event(session, "failure", who=who, at=now, wall=wall, case=case, why=reason)
        case.next_reason = f"failed: {reason}"
        session.add(case)
        return Standstill(case.next_reason, wall_until=case.retry_at, rung=case.next_rung, zone=file.zone)
