"""What a worker does for who watches it: log lines, a port for metrics, a word when SQLite is asked for too much."""

from __future__ import annotations

import logging
from collections.abc import Callable

from arrears.ledger.database import LedgerError
from arrears.operations.expose import expose
from arrears.operations.strain import strain
from arrears.orchestration.at_work import services
from arrears.settings import SettingsError

logger = logging.getLogger("prefect.workers.arrears")


def begin_watch(at_once: int) -> Callable[[], None] | None:
    """Begin; what ends it. A ledger that cannot be opened now is told: each run will try it for itself."""
    try:
        house = services()
        if warning := strain(house, at_once=at_once):
            logger.warning("%s", warning)
        return expose(house)
    except (LedgerError, SettingsError) as error:
        logger.error("%s", error)
        return None
