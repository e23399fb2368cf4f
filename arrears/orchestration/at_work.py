"""The services of this process, opened once: a warm worker loads policies and templates a single time."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock

from arrears.logs import as_json
from arrears.operations.services import Services, open_services
from arrears.orchestration.pace import PrefectPace
from arrears.settings import Settings, read_settings

_opening = Lock()


def services() -> Services:
    """What flows and tasks of this process work with, for the settings in the environment now."""
    with _opening:
        settings = read_settings()
        if settings.log_format == "json":
            as_json()
        return _open(settings.model_dump_json())


@lru_cache(maxsize=4)
def _open(settings: str) -> Services:
    read = Settings.model_validate_json(settings, by_name=True)
    pace = PrefectPace(read.texts_per_second) if read.twilio_configured and read.texts_per_second else None
    return open_services(read, pace=pace)
