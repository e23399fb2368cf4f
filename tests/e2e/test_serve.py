"""`arrears serve` as a process: it listens, says what is off, ends in order, and a taken port is told in one line."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from arrears.settings import SettingsError, read_settings

COMMAND = Path(sys.executable).with_name("arrears")
READY = {"ARREARS_SECRET": "x" * 32, "ARREARS_API_TOKEN": "t", "PUBLIC_BASE_URL": "https://desk.example"}
READY |= {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "t", "TWILIO_FROM": "+15005550006"}


def started(folder: Path, *words: str, **env: str) -> subprocess.Popen[str]:
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("ARREARS_", "TWILIO_", "PUBLIC_"))}
    return subprocess.Popen(
        [COMMAND, "serve", *words],
        cwd=folder,
        env=ours | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
    assert found
    return found.group()


def test_it_listens_until_it_is_told_to_end(tmp_path: Path) -> None:
    process = started(tmp_path, "--port", "0", **READY)
    address = address_of(process)
    assert httpx.get(f"{address}/health/ready").json() == {"status": "ready", "stopped": None}
    assert httpx.get(f"{address}/docs").status_code == 200
    process.terminate()
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


def test_what_cannot_work_is_said_and_a_taken_port_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        out, err = started(tmp_path, "--port", port).communicate(timeout=60)
    assert (out, err) == ("", f"arrears: 127.0.0.1:{port}: Address already in use\n")
    process = started(tmp_path, "--port", "0")
    address = address_of(process)
    refused = httpx.post(f"{address}/events", json={})
    assert (refused.status_code, refused.json()["detail"]) == (
        503,
        "no machine may post here: ARREARS_API_TOKEN is not set",
    )
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1].splitlines() == [
        "texts bear no link and ask for no reports: PUBLIC_BASE_URL and ARREARS_SECRET are not both set",
        "Twilio's requests are refused: TWILIO_AUTH_TOKEN and PUBLIC_BASE_URL are not both set",
        "events over HTTP are refused: ARREARS_API_TOKEN is not set",
    ]


def test_a_secret_that_is_too_short_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, says in (
        ("ARREARS_SECRET", "short", "ARREARS_SECRET is shorter than 32 characters"),
        (
            "PUBLIC_BASE_URL",
            "desk.example",
            "PUBLIC_BASE_URL is no address; expected one such as https://pay.example.com",
        ),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(SettingsError, match=f"^{re.escape(says)}$"):
                read_settings()
