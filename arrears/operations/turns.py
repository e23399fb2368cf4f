"""One scheduled sweep at a time, whatever becomes of the process that is at it.

Prefect's own limit on a deployment is kept by its server: a sweep killed in the middle kept its place there, and every
later one was cancelled. Here the place is in the ledger, with its owner: it is free as soon as the owner is known to be
gone, or has not said for a lease that it is still at it.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from arrears.clock import iso, parse_instant
from arrears.ledger import state
from arrears.ledger.owner import is_gone, this_process
from arrears.operations.services import Services


@dataclass(slots=True)
class Turn:
    """Ours until `until` (wall time), and for as long as `keep` is called."""

    services: Services
    token: str
    until: datetime

    def keep(self) -> None:
        """Say that we are still at it; costs nothing most of the time. Does nothing if another has taken over."""
        if self.until - self.services.clock.wall() > _lease(self.services) * 2 / 3:
            return
        with self.services.ledger.write() as session:
            if (held := _held(session)) and held[1] == self.token:
                self.until = _hold(session, self.services, self.token)


@contextmanager
def turn(services: Services) -> Generator[Turn | None]:
    """The one turn there is, or None while another process has it."""
    token = f"{this_process()} {uuid4().hex[:8]}"
    try:
        with services.ledger.write() as session:
            held = _held(session)
            is_free = held is None or held[0] <= services.clock.wall() or is_gone(held[1].partition(" ")[0])
            until = _hold(session, services, token) if is_free else None
    except IntegrityError:
        # Two came to an unused ledger at once.
        until = None
    if until is None:
        yield None
        return
    try:
        yield Turn(services, token, until)
    finally:
        with services.ledger.write() as session:
            if (held := _held(session)) and held[1] == token:
                state.put(session, state.SWEEPING, None)


def _held(session: Session) -> tuple[datetime, str] | None:
    kept = state.get(session, state.SWEEPING, lock=True)
    if kept is None:
        return None
    read = json.loads(kept)
    return parse_instant(read["until"]), read["by"]


def _hold(session: Session, services: Services, token: str) -> datetime:
    until = services.clock.wall() + _lease(services)
    state.put(session, state.SWEEPING, json.dumps({"by": token, "until": iso(until)}))
    return until


def _lease(services: Services) -> timedelta:
    # A batch may take long before the next word: letters, a provider that hangs.
    return timedelta(seconds=3 * services.settings.lease_seconds)
