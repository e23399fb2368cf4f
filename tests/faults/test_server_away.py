"""A PostgreSQL that goes away and comes back, seen by whoever has the ledger open, and by whoever would open it."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import text

from arrears.ledger.database import Ledger, LedgerAway, LedgerBusy, LedgerError
from arrears.ledger.limits import Limits
from tests.support.cluster import Cluster

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults-postgresql")]
PUT = text("INSERT INTO ledger_state VALUES (:name, 'x')")


def test_a_session_that_is_ended_is_told_so_and_the_next_one_works(cluster: Cluster) -> None:
    ledger = Ledger.open(cluster.url)
    with pytest.raises(LedgerAway, match=r"ended the connection: .*; try again, for nothing counts twice"):
        _cut_off(cluster, ledger)
    with ledger.write() as session:
        session.execute(PUT, {"name": "cut off"})
    ledger.close()


def _cut_off(cluster: Cluster, ledger: Ledger) -> None:
    with ledger.write() as session:
        session.execute(PUT, {"name": "cut off"})
        cluster.end_sessions()


def test_a_server_that_restarts_is_waited_for_by_who_knows_it_and_told_of_to_who_does_not(cluster: Cluster) -> None:
    ledger = Ledger.open(cluster.url, Limits(connect=20))
    with ledger.read():
        pass
    cluster.stop()
    began = time.monotonic()
    with pytest.raises(LedgerBusy, match=r"cannot be opened: PostgreSQL cannot be reached \(Connection refused\)"):
        Ledger.open(cluster.url, Limits(connect=20))
    assert time.monotonic() - began < 10, "an address that is wrong is told of at once"
    done = threading.Event()

    def write() -> None:
        with ledger.write() as session:
            session.execute(PUT, {"name": "waited"})
        done.set()

    # The first use of a connection from before fails; of those made anew each waits.
    ledger.close()
    writer = threading.Thread(target=write)
    writer.start()
    assert not done.wait(1)
    cluster.start()
    assert done.wait(20), "a server that came back was not taken"
    writer.join()
    ledger.close()


def test_a_server_without_the_room_to_begin_a_session_is_away(cluster: Cluster) -> None:
    """As one is that was restarted with its disk full: it cannot write down what every session begins with."""
    if not cluster.is_small:
        pytest.skip("no file system may be mounted here: somebody else's disk would be filled")
    ledger = Ledger.open(cluster.url, Limits(connect=0.5))
    ledger.close()
    for file in cluster.data.rglob("pg_internal.init"):
        file.unlink()
    cluster.fill_disk()
    try:
        with (
            pytest.raises(LedgerAway, match=r"cannot begin a session \(could not write init file\); is there room"),
            ledger.read(),
        ):
            pass
    finally:
        cluster.empty_disk()
    with ledger.read():
        pass
    ledger.close()


def test_a_server_that_will_not_have_us_is_not_called_away(cluster: Cluster) -> None:
    with pytest.raises(LedgerError, match='database "nowhere" does not exist') as told:
        Ledger.open(cluster.url.replace("/arrears", "/nowhere"))
    assert not isinstance(told.value, LedgerBusy)
