"""Texts at the pace of Prefect's own concurrency limits: one limit a sender, kept by all workers together."""

from __future__ import annotations

import logging
import math
import re
import time
from datetime import timedelta
from threading import Lock

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import rate_limit
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from arrears.operations.pace import LocalPace

logger = logging.getLogger(__name__)

_ALONE_FOR = 60.0


def limit_name(sender: str) -> str:
    """The name of a sender's limit in Prefect, such as `arrears-texts-15005550006`."""
    return f"arrears-texts-{re.sub(r'[^0-9A-Za-z]+', '', sender)}"


class PrefectPace:
    """At most `per_second` texts a second from each sender, over every process that this Prefect orchestrates.

    The limit is made, or set right, when a process first uses a sender. While Prefect cannot be asked, each process
    keeps the pace for itself, and asks again after a minute.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._alone = LocalPace(per_second)
        self._ready: set[str] = set()
        self._lock = Lock()
        self._alone_until = 0.0

    def wait(self, sender: str, *, at_most: timedelta) -> bool:
        """Wait for one of the limit's slots, which decay and are never given back."""
        # Half for Prefect and half for this process alone, so that the two together keep to what was asked.
        half = at_most / 2
        if time.monotonic() < self._alone_until:
            return self._alone.wait(sender, at_most=half)
        name = limit_name(sender)
        try:
            self._take(name, half)
        except TimeoutError:
            # Prefect's client goes on asking a server that does not answer until the time is up.
            if _answers():
                return False
            return self._go_alone(sender, half, "it does not answer")
        except (httpx.HTTPError, PrefectHTTPStatusError, ConcurrencySlotAcquisitionError, RuntimeError) as error:
            return self._go_alone(sender, half, type(error).__name__)
        return True

    def _take(self, name: str, at_most: timedelta) -> None:
        try:
            self._make_ready(name)
            rate_limit(name, timeout_seconds=at_most.total_seconds(), strict=True)
        except ConcurrencySlotAcquisitionError:
            # Somebody has deleted the limit, or Prefect has lost its database: it is made once more.
            with self._lock:
                self._ready.discard(name)
            self._make_ready(name)
            rate_limit(name, timeout_seconds=at_most.total_seconds(), strict=True)

    def _make_ready(self, name: str) -> None:
        with self._lock:
            if name not in self._ready:
                set_limit(name, self._per_second)
                self._ready.add(name)

    def _go_alone(self, sender: str, at_most: timedelta, why: str) -> bool:
        logger.warning("Prefect keeps no pace for texts (%s); this process does", why)
        self._alone_until = time.monotonic() + _ALONE_FOR
        return self._alone.wait(sender, at_most=at_most)


def _answers() -> bool:
    with get_client(sync_client=True) as client:
        return client.api_healthcheck() is None


def set_limit(name: str, per_second: float) -> None:
    """Let Prefect's limit `name` allow `per_second` texts a second, and a second's worth at once."""
    at_once = max(1, math.floor(per_second))
    with get_client(sync_client=True) as client:
        try:
            known = client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            client.create_global_concurrency_limit(
                GlobalConcurrencyLimitCreate(name=name, limit=at_once, slot_decay_per_second=per_second)
            )
            return
        if (known.limit, known.slot_decay_per_second, known.active) != (at_once, per_second, True):
            client.update_global_concurrency_limit(
                name, GlobalConcurrencyLimitUpdate(limit=at_once, slot_decay_per_second=per_second, active=True)
            )
