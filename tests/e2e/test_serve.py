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
from tests.support.prefect_house import wait_for
from tests.support.warm import Warm

pytestmark = pytest.mark.xdist_group("prefect")

COMMAND = Path(sys.executable).with_name("arrears")
READY = {"ARREARS_SECRET": "x" * 32, "ARREARS_API_TOKEN": "t", "PUBLIC_BASE_URL": "https://desk.example"}
READY |= {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "t", "TWILIO_FROM": "+15005550006"}


ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


def environment(**more: str) -> dict[str, str]:
    """The test's own, with nothing in it that `arrears` reads."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("ARREARS_", "TWILIO_", "PUBLIC_"))} | more


def test_it_listens_until_it_is_told_to_end(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [COMMAND, "serve", "--port", "0"],
        cwd=tmp_path,
        env=environment(**READY),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    found = ADDRESS.search(process.stdout.readline())
    assert found
    address = found.group()
    assert httpx.get(f"{address}/health/ready", timeout=60).json() == {"status": "ready", "stopped": None}
    assert httpx.get(f"{address}/docs", timeout=60).status_code == 200
    process.terminate()
    assert process.communicate(timeout=180) == ("", "")
    assert process.returncode == 0


def test_what_cannot_work_is_said_and_a_taken_port_in_one_line(tmp_path: Path, warm_prefect: Warm) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = warm_prefect.run(["arrears", "serve", "--port", port], tmp_path, environment())
    assert (ran.out, ran.err) == ("", f"arrears: 127.0.0.1:{port}: Address already in use\n")
    out, err = tmp_path / "out", tmp_path / "err"
    process = warm_prefect.start(["arrears", "serve", "--port", "0"], tmp_path, environment(), out, err)
    address = wait_for("its address", lambda: out.exists() and ADDRESS.search(out.read_text())).group()
    refused = httpx.post(f"{address}/events", json={}, timeout=60)
    assert (refused.status_code, refused.json()["detail"]) == (
        503,
        "no machine may post here: ARREARS_API_TOKEN is not set",
    )
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=180) == 0
    assert err.read_text().splitlines() == [
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
