"""What a database that is asked for too much says, in one line with the way out."""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from arrears.ledger.limits import Limits

_STATEMENT, _LOCK, _IDLE = "57014", "55P03", "25P03"
# PostgreSQL refuses a connection before it has told its code: only its words are left.
_FULL: Final = ("too many clients", "too many connections", "remaining connection slots")
_NOT_YET: Final = ("is starting up", "is shutting down", "in recovery mode", "not yet accepting connections")


def is_full(error: BaseException) -> bool:
    """The server has no connection left for us at this moment."""
    return any(words in str(error) for words in _FULL)


def comes_back(error: BaseException) -> bool:
    """The server cannot be connected to now, and will be by itself: it is full, starting or ending."""
    return is_full(error) or any(words in str(error) for words in _NOT_YET)


def said(error: Exception, limits: Limits) -> str | None:
    """Why the database did not do it, when that is for want of time or room; None for any other reason."""
    if isinstance(error, PoolTimeout):
        return (
            f"all {limits.most} connections of this process were in use for {limits.wait:g} s; do less at once, or "
            "raise ARREARS_DATABASE_POOL_SIZE"
        )
    if not isinstance(error, DBAPIError) or error.orig is None:
        return None
    words = str(error.orig)
    if "database is locked" in words:
        return (
            "SQLite takes one writer at a time, and another process kept the ledger to itself for 30 s; "
            "take PostgreSQL for several workers (ARREARS_DATABASE_URL)"
        )
    code = getattr(error.orig, "sqlstate", None)
    if code == _STATEMENT and "statement timeout" in words:
        return f"a statement took more than {limits.statement:g} s and was ended (ARREARS_DATABASE_STATEMENT_SECONDS)"
    if code == _LOCK:
        return (
            f"another session kept a lock for more than {limits.lock:g} s (ARREARS_DATABASE_LOCK_SECONDS); "
            "pg_blocking_pids() shows which"
        )
    if code == _IDLE:
        return f"a transaction stood still for {limits.idle:g} s and was ended (ARREARS_DATABASE_IDLE_SECONDS)"
    if is_full(error.orig):
        return (
            "PostgreSQL has no connection left; raise its max_connections, or lower ARREARS_DATABASE_POOL_SIZE and "
            "…_POOL_OVERFLOW, which each process takes for itself"
        )
    return None
