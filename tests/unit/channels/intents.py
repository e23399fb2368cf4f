"""Intents as the ledger would give them back: their payload has been through JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from arrears.channels.effect import Intent

AT = datetime(2026, 12, 23, 14, 0, tzinfo=UTC)


def an_intent(payload: Mapping[str, Any], rung: str = "letter-1") -> Intent:
    """An intent of account A-1001, committed at AT."""
    stored = json.loads(json.dumps(payload))
    return Intent(f"case|{rung}|1", "A-1001", rung, 1, "7K3M9QXZ", stored, AT, AT)
