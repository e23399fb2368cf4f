"""What the ledger says about one account, and about all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import col, func, select

import models
from arrears.clock import iso
from arrears.engine.contact.facts import Facts
from arrears.engine.contact.holds import standing
from arrears.engine.delinquency import days_past_due
from arrears.engine.life.events import MailReturned, in_order
from arrears.engine.life.placements import referrals
from arrears.engine.money import Money
from arrears.engine.vocabulary import CaseStatus, Stage
from arrears.ledger.cases import CaseFile, has_case, hold_fact, holds_of, read_case_file
from arrears.operations.approvals import approvals_shown
from arrears.operations.deliveries import deliveries_of
from arrears.operations.limits import limitation_shown
from arrears.operations.recall import placements_of
from arrears.operations.services import Services, ledger_clock
from arrears.operations.standstill import arranged


def show(services: Services, account_id: str) -> dict[str, Any]:
    """One account in the shape of `arrears show --json`. Raises UnknownAccount."""
    now = ledger_clock(services).now()
    with services.ledger.read() as session:
        without_case = session.get(models.Account, account_id)
        if without_case is not None and not has_case(session, account_id):
            return _current(services, without_case, holds_of(session, account_id), now)
        file = read_case_file(session, account_id)
        account, case = file.account, file.case
        rows = session.exec(select(models.Referral).where(models.Referral.account_id == account_id)).all()
        made = [(row.reference, row.at) for row in rows]
        firms = {row.reference: row.firm or None for row in rows}
        reports = deliveries_of(session, [step.reference for step in file.steps])
        chosen = {step.reference: str(step.payload.get("chosen", "")) for step in file.steps}
        dpd = days_past_due(case.due_date, now, file.zone)
        waiting = case.status != CaseStatus.CLOSED and case.next_reason
        return {
            "account_id": account.id,
            "status": shown_status(case.status, dpd),
            "stage": case.stage,
            "days_past_due": dpd,
            "balance": {
                "amount": Money(account.balance, account.currency).decimal_text(),
                "currency": account.currency,
            },
            "amount_due": {
                "amount": Money(account.amount_due, account.currency).decimal_text(),
                "currency": account.currency,
            },
            "holds": _standing(services, account, [*file.holds, *file.holds_elsewhere], now),
            "arrangements": [
                {
                    "reference": each.key.partition(":")[2],
                    "kind": each.kind,
                    "status": each.status,
                    "amount": Money(each.amount, account.currency).decimal_text(),
                    "paid": Money(each.paid, account.currency).decimal_text(),
                    "due_on": each.due_on.isoformat(),
                }
                for each in arranged(services, file, now=now)
            ],
            "steps": [_step(step, reports.get(step.reference)) for step in file.steps],
            "mail": _mail(file),
            "placements": [
                {
                    "reference": each.placed.reference,
                    "rung": each.placed.rung,
                    "agency": each.placed.agency,
                    "chosen": chosen.get(each.placed.reference, ""),
                    "status": each.status,
                    "reason": each.reason,
                    "remitted": Money(each.remitted, account.currency).decimal_text(),
                    "commission": Money(each.commission, account.currency).decimal_text(),
                }
                for each in placements_of(services, file)
            ],
            "referrals": [
                {
                    "reference": each.reference,
                    "status": each.status,
                    "firm": firms[each.reference],
                    "detail": each.wanted or each.detail,
                    "judgment": Money(each.judgment, account.currency).decimal_text()
                    if each.judgment is not None
                    else None,
                }
                for each in referrals(made, file.life)
            ],
            "limitation": limitation_shown(services, file, now=now),
            "approvals": approvals_shown(services, file, now=now),
            "milestones": [
                {
                    "milestone": rule.milestone,
                    "on": (case.due_date + timedelta(days=rule.dpd)).isoformat(),
                    "reached": dpd >= rule.dpd,
                    "rule": rule.id,
                }
                for rule in services.rulebook.milestones(tuple(account.jurisdictions))
            ],
            "next": {
                "rung": case.next_rung,
                "at": iso(case.next_due_at) if case.next_due_at else None,
                "reason": case.next_reason,
            }
            if waiting
            else None,
            "outcome": case.outcome or None,
            "ladder": f"{case.ladder}@{case.ladder_version}",
            "driver": case.driver,
            "flow_run_id": case.flow_run_id,
            "zones": account.zones,
            "as_of": iso(now),
        }


def _standing(
    services: Services, account: models.Account, holds: Iterable[models.Hold], now: datetime
) -> list[dict[str, Any]]:
    """The holds in force, each once: the same may have been said several times."""
    facts = Facts(tuple(account.jurisdictions), tuple(account.zones))
    first: dict[tuple[str, str | None, datetime | None, str], models.Hold] = {}
    for row in holds:
        fact = hold_fact(row, other_debt=row.account_id != account.id)
        if not standing(fact, services.rulebook, facts, now):
            continue
        key = (row.kind, row.channel, row.until, row.account_id)
        if key not in first or row.since < first[key].since:
            first[key] = row
    return [
        {
            "kind": row.kind,
            "channel": row.channel,
            "since": iso(row.since),
            "until": iso(row.until) if row.until else None,
            "set_for": row.account_id,
            "review_on": row.review_on.isoformat() if row.review_on else None,
        }
        for row in first.values()
    ]


def _mail(file: CaseFile) -> dict[str, Any]:
    """Whether letters reach the holder, and those that came back, the last first."""
    back = [event for event in in_order(file.life) if isinstance(event, MailReturned)]
    return {
        "address": "bad" if file.mail_returned else "good",
        "returned": [
            {"letter": each.letter, "on": each.at.date().isoformat(), "reason": each.why} for each in reversed(back)
        ],
    }


def _current(
    services: Services,
    account: models.Account,
    holds: tuple[list[models.Hold], list[models.Hold]],
    now: datetime,
) -> dict[str, Any]:
    """An account that never owed anything past due."""
    zone = account.zones[0] if account.zones else ""
    money = {
        name: {"amount": Money(amount, account.currency).decimal_text(), "currency": account.currency}
        for name, amount in (("balance", account.balance), ("amount_due", account.amount_due))
    }
    return {
        "account_id": account.id,
        "status": "current",
        "stage": str(Stage.NONE),
        "days_past_due": min(days_past_due(account.due_date, now, zone), 0),
        **money,
        "holds": _standing(services, account, [*holds[0], *holds[1]], now),
        "arrangements": [],
        "steps": [],
        "mail": {"address": "good", "returned": []},
        "placements": [],
        "referrals": [],
        "limitation": None,
        "approvals": [],
        "milestones": [],
        "next": None,
        "outcome": None,
        "zones": account.zones,
        "as_of": iso(now),
    }


def _step(step: models.Step, report: models.Delivery | None) -> dict[str, Any]:
    return {
        "rung": step.rung,
        "attempt": step.attempt,
        "stage": step.stage,
        "channel": step.channel,
        "status": step.status,
        "due_at": iso(step.due_at),
        "at": iso(step.at) if step.at else None,
        "reference": step.reference,
        "proof": step.proof or None,
        "rules": step.rules,
        "reason": step.reason,
        "again_at": iso(step.again_at) if step.again_at else None,
        "carried_by": step.carried_by or None,
        "disposition": step.disposition,
        "segments": step.payload.get("segments"),
        "delivery": {"status": report.status, "error_code": report.error_code or None} if report else None,
    }


def shown_status(status: str, dpd: int) -> str:
    """A case that is open but not past due yet is current."""
    return "current" if status == CaseStatus.DELINQUENT and dpd <= 0 else status


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Counts of accounts."""

    by_status: dict[str, int]
    by_stage: dict[str, int]
    unknown_steps: int
    stopped: str | None
    as_of: datetime

    def to_json(self) -> dict[str, Any]:
        """The shape of `arrears status --json`."""
        return {
            "by_status": self.by_status,
            "by_stage": self.by_stage,
            "unknown_steps": self.unknown_steps,
            "stopped": self.stopped,
            "as_of": iso(self.as_of),
        }


def status(services: Services) -> Portfolio:
    """Count accounts by status and stage. An account that was never past due is current."""
    now = ledger_clock(services).now()
    by_status: dict[str, int] = dict.fromkeys(("current", "delinquent", "held", "halted", "closed"), 0)
    by_stage = dict.fromkeys((str(stage) for stage in Stage), 0)
    with services.ledger.read() as session:
        # The portfolio is counted on the UTC day; a single account is shown on its own zone's.
        today: date = now.date()
        past_due = col(models.Case.due_date) < today
        newest = (
            select(models.Case.account_id, func.max(models.Case.opened_at).label("opened_at"))
            .group_by(col(models.Case.account_id))
            .subquery()
        )
        rows = session.exec(
            select(models.Case.status, models.Case.stage, past_due, func.count())
            .join(
                newest,
                (col(models.Case.account_id) == newest.c.account_id)
                & (col(models.Case.opened_at) == newest.c.opened_at),
            )
            .group_by(col(models.Case.status), col(models.Case.stage), past_due)
        ).all()
        for case_status, stage, is_past_due, count in rows:
            by_status[shown_status(case_status, 1 if is_past_due else 0)] += count
            by_stage[stage] += count
        everybody = session.exec(select(func.count()).select_from(models.Account)).one()
        without_case = everybody - sum(by_stage.values())
        by_status["current"] += without_case
        by_stage["none"] += without_case
        unknown = session.exec(
            select(func.count()).select_from(models.Step).where(models.Step.status == "unknown")
        ).one()
        stopped = session.get(models.LedgerState, "stopped")
        return Portfolio(by_status, by_stage, unknown, stopped.value if stopped else None, now)
