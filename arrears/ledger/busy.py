"""What a database that is asked for too much says, in one line with the way out."""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from arrears.ledger.limits import Limits

_STATEMENT, _LOCK, _IDLE, _DEADLOCK = "57014", "55P03", "25P03", "40P01"
_DISK_FULL, _OUT_OF_MEMORY, _BAD_DISK = "53100", "53200", "58030"
# PostgreSQL refuses a connection before it has told its code: only its words are left.
_FULL: Final = ("too many clients", "too many connections", "remaining connection slots")
# What it says of its own files and processes, as against what it says of us: no such role, no such database.
_IN_TROUBLE: Final = ("FATAL:  could not ", "FATAL:  out of memory")
_NOT_YET: Final = ("is starting up", "is shutting down", "in recovery mode", "not yet accepting connections")


def is_full(error: BaseException) -> bool:
    """The server has no connection left for us at this moment."""
    return any(words in str(error) for words in _FULL)


def is_in_trouble(error: BaseException) -> bool:
    """The server would have us, and cannot begin a session: its disk is full, say."""
    return any(words in str(error) for words in _IN_TROUBLE)


def comes_back(error: BaseException) -> bool:
    """The server cannot be connected to now, and will be by itself: it is full, in trouble, starting or ending."""
    return is_full(error) or is_in_trouble(error) or any(words in str(error) for words in _NOT_YET)


def is_down(error: BaseException) -> bool:
    """Nobody listens where the server was."""
    return "Connection refused" in str(error)


def is_cut_off(error: Exception) -> bool:
    """A connection was lost in the middle: whether a commit on it took place is not known from here."""
    if not isinstance(error, DBAPIError) or not error.connection_invalidated or is_unreachable(error):
        return False
    # A transaction that stood still was ended for that, and not amid its commit.
    return getattr(error.orig, "sqlstate", None) != _IDLE


def is_away(error: Exception) -> bool:
    """The server is there for nobody just now, whatever is asked of it: down, cut off, full or out of room."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return False
    code = getattr(error.orig, "sqlstate", None)
    has_no_room = code in (_DISK_FULL, _OUT_OF_MEMORY, _BAD_DISK)
    is_closed = is_full(error.orig) or is_in_trouble(error.orig) or is_unreachable(error)
    return has_no_room or is_closed or is_cut_off(error)


def is_unreachable(error: Exception) -> bool:
    """No connection could be made, so nothing was asked of the server."""
    words = str(error.orig) if isinstance(error, DBAPIError) else ""
    # A server that refuses us says FATAL; it is there.
    return ("connection failed" in words or "connection timeout expired" in words) and "FATAL" not in words


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
    if code == _DEADLOCK:
        return "two sessions waited for each other, and PostgreSQL ended this one"
    if code == _DISK_FULL:
        return "PostgreSQL's disk is full; give it room"
    if code == _OUT_OF_MEMORY:
        return "PostgreSQL has no memory left"
    if code == _BAD_DISK:
        return "PostgreSQL cannot read or write its files; its log says which"
    if is_full(error.orig):
        return (
            "PostgreSQL has no connection left; raise its max_connections, or lower ARREARS_DATABASE_POOL_SIZE and "
            "…_POOL_OVERFLOW, which each process takes for itself"
        )
    if is_in_trouble(error.orig):
        why = words.splitlines()[0].rpartition("FATAL:")[2].strip()
        return f"PostgreSQL cannot begin a session ({why}); is there room on its disk? Its log says more"
    if is_cut_off(error):
        return "PostgreSQL ended the connection: it was stopped, restarted or cut off"
    if is_unreachable(error):
        why = words.splitlines()[0].rpartition("failed: ")[2]
        return f"PostgreSQL cannot be reached ({why}): it is down, starting or elsewhere"
    return None
