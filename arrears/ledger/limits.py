"""How much of a database server one process may take: connections, and time for statements and locks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process may take of PostgreSQL. Seconds; 0 means without limit, as it does there.

    At most `pool` connections are kept and `overflow` more opened under load, for which a thread waits up to
    `wait`. `statement`: how long one statement may run; `lock`: how long it may wait for somebody else's lock;
    `idle`: how long a transaction may stand still before the server ends it, with its locks. `silent`: how long nothing
    at all may come back from the server's machine, not even its system's word that it is there, before a connection is
    given up; unlike the others it is this side that counts.
    """

    pool: int = 8
    overflow: int = 8
    wait: float = 30.0
    connect: float = 10.0
    statement: float = 120.0
    lock: float = 30.0
    idle: float = 300.0
    silent: float = 60.0
    name: str = "arrears"

    @property
    def most(self) -> int:
        """How many connections one process can hold."""
        return self.pool + self.overflow

    def connect_args(self, given: str = "") -> dict[str, Any]:
        """What psycopg is called with. `given`: options in the URL, which win."""
        timeouts = {
            "statement_timeout": self.statement,
            "lock_timeout": self.lock,
            "idle_in_transaction_session_timeout": self.idle,
        }
        options = [f"-c {name}={round(seconds * 1000)}" for name, seconds in timeouts.items()]
        # After a third of the time the other side is asked whether it is there, and then twice more.
        ask = max(1, round(self.silent / 3))
        alive = {"keepalives_idle": ask, "keepalives_interval": ask, "keepalives_count": 2} if self.silent else {}
        return {
            **alive,
            "tcp_user_timeout": round(self.silent * 1000),
            "connect_timeout": max(1, round(self.connect)),
            "options": " ".join([*options, given]).strip(),
        }
