"""One JSON object a line, for who collects logs: `ARREARS_LOG_FORMAT=json`.

Prefect's own processes write the same lines from their first one with
`PREFECT_LOGGING_FORMATTERS_JSON_CLASS=arrears.logs.JsonLines PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER=json`.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from pythonjsonlogger.json import JsonFormatter

# What Prefect gives its records, and what ours may: ids and names that are account ids, never a person's.
_ALONG: Final = ("account", "flow_run_id", "flow_run_name", "flow_name", "task_run_id", "task_run_name", "worker_name")


class JsonLines(JsonFormatter):
    """`time` (UTC), `level`, `logger`, `message`, what the record is about, and of an exception its type and place.

    Nothing else of a record goes out: neither its arguments nor an exception's own words, which may hold a person's.
    """

    def __init__(self, *_: Any) -> None:
        """Prefect's configuration hands over a format; there is one only."""
        super().__init__("%(message)s", json_ensure_ascii=False)  # pyright: ignore[reportUnknownMemberType]

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """What `add_fields` left, as it is: nothing is added."""
        return log_data

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Fill in the line."""
        log_data.clear()
        moment = datetime.fromtimestamp(record.created, UTC)
        log_data["time"] = moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data["message"] = record.getMessage()
        for name in _ALONG:
            if (value := getattr(record, name, None)) is not None:
                log_data[name] = str(value)
        if record.exc_info and record.exc_info[0] is not None:
            log_data |= _what_failed(record.exc_info[0], record.exc_info[1])


def as_json() -> None:
    """Let everything that this process logs to its console come out as JSON lines; done again, it changes nothing.

    Handlers that are there already (Prefect's) keep their place and their levels.
    """
    root = logging.getLogger()
    if not any(isinstance(handler, logging.StreamHandler) or _is_console(handler) for handler in root.handlers):
        root.addHandler(logging.StreamHandler(sys.stderr))
    named = (logging.getLogger(name) for name in list(logging.Logger.manager.loggerDict))
    for logger in (root, *named):
        for handler in logger.handlers:
            if _is_console(handler) and not isinstance(handler.formatter, JsonLines):
                handler.setFormatter(JsonLines())


def _is_console(handler: logging.Handler) -> bool:
    """Writes to stderr or stdout: Python's handler, and Prefect's."""
    return getattr(handler, "stream", None) in (sys.stderr, sys.stdout) or type(handler).__name__ == (
        "PrefectConsoleHandler"
    )


def _what_failed(kind: type[BaseException], error: BaseException | None) -> dict[str, Any]:
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else None
    return {"error": kind.__name__, "error_at": where}
