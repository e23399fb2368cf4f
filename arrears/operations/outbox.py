"""The outbox has to be there before anything is driven by hand: nobody waits at a terminal for a folder."""

from __future__ import annotations

import tempfile

from arrears.settings import Settings


class OutboxUnusable(Exception):
    """Nothing can leave as a file; the message says where and why."""


def require_outbox(settings: Settings) -> None:
    """Make the outbox if it is missing and write to it once. Raises OutboxUnusable."""
    try:
        settings.outbox.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.outbox):
            pass
    except OSError as error:
        raise OutboxUnusable(
            f"outbox {settings.outbox} cannot be written: {error.strerror}; ARREARS_OUTBOX names the folder"
        ) from None
