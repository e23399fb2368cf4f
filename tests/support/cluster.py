"""A PostgreSQL server of the test's own, to be killed, restarted, filled up and crowded out."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psycopg

from tests.support.prefect_house import free_port, wait_for

_SMALL = 192


class NoServer(Exception):
    """PostgreSQL's programs are not on this machine."""


def binaries() -> Path:
    """The folder of `initdb` and `postgres`, the newest there is. Raises NoServer."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda path: float(path.split("/")[4]))
    if found:
        return Path(found[-1]).parent
    if on_path := shutil.which("postgres"):
        return Path(on_path).parent
    raise NoServer("PostgreSQL's own programs (initdb, postgres) are not on this machine")


@dataclass
class Cluster:
    """`with Cluster() as cluster: cluster.url`. On a small file system of its own where one may be mounted.

    The server runs as `postgres` when the tests run as root, which it refuses to be.
    """

    connections: int = 60
    host: str = "127.0.0.1"
    # Where another user may come to as well: TMPDIR may be ours alone.
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="cluster-", dir="/tmp")))
    port: int = field(default_factory=lambda: free_port())
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    is_small: bool = False
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._bin = binaries()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={_SMALL}m", "tmpfs", str(self.folder)]
        self.is_small = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self) -> None:
        made = ["initdb", "-D", str(self.data), "-A", "trust", "-U", "postgres", "--wal-segsize=4", "-E", "UTF8"]
        self.run([*made, "--locale=C"])
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\n")
        self.start()

    def __exit__(self, *_: object) -> None:
        self.empty_disk()
        self.kill()
        if self.is_small:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._log.unlink(missing_ok=True)

    @property
    def url(self) -> str:
        """For the ledger."""
        return f"postgresql://postgres@{self.host}:{self.port}/arrears"

    def connect(self, database: str = "arrears") -> psycopg.Connection:
        """A connection by hand, every statement by itself."""
        return psycopg.connect(
            host=self.host, port=self.port, user="postgres", dbname=database, connect_timeout=30, autocommit=True
        )

    def start(self) -> None:
        """Start, recover if need be, and wait until it takes connections."""
        wait_for("the start of PostgreSQL", self._started, seconds=60)

    def stop(self) -> None:
        """End in order, sessions cut off (SIGINT, a fast shutdown)."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """kill -9 of the postmaster; its children notice and end."""
        self._end(signal.SIGKILL)

    def run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs, or whatever else is named with its path, as the server's own user."""
        known = {"PATH": f"{self._bin}:{os.environ['PATH']}", "PGHOST": self.host, "PGPORT": str(self.port)}
        done = subprocess.run(
            self._as_user(command),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=os.environ | known | {"PGUSER": "postgres"} | environment,
        )
        assert done.returncode == 0, done.stderr
        return done

    def crowd(self) -> list[psycopg.Connection]:
        """Take every connection there is, those for superusers too, until the caller closes them."""
        taken: list[psycopg.Connection] = []
        with suppress(psycopg.OperationalError):
            while True:
                taken.append(self.connect())
        return taken

    def end_sessions(self) -> int:
        """End every session but this one, as an administrator would; how many there were."""
        with self.connect() as connection:
            others = "FROM pg_stat_activity WHERE datname = 'arrears' AND pid <> pg_backend_pid()"
            return len(connection.execute(f"SELECT pg_terminate_backend(pid) {others}").fetchall())

    def new_database(self) -> None:
        """An empty `arrears`, whatever there was."""
        with self.connect("postgres") as connection:
            connection.execute("DROP DATABASE IF EXISTS arrears WITH (FORCE)")
            connection.execute("CREATE DATABASE arrears")

    def fill_disk(self) -> None:
        """Leave nothing of its file system free. Only where it is_small."""
        assert self.is_small, "this would fill somebody else's disk"
        with suppress(OSError), (self.folder / "ballast").open("wb") as ballast:
            while True:
                ballast.write(bytes(64 * 1024))
                ballast.flush()

    def empty_disk(self) -> None:
        """Give back what fill_disk took."""
        (self.folder / "ballast").unlink(missing_ok=True)

    @property
    def data(self) -> Path:
        """Where the server's files are."""
        return self.folder / "data"

    @property
    def _log(self) -> Path:
        return self.folder.with_suffix(".log")

    def _started(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            # What an earlier postmaster left may stand in the way for a moment: its children, its shared memory.
            command = ["postgres", "-D", str(self.data), "-p", str(self.port), "-k", str(self.folder)]
            settings = {
                "listen_addresses": self.host,
                "max_connections": str(self.connections),
                "min_wal_size": "16MB",
                "max_wal_size": "32MB",
                "shared_buffers": "16MB",
                "restart_after_crash": "on",
                **self.settings,
            }
            options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            with self._log.open("ab") as log:
                self.process = subprocess.Popen(
                    self._as_user([*command, *options]), stdout=log, stderr=log, start_new_session=True
                )
            time.sleep(0.1)
        try:
            self.connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _end(self, sign: signal.Signals) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        # The postmaster itself, not who changed user for it.
        lines = (self.data / "postmaster.pid").read_text().splitlines()
        os.kill(int(lines[0]), sign)
        self.process.wait(timeout=180)

    def _as_user(self, command: list[str]) -> list[str]:
        full = [str(self._bin / command[0]), *command[1:]]
        if os.geteuid() != 0:
            return full
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *full]
