"""A network that is dead, and tells nobody: PostgreSQL is given up in time, where no limit of the server's can help."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from uuid import uuid4

import pytest

from arrears.settings import ROOT
from tests.support.cluster import Cluster, NoServer

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults-postgresql")]
HERE, THERE = "10.213.7.1", "10.213.7.2"
# Runs in a network of its own; says when it has asked, and then what came of it.
ASK = """
import sys
from sqlalchemy import text
from arrears.ledger.database import Ledger, LedgerError
from arrears.ledger.limits import Limits
ledger = Ledger.open(sys.argv[1], Limits(silent=3))
try:
    with ledger.read() as session:
        session.execute(text("SELECT 1"))
        print("asks", flush=True)
        sys.stdin.readline()
        session.execute(text("SELECT pg_sleep(1)"))
except LedgerError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def network() -> Iterator[str]:
    """Another machine's network, by name, with a cable between it and ours."""
    if shutil.which("ip") is None:
        pytest.skip("no network of its own can be made here: install the package iproute2")
    name = f"arrears-{uuid4().hex[:6]}"
    cable = f"a{uuid4().hex[:8]}"
    commands = (
        f"ip netns add {name}",
        f"ip link add {cable} type veth peer name there netns {name}",
        f"ip addr add {HERE}/30 dev {cable}",
        f"ip link set {cable} up",
        f"ip -n {name} addr add {THERE}/30 dev there",
        f"ip -n {name} link set there up",
    )
    try:
        for command in commands:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if done.returncode and (os.geteuid() or command == commands[0]):
                pytest.skip(f"no network of its own may be made here: {done.stderr.strip()}")
            assert not done.returncode, done.stderr
        yield name
    finally:
        for command in (f"ip netns del {name}", f"ip link del {cable}"):
            with suppress(FileNotFoundError):
                subprocess.run(command.split(), capture_output=True, check=False)


def test_a_dead_network_is_noticed_and_told_in_one_line(network: str) -> None:
    try:
        with Cluster(host=HERE) as cluster:
            cluster.new_database()
            command = ["ip", "netns", "exec", network, sys.executable, "-c", ASK, cluster.url]
            asking = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            assert asking.stdout
            assert asking.stdout.readline() == "asks\n"
            subprocess.run(["ip", "-n", network, "addr", "del", f"{THERE}/30", "dev", "there"], check=True)
            said, _ = asking.communicate("go on\n", timeout=180)
            assert said.startswith("LedgerAway the ledger is away: ")
    except NoServer as error:
        pytest.skip(str(error))
