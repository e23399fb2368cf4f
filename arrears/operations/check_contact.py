"""Facts from a file, judged: what `arrears check-contact` does."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, cast
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from arrears.clock import iso
from arrears.engine.contact.facts import Consent, ContactChannel, Facts, Hold, PastContact, Proposal
from arrears.engine.contact.gate import gate
from arrears.engine.contact.rules import Rulebook
from arrears.engine.contact.verdict import Defer
from arrears.engine.vocabulary import Party


class FactsError(Exception):
    """Facts that cannot be judged; the message names each field and what was expected."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Hold(_Strict):
    kind: str
    since: date | datetime
    until: date | datetime | None = None
    channel: ContactChannel | None = None


class _Contact(_Strict):
    channel: ContactChannel
    at: datetime
    outcome: str = ""
    direction: str = Field(default="outbound", pattern="^(outbound|inbound)$")
    number: str = ""


class _Consent(_Strict):
    channel: ContactChannel
    at: datetime


class _Facts(_Strict):
    jurisdictions: list[str]
    actor: Party
    channel: ContactChannel
    purpose: str = "payment_reminder"
    zones: list[str]
    at: datetime
    number: str = ""
    holds: list[_Hold] = []
    history: list[_Contact] = []
    consents: list[_Consent] = []

    @field_validator("zones")
    @classmethod
    def _iana(cls, zones: list[str]) -> list[str]:
        for zone in zones:
            if zone not in available_timezones():
                raise ValueError(f"{zone!r} is no IANA time zone such as America/New_York")
        return zones


def check_file(path: Path, rulebook: Rulebook) -> dict[str, Any] | list[dict[str, Any]]:
    """The verdict on one case, or on each of `{"cases": [...]}`. Raises FactsError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        where = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise FactsError(f"{path.name}{where}: no JSON: expected an object with facts, or with cases") from None
    cases = _field(document, "cases")
    if cases is None:
        return _check(document, rulebook, path.name)
    if not isinstance(cases, list):
        raise FactsError(f"{path.name}: cases: expected a list")
    listed = cast(list[Any], cases)
    return [_check(case, rulebook, f"{path.name}: cases[{n}]") for n, case in enumerate(listed)]


def _field(document: Any, name: str) -> Any:
    return cast(dict[str, Any], document).get(name) if isinstance(document, dict) else None


def _check(case: Any, rulebook: Rulebook, where: str) -> dict[str, Any]:
    facts = _field(case, "facts")
    raw = case if facts is None else facts
    try:
        given = _Facts.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'facts'}: {e['msg']}" for e in error.errors())
        raise FactsError(f"{where}: {problems}") from None
    facts = Facts(
        jurisdictions=tuple(given.jurisdictions),
        zones=tuple(given.zones),
        holds=tuple(
            Hold(h.kind, _moment(h.since), _moment(h.until) if h.until else None, h.channel) for h in given.holds
        ),
        history=tuple(
            PastContact(c.channel, _moment(c.at), c.outcome, c.direction == "outbound", c.number) for c in given.history
        ),
        consents=tuple(Consent(c.channel, _moment(c.at)) for c in given.consents),
    )
    proposal = Proposal(given.channel, given.actor, given.purpose, given.number)
    verdict = gate(proposal, rulebook, facts, now=_moment(given.at))
    return {
        "verdict": type(verdict).__name__.lower(),
        "until": iso(verdict.until) if isinstance(verdict, Defer) else None,
        "rules": list(verdict.rules),
    }


def _moment(value: date | datetime) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(0), tzinfo=UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
