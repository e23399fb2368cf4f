"""A verdict as it is kept with its step: what was asked, what was seen, what came out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from arrears.clock import iso
from arrears.engine.contact.facts import Facts, Proposal
from arrears.engine.contact.verdict import Allow, Defer, Verdict


def recorded(verdict: Verdict, proposal: Proposal, facts: Facts, version: str, now: datetime) -> dict[str, Any]:
    """JSON values only. `rulebook` is the digest of the rules that were asked."""
    return {
        "verdict": type(verdict).__name__.lower(),
        "at": iso(now),
        "until": iso(verdict.until) if isinstance(verdict, Defer) else None,
        "reason": "" if isinstance(verdict, Allow) else verdict.reason,
        "cautions": list(verdict.cautions) if isinstance(verdict, Allow) else [],
        "rulebook": version,
        "actor": proposal.actor,
        "channel": proposal.channel,
        "purpose": proposal.purpose,
        "facts": {
            "jurisdictions": list(facts.jurisdictions),
            "zones": list(facts.zones),
            "days_past_due": facts.days_past_due,
            "accelerated": facts.accelerated,
            "approved": facts.approved,
            "limitation_ends": facts.limitation_ends.isoformat() if facts.limitation_ends else None,
            "holds": [
                {"kind": h.kind, "channel": h.channel, "since": iso(h.since), "other_debt": h.other_debt}
                for h in facts.holds
            ],
            "consents": [{"channel": c.channel, "at": iso(c.at)} for c in facts.consents],
            "notices": [{"kind": n.kind, "at": iso(n.at)} for n in facts.notices],
            "history": [
                {
                    "channel": c.channel,
                    "at": iso(c.at),
                    "outcome": c.outcome,
                    "direction": "outbound" if c.outbound else "inbound",
                    "debt": c.debt,
                    "carried": c.carried,
                }
                for c in facts.history
            ],
        },
    }
