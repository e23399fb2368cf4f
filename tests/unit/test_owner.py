"""An intent is taken from its owner only when that process provably no longer runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from arrears.ledger.owner import is_gone, new_claim, this_process
from arrears.settings import ROOT

SAY_WHO = "from arrears.ledger.owner import this_process; print(this_process(), flush=True); input()"


@pytest.fixture
def another_process() -> subprocess.Popen[str]:
    """Says who it is, and lives until it is killed."""
    return subprocess.Popen(
        [sys.executable, "-c", SAY_WHO], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_this_process_is_not_gone() -> None:
    assert this_process() == this_process()
    assert not is_gone(this_process())


def test_another_process_is_gone_once_it_is_killed(another_process: subprocess.Popen[str]) -> None:
    with another_process:
        assert another_process.stdout is not None
        owner = another_process.stdout.readline().strip()
        assert owner != this_process()
        assert not is_gone(owner)
        another_process.kill()
        os.waitid(os.P_PID, another_process.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(owner), "a zombie has stopped acting"
        another_process.wait()
        assert is_gone(owner)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="start times are read from /proc")
def test_a_process_that_was_given_an_old_number_is_somebody_else() -> None:
    machine, pid, started = this_process().rsplit("/", 2)
    assert is_gone(f"{machine}/{pid}/{int(started) - 1}")


def test_a_forked_child_is_another_process() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, this_process().encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        owner = told.read()
    os.waitpid(child, 0)
    assert owner != this_process()
    assert is_gone(owner)


@pytest.mark.parametrize("change", [("|", "-elsewhere|"), ("[", "[9")])
def test_a_process_of_another_host_or_namespace_is_never_judged_gone(change: tuple[str, str]) -> None:
    """Neither is one of before a restart of the machine: all that is left there is to let the lease run out."""
    assert not is_gone(this_process().replace(*change, 1).rpartition("/")[0] + "/1")


def test_nobody_is_not_judged_gone() -> None:
    assert not is_gone("")


def test_every_claim_is_another_and_names_its_process() -> None:
    one, two = new_claim(), new_claim()
    assert one != two
    assert {claim.partition("@")[2] for claim in (one, two)} == {this_process()}
    assert not is_gone(one)
    machine, pid, started = this_process().rsplit("/", 2)
    assert is_gone(f"1.abc@{machine}/{pid}/{int(started) - 1}")


NO_DESCRIPTOR_LEFT = """
import resource, sys
from arrears.ledger.owner import is_gone, new_claim, this_process
if sys.argv[2] == "named before":
    this_process()
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
print(is_gone(sys.argv[1]), is_gone(this_process()))
"""


@pytest.mark.parametrize("when", ["named before", "never named"])
def test_who_cannot_be_looked_at_is_not_judged_gone(another_process: subprocess.Popen[str], when: str) -> None:
    with another_process:
        assert another_process.stdout is not None
        owner = another_process.stdout.readline().strip()
        command = [sys.executable, "-c", NO_DESCRIPTOR_LEFT, owner, when]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        another_process.kill()
    assert told == "False False\n"


def test_a_process_that_could_not_be_told_from_others_is_gone_when_there_is_none_of_its_number() -> None:
    machine, pid, _ = this_process().rsplit("/", 2)
    assert not is_gone(f"{machine}/{pid}/?")
    assert is_gone(f"{machine}/4194305/?")
