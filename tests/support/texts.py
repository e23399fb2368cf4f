"""Intents to text somebody, for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from arrears.channels.effect import Intent

NUMBER = "+14155550123"
NOON = datetime(2026, 12, 23, 12, 0, tzinfo=UTC)
REFERENCE = "7K3QX9MB"


def a_text(reference: str = REFERENCE, *, to: str = NUMBER, at: datetime = NOON, **payload: Any) -> Intent:
    """A text committed at `at`, to `to`, that bears `reference`; further `payload` fields as given."""
    return Intent(
        key=f"case-1/sms-1/{reference}",
        account_id="acct-1",
        rung="sms-1",
        attempt=1,
        reference=reference,
        payload={"to": to, "body": body(reference), **payload},
        at=at,
        wall=at,
    )


def body(reference: str = REFERENCE) -> str:
    """What a text with this reference says."""
    return f"Dear Robin Quill, your card payment is overdue. Ref {reference}"
