"""Sweeps take turns: one at a time, and a sweep that died, or has not been heard of, does not keep its turn."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta

import pytest
import time_machine

from arrears.clock import SystemClock, iso
from arrears.ledger import state
from arrears.operations.services import Services
from arrears.operations.turns import Turn, turn
from arrears.settings import ROOT

DIES = """
import os, sys
from arrears.operations.services import open_services
from arrears.operations.turns import turn
from arrears.settings import Settings
with turn(open_services(Settings(database_url=sys.argv[1]))) as mine:
    print("has it" if mine else "has it not", flush=True)
    os.kill(os.getpid(), 9)
"""


def test_one_at_a_time_and_the_next_when_it_ends(services: Services) -> None:
    with turn(services) as first, turn(services) as second:
        assert first is not None
        assert second is None
    with turn(services) as third:
        assert third is not None


def test_the_turn_of_a_process_that_was_killed_is_free_at_once(services: Services) -> None:
    command = [sys.executable, "-c", DIES, services.settings.database_url]
    died = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=180)
    assert (died.stdout, died.returncode) == ("has it\n", -9), died.stderr
    with turn(services) as mine:
        assert mine is not None


def held_by_another_machine(services: Services, seconds: float) -> None:
    until = services.clock.wall() + timedelta(seconds=seconds)
    with services.ledger.write() as session:
        state.put(session, state.SWEEPING, json.dumps({"by": "elsewhere|boot|ns/7/1 token", "until": iso(until)}))


def test_another_machines_turn_is_free_when_its_lease_is_over_and_it_does_not_take_it_back(services: Services) -> None:
    held_by_another_machine(services, 60)
    with turn(services) as mine:
        assert mine is None
    held_by_another_machine(services, -1)
    with turn(services) as mine:
        assert mine is not None
        late = Turn(services, "elsewhere|boot|ns/7/1 token", services.clock.wall())
        late.keep()
        with turn(services) as other:
            assert other is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_long_sweep_keeps_its_turn_as_long_as_it_says_so(services: Services) -> None:
    services = services.at(SystemClock())
    with time_machine.travel(services.clock.wall(), tick=False) as clock, turn(services) as mine:
        assert mine is not None
        for _ in range(5):
            clock.shift(timedelta(seconds=2 * services.settings.lease_seconds))
            mine.keep()
        with turn(services) as other:
            assert other is None
