"""A real OpenSSH server on a loopback port, with a host key and one authorized key of its own, SFTP only."""

from __future__ import annotations

import contextlib
import getpass
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host_key
AuthorizedKeysFile {home}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
ForceCommand internal-sftp
LogLevel ERROR
"""


class SftpServer:
    """Starts with `start`, dies with `kill`; `folder` is what the partner shares, `home` the user's own `~`."""

    def __init__(self, root: Path) -> None:
        if not Path(SSHD).exists():
            pytest.skip("needs an OpenSSH server: install the package openssh-server")
        self.home, self.folder, self.user_home = root / "sshd", root / "shared", root / "home"
        for folder in (self.home, self.folder, self.user_home / ".ssh"):
            folder.mkdir(parents=True)
        self.port = _free_port()
        self._keys()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}{self.folder}"

    def start(self, *, largest_file: int | None = None) -> None:
        """Serve; `largest_file`: writing past that many bytes of a file is refused, as on a full disk."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)

        def limits() -> None:
            os.setpgrp()
            if largest_file is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

        command = [SSHD, "-D", "-e", "-f", str(self.home / "config")]
        log = (self.home / "log").open("ab")
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=limits)
        self._wait_until_it_answers()

    def kill(self) -> None:
        """The server is gone at once, and every connection with it."""
        if self._process is None:
            return
        for pid in [*_children(self._process.pid), self._process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=60)
        self._process = None

    def _keys(self) -> None:
        ssh = self.user_home / ".ssh"
        for key in (self.home / "host_key", ssh / "id_ed25519"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        shutil.copy(ssh / "id_ed25519.pub", self.home / "authorized_keys")
        host_key = (self.home / "host_key.pub").read_text().split()
        (ssh / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key[0]} {host_key[1]}\n")
        (self.home / "config").write_text(_CONFIG.format(port=self.port, home=self.home))

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as link:
                if link.recv(4).startswith(b"SSH-"):
                    return
            time.sleep(0.02)
        pytest.fail(f"sshd does not answer: {(self.home / 'log').read_text()}")


def _children(pid: int) -> list[int]:
    """Every process below, the deepest first."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                child = int(stat.parent.name)
                found = [*_children(child), child, *found]
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
