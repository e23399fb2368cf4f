"""The worked contact cases: facts in, verdict out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from arrears.engine.contact.facts import Consent, ContactChannel, Facts, Hold, PastContact, Proposal
from arrears.engine.contact.gate import gate
from arrears.engine.contact.verdict import Defer
from arrears.engine.vocabulary import Party
from tests.builders import ROOT, shipped_rules

CASES = json.loads((Path(ROOT) / "tests" / "data" / "contact_cases.json").read_text())["cases"]

# These turn on counting contacts and on conversations, which the gate does not do yet.
NEED_CAPS_AND_COOLDOWNS = frozenset({"eighth-call", "cooldown", "bank-own-staff", "massachusetts"})


def instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def facts_of(given: dict[str, Any]) -> Facts:
    return Facts(
        jurisdictions=tuple(given["jurisdictions"]),
        zones=tuple(given["zones"]),
        holds=tuple(
            Hold(
                hold["kind"],
                instant(hold["since"]),
                channel=ContactChannel(hold["channel"]) if "channel" in hold else None,
            )
            for hold in given["holds"]
        ),
        history=tuple(
            PastContact(
                ContactChannel(past["channel"]),
                instant(past["at"]),
                past["outcome"],
                past["direction"] == "outbound",
                past["number"],
            )
            for past in given["history"]
        ),
        consents=tuple(
            Consent(ContactChannel(consent["channel"]), instant(consent["at"])) for consent in given["consents"]
        ),
    )


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_the_gate_gives_the_verdict_of_the_worked_case(case: dict[str, Any], request: pytest.FixtureRequest):
    if case["id"] in NEED_CAPS_AND_COOLDOWNS:
        request.applymarker(pytest.mark.xfail(strict=True, reason="caps and cooldowns are not judged yet"))
    given, expected = case["facts"], case["expect"]
    proposal = Proposal(
        ContactChannel(given["channel"]), Party(given["actor"]), given["purpose"], given["number"]
    )  # fmt: skip
    verdict = gate(proposal, shipped_rules(), facts_of(given), now=instant(given["at"]))
    assert type(verdict).__name__.lower() == expected["verdict"]
    if "rule" in expected:
        assert expected["rule"] in verdict.rules
    if "until" in expected:
        assert isinstance(verdict, Defer)
        assert verdict.until == instant(expected["until"])


def test_the_cases_left_for_later_are_among_those_there_are():
    assert {case["id"] for case in CASES} >= NEED_CAPS_AND_COOLDOWNS
