"""The official client and the stand-in through a validating proxy: Twilio's description, read by another program.

Runs when ARREARS_TEST_PRISM names the folder where Stoplight's prism is, or is to be, installed from the lock file in
tests/contract/prism (`npm ci`: Node.js 18 or later). openapi-core (test_twilio_contract.py) is the stricter check:
prism takes a recipient that is no number.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from twilio.rest import Client

from arrears.channels.effect import Done, Found
from arrears.channels.sms import TwilioSms
from arrears.channels.sms.twilio_http import Transport
from tests.contract.cut_description import CUT
from tests.support.texts import NOON, NUMBER, a_text
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, SENDER, TwilioStandIn

FOLDER = "ARREARS_TEST_PRISM"
LOCKED = Path(__file__).with_name("prism")
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"


@dataclass
class Proxied:
    """The stand-in behind the proxy, and every violation that the proxy has named."""

    twilio: TwilioStandIn
    url: str
    violations: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def sms(self) -> TwilioSms:
        return TwilioSms(ACCOUNT_SID, AUTH_TOKEN, SENDER, self.url, timeout=120)

    def taken(self) -> list[str]:
        """Where each violation lies since the last time, such as `response.body.status`."""
        found = [
            ".".join(map(str, violation["location"])) for violation in self.violations if not _is_twilios(violation)
        ]
        self.violations.clear()
        return list(dict.fromkeys(found))


def _is_twilios(violation: dict[str, Any]) -> bool:
    """Twilio's own: it calls the addresses of pages URIs, and gives paths, in its description's examples as well."""
    return violation.get("code") == "format" and str(violation["location"][-1]).endswith("uri")


@pytest.fixture(scope="module")
def program() -> Path:
    """prism, installed as locked; once for a lock file."""
    if not os.environ.get(FOLDER):
        pytest.skip(f"needs Node.js: set {FOLDER} to a folder for it, e.g. build/prism")
    folder = Path(os.environ[FOLDER]).resolve()
    lock = hashlib.sha256((LOCKED / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text().strip() != lock:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(LOCKED / name, folder / name)
        subprocess.run(["npm", "ci", "--silent"], cwd=folder, check=True, timeout=240)
        stamp.write_text(lock)
    return folder / "node_modules" / ".bin" / "prism"


@pytest.fixture(scope="module")
def proxied(program: Path) -> Iterator[Proxied]:
    with pytest.MonkeyPatch.context() as patched, TwilioStandIn() as twilio:
        patched.setenv("NO_PROXY", "127.0.0.1")
        twilio.now = lambda: NOON + timedelta(minutes=1)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [str(program), "proxy", str(CUT), twilio.url, "--port", str(port), "--verboseLevel", "silent"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as prism:
            try:
                _until_it_listens(prism, port)
                proxied = Proxied(twilio, f"http://127.0.0.1:{port}")
                send = requests.Session.send

                def noting(session: requests.Session, *what: Any, **how: Any) -> requests.Response:
                    answer = send(session, *what, **how)
                    proxied.violations += json.loads(answer.headers.get("sl-violations", "[]"))
                    return answer

                patched.setattr(requests.Session, "send", noting)
                yield proxied
            finally:
                prism.terminate()


def _until_it_listens(prism: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert prism.poll() is None, f"prism ended with {prism.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("prism does not listen")


def test_what_we_send_and_what_the_stand_in_answers_keep_to_the_description(proxied: Proxied) -> None:
    sms = proxied.sms()
    sent = sms.perform(a_text(validity_seconds=3600))
    assert isinstance(sent, Done)
    assert isinstance(sms.perform(a_text("AAAAAAAA", **{"from": "MG" + "0" * 32})), Done)
    assert isinstance(sms.look_up(a_text()), Found)
    proxied.twilio.mailbox.update(
        sent.reference, status="undelivered", error_code=30003, date_sent="Wed, 23 Dec 2026 12:01:02 +0000"
    )
    fate = sms.fate(sent.reference)
    assert fate is not None
    assert (fate.status, fate.error_code) == ("undelivered", "30003")
    for _ in range(1000):
        proxied.twilio.mailbox.add(to=NUMBER, body="another text", created=NOON, sent=NOON)
    assert sum(fate.status == "undelivered" for fate in sms.listed(NOON, NOON + timedelta(days=1))) == 1
    assert proxied.taken() == []
    assert len(proxied.twilio.exchanges) == 6


@pytest.mark.parametrize(
    ("drift", "where"),
    [
        ({"status": "posted"}, "response.body.status"),
        ({"sid": "SM1"}, "response.body.sid"),
        ({"num_segments": 1}, "response.body.num_segments"),
        ({"error_code": "30003"}, "response.body.error_code"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_a_stand_in_that_drifts_is_caught(proxied: Proxied, drift: dict[str, Any], where: str) -> None:
    text = proxied.twilio.mailbox.add(to=NUMBER, body="a text", created=NOON)
    sid = text["sid"]
    text |= drift
    client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=Transport(urlsplit(proxied.url), 120))
    client.messages(sid).fetch()
    assert proxied.taken() == [where]


@pytest.mark.parametrize(
    ("form", "where"),
    [
        ({"To": NUMBER, "From": SENDER, "Body": "a text", "ValidityPeriod": "soon"}, "request.body.ValidityPeriod"),
        ({"To": NUMBER, "MessagingServiceSid": "MG1", "Body": "a text"}, "request.body.MessagingServiceSid"),
    ],
    ids=["validity", "service"],
)
def test_a_request_that_drifts_is_caught(proxied: Proxied, form: dict[str, str], where: str) -> None:
    proxied.twilio.fault("http_503")
    requests.post(f"{proxied.url}{MESSAGES}", form, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=120)
    assert [place for place in proxied.taken() if place.startswith("request")] == [where]
