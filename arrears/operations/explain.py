"""Why a contact was made or was not, in plain words with citations."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

import models
from arrears.clock import iso, parse_instant
from arrears.engine.contact.gate import NEVER_OPEN, UNKNOWN_COUNTRY, UNKNOWN_ZONE, gate
from arrears.engine.contact.rules import Rulebook
from arrears.engine.delinquency import zone_of
from arrears.engine.ladder import Ladder, Rung
from arrears.ledger.cases import CaseFile, read_case_file
from arrears.operations.approvals import approvals_shown
from arrears.operations.facts import ladder_of, proposal_of, read_facts
from arrears.operations.limits import limitation_shown
from arrears.operations.services import Services, ledger_clock
from arrears.operations.verdicts import recorded
from arrears.policies.plain import in_words, kind_of, strength_in_words

_BUILT_IN = {
    UNKNOWN_COUNTRY: "where no rules are known for a place, a person decides",
    UNKNOWN_ZONE: "where no time zone is known, nothing that has hours goes out",
    NEVER_OPEN: "where no moment satisfies every rule, a person decides",
}


class NothingToExplain(Exception):
    """The account's ladder has no such rung; the message says which there are."""


def explain(
    services: Services, account_id: str, *, rung: str | None = None, at: datetime | None = None
) -> dict[str, Any]:
    """What the ledger recorded about each attempt, and the verdict on the rung at `at` if it were proposed then.

    Without `rung`, every step of the case and the rung that is next. Raises UnknownAccount and NothingToExplain.
    """
    moment = at or ledger_clock(services).now()
    with services.ledger.read() as session:
        file = read_case_file(session, account_id)
        ladder = ladder_of(services, session, file, now=moment)
        steps = _steps(session, file, rung)
        asked = rung or file.case.next_rung
        if rung is not None and rung not in ladder.by_name and not steps:
            raise NothingToExplain(f"ladder {ladder.id} has no rung {rung!r}; it has {', '.join(ladder.by_name)}")
        proposed = ladder.by_name.get(asked or "")
        return {
            "account_id": account_id,
            "at": iso(moment),
            "jurisdictions": list(file.account.jurisdictions),
            "zones": list(file.account.zones),
            "steps": [explained(step, services.rulebook, file.zone) for step in steps],
            "if_proposed": _judged(services, session, file, ladder, proposed, moment) if proposed else None,
            "approvals": [each for each in approvals_shown(services, file, now=moment) if rung in (None, each["rung"])],
            "limitation": limitation_shown(services, file, now=moment),
            "next": file.case.next_reason,
        }


def cited(rule_ids: list[str], rulebook: Rulebook) -> list[dict[str, Any]]:
    """Each rule with what it says, where it is written and how binding it is."""
    return [_citation(rule_id, rulebook) for rule_id in rule_ids]


def _citation(rule_id: str, rulebook: Rulebook) -> dict[str, Any]:
    found = rulebook.rule(rule_id)
    if found is None:
        says = _BUILT_IN.get(rule_id, "not in the rules of today; the step keeps the version it was judged by")
        return {"id": rule_id, "says": says, "source": "", "strength": "", "place": "", "kind": ""}
    pack, rule = found
    return {
        "id": rule_id,
        "says": in_words(rule),
        "source": rule.source,
        "strength": strength_in_words(rule),
        "place": pack.name or pack.jurisdiction,
        "kind": kind_of(rule),
    }


def _steps(session: Session, file: CaseFile, rung: str | None) -> list[models.Step]:
    query = select(models.Step).where(models.Step.case_id == file.case.id).order_by(col(models.Step.id))
    if rung is not None:
        query = query.where(models.Step.rung == rung)
    return list(session.exec(query.execution_options(populate_existing=True)))


def explained(step: models.Step, rulebook: Rulebook, zone: str) -> dict[str, Any]:
    """One attempt with its verdict, the facts that were seen and the rules that decided."""
    judged = step.verdict
    return {
        "rung": step.rung,
        "attempt": step.attempt,
        "channel": step.channel,
        "status": step.status,
        "due_at": iso(step.due_at),
        "at": iso(step.at) if step.at else None,
        "reference": step.reference,
        "in_words": _told(step, zone),
        "verdict": judged.get("verdict"),
        "judged_at": judged.get("at"),
        "until": judged.get("until"),
        "reason": step.reason or judged.get("reason", ""),
        "cautions": judged.get("cautions", []),
        "rulebook": judged.get("rulebook"),
        "rulebook_is_todays": judged.get("rulebook") == rulebook.version,
        "facts": judged.get("facts"),
        "rules": cited(step.rules, rulebook),
    }


def _told(step: models.Step, zone: str) -> str:
    """One sentence about a step."""
    what = f"{step.rung}, attempt {step.attempt}"
    when = local_time(step.at, zone) if step.at else ""
    judged = step.verdict.get("verdict")
    match step.status:
        case "done":
            told = f", {step.reason}" if step.carried_by else ""
            told += f" with {step.payload['chosen']}" if "chosen" in step.payload else ""
            return f"{what} was made on {when}{told}: {len(step.rules)} rules were asked and none objected"
        case "skipped":
            by = f" ({', '.join(step.rules)})" if judged == "deny" else ""
            return f"{what} was not made: {step.reason}{by}"
        case "failed":
            return f"{what} failed on {when}: {step.reason}"
        case "unknown":
            return f"{what} may have been made on {when}; a person must settle it: {step.reason}"
        case "intended":
            return f"{what} is being made since {when}"
        case _:
            if judged == "defer" and step.not_before:
                return f"{what} waits until {local_time(step.not_before, zone)}: {step.reason}"
            return f"{what} is planned" + (f": {step.reason}" if step.reason else "")


def _judged(
    services: Services, session: Session, file: CaseFile, ladder: Ladder, rung: Rung, moment: datetime
) -> dict[str, Any]:
    facts = read_facts(services, session, file, ladder, rung, now=moment)
    facts = replace(facts, history=tuple(c for c in facts.history if c.at <= moment))
    proposal = proposal_of(file, rung)
    verdict = gate(proposal, services.rulebook, facts, now=moment)
    document = recorded(verdict, proposal, facts, services.rulebook.version, moment)
    until = document["until"]
    return {
        "rung": rung.name,
        **document,
        "in_words": _verdict_in_words(rung.name, document, file.zone, moment),
        "rules": cited(list(verdict.rules), services.rulebook),
        "until_local": local_time(parse_instant(until), file.zone) if until else None,
    }


def _verdict_in_words(rung: str, document: dict[str, Any], zone: str, moment: datetime) -> str:
    when = local_time(moment, zone)
    match document["verdict"]:
        case "allow":
            return f"{rung} would be allowed on {when}"
        case "defer":
            until = local_time(parse_instant(document["until"]), zone)
            return f"{rung} would have to wait from {when} until {until}: {document['reason']}"
        case "deny":
            return f"{rung} would be denied on {when}: {document['reason']}"
        case _:
            return f"{rung} would go to a person on {when}: {document['reason']}"


def local_time(moment: datetime, zone: str) -> str:
    """`2026-12-24 08:00:00 America/New_York`."""
    return f"{moment.astimezone(zone_of(zone)):%Y-%m-%d %H:%M:%S} {zone or 'UTC'}"
