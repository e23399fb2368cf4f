"""Facts from a file, judged: what `arrears check-contact` does."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from zoneinfo import available_timezones

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from arrears.clock import iso
from arrears.engine.contact.facts import (
    Consent,
    ContactChannel,
    Facts,
    Hold,
    Location,
    NoticeGiven,
    PastContact,
    Proposal,
)
from arrears.engine.contact.gate import gate
from arrears.engine.contact.rules import Rulebook
from arrears.engine.contact.verdict import Defer
from arrears.engine.vocabulary import Party

# What the law calls places where a person is reached, in the two kinds that rules tell apart.
_LOCATIONS = {
    "residence": "personal",
    "home": "personal",
    "cell": "personal",
    "work": "workplace",
    "other": "workplace",
}
_Place = Annotated[Location, BeforeValidator(lambda word: _LOCATIONS.get(str(word), word))]


class FactsError(Exception):
    """Facts that cannot be judged; the message names each field and what was expected."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Hold(_Strict):
    kind: str = Field(min_length=1)
    since: date | datetime
    until: date | datetime | None = None
    channel: ContactChannel | None = None


class _Contact(_Strict):
    channel: ContactChannel
    at: AwareDatetime
    outcome: str = ""
    direction: Literal["outbound", "inbound"] = "outbound"
    number: str = ""
    debt: str = ""
    actor: Party | None = None
    location: _Place = Location.PERSONAL


class _Consent(_Strict):
    channel: ContactChannel
    at: AwareDatetime


class _Notice(_Strict):
    kind: str
    at: AwareDatetime


class _Facts(_Strict):
    jurisdictions: list[str]
    actor: Party
    channel: ContactChannel
    purpose: str = "payment_reminder"
    zones: list[str]
    at: AwareDatetime
    number: str = ""
    debt: str = ""
    location: _Place = Location.PERSONAL
    holds: list[_Hold] = []
    history: list[_Contact] = []
    consents: list[_Consent] = []
    notices: list[_Notice] = []
    approved: bool = False
    limitation_ends: date | None = None
    email_known: bool = False
    days_past_due: int | None = None
    accelerated: bool | None = None

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
    except OSError as error:
        raise FactsError(f"{path}: {error.strerror}") from None
    cases = _field(document, "cases")
    if cases is None:
        return _check(document, rulebook, path.name)
    if not isinstance(cases, list):
        raise FactsError(f"{path.name}: cases: expected a list")
    listed = cast(list[Any], cases)
    return [_check(case, rulebook, _where(path, case, n)) for n, case in enumerate(listed)]


def _where(path: Path, case: Any, number: int) -> str:
    name = _field(case, "id")
    return f"{path.name}: cases[{number}]" + (f" ({name})" if isinstance(name, str) else "")


def _field(document: Any, name: str) -> Any:
    return cast(dict[str, Any], document).get(name) if isinstance(document, dict) else None


def _check(case: Any, rulebook: Rulebook, where: str) -> dict[str, Any]:
    facts = _field(case, "facts")
    raw = case if facts is None else facts
    try:
        given = _Facts.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(dict.fromkeys(_in_words(fault) for fault in error.errors(include_url=False)))
        raise FactsError(f"{where}: {problems}") from None
    facts = Facts(
        jurisdictions=tuple(given.jurisdictions),
        zones=tuple(given.zones),
        holds=tuple(
            Hold(h.kind, _moment(h.since), _moment(h.until) if h.until else None, h.channel) for h in given.holds
        ),
        history=tuple(
            PastContact(c.channel, c.at, c.outcome, c.direction == "outbound", c.number, c.debt, c.actor, c.location)
            for c in given.history
        ),
        consents=tuple(Consent(c.channel, c.at) for c in given.consents),
        notices=tuple(NoticeGiven(n.kind, n.at) for n in given.notices),
        approved=given.approved,
        limitation_ends=given.limitation_ends,
        email_known=given.email_known,
        days_past_due=given.days_past_due,
        accelerated=given.accelerated,
    )
    proposal = Proposal(given.channel, given.actor, given.purpose, given.number, given.debt, given.location)
    verdict = gate(proposal, rulebook, facts, now=given.at.astimezone(UTC))
    return {
        "verdict": type(verdict).__name__.lower(),
        "until": iso(verdict.until) if isinstance(verdict, Defer) else None,
        "rules": list(verdict.rules),
    }


_WORDS: dict[str, type[StrEnum]] = {"channel": ContactChannel, "actor": Party, "location": Location}
_INSTANT = "an instant with its zone, such as 2026-11-23T13:00:00Z"
_EXPECTED = {
    "at": _INSTANT,
    "since": "a date or an instant, such as 2026-11-01",
    "until": "a date or an instant, such as 2026-11-01, or null",
    "zones": 'a list of IANA time zones, such as ["America/New_York"]',
    "jurisdictions": 'a list of places, such as ["US", "US-MA"]',
    "direction": "outbound or inbound",
    "limitation_ends": "a date, such as 2029-11-01, or null",
    "days_past_due": "a whole number, or null",
}


def _in_words(fault: ErrorDetails) -> str:
    """`holds.0.since: 'soon': expected a date …`."""
    names = [part for part in fault["loc"] if part not in ("date", "datetime")]
    name = ".".join(map(str, names))
    field = next((part for part in reversed(names) if isinstance(part, str)), "")
    if fault["type"] == "extra_forbidden":
        known = ", ".join(_Facts.model_fields) if len(names) == 1 else "fewer fields"
        return f"{name}: not known; expected {known}"
    if not names:
        return "expected an object with facts"
    if fault["type"] == "value_error":
        return f"{name}: {fault['msg'].removeprefix('Value error, ')}"
    if field in _WORDS:
        expected = "one of " + ", ".join(_WORDS[field])
    else:
        expected = _EXPECTED.get(field) or fault["msg"].removeprefix("Input should be ")
    if fault["type"] == "missing":
        return f"{name}: missing; expected {expected if field in (*_WORDS, *_EXPECTED) else 'a value'}"
    shown = json.dumps(fault["input"], default=str, ensure_ascii=False)
    return f"{name}: {shown if len(shown) <= 60 else shown[:60] + '…'}: expected {expected}"


def _moment(value: date | datetime) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(0), tzinfo=UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
