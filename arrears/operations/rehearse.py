"""A whole advance, rehearsed on a copy: what would go out, by channel, with nothing changed."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from arrears.operations.brakes import Budget
from arrears.operations.preview import preview
from arrears.operations.services import Services, open_services
from arrears.operations.sweep import catch_up


def rehearse(services: Services, until: datetime, *, who: str) -> Counter[str]:
    """Effects by channel if the ledger were advanced to `until`.

    On SQLite the ledger is copied and really advanced, into a folder that is thrown away. On PostgreSQL
    only what is due at this moment is counted.
    """
    if not services.ledger.on_sqlite:
        return preview(services)
    source = make_url(services.settings.database_url).database
    assert source is not None
    with tempfile.TemporaryDirectory(prefix="arrears-rehearsal-") as folder:
        copy = Path(folder) / "ledger.db"
        original, target = sqlite3.connect(source), sqlite3.connect(copy)
        with original, target:
            original.backup(target)
        original.close()
        target.close()
        settings = services.settings.model_copy(
            update={"database_url": f"sqlite:///{copy}", "outbox": Path(folder) / "outbox"}
        )
        rehearsal = open_services(settings, live=False)
        try:
            budget = Budget(settings.most_effects_per_run)
            return catch_up(rehearsal, until, who=who, budget=budget).by_channel
        finally:
            rehearsal.close()
