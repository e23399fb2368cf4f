"""Timelines on a real Prefect server with real workers."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Cancelling, Crashed, Running, Scheduled

from arrears.clock import VirtualClock, iso, machine_time
from arrears.ledger import state
from arrears.ledger.cases import read_case_file
from arrears.operations.pay import pay
from arrears.orchestration.timelines import halt_cancelled
from tests.conftest import HEADER, a_row
from tests.e2e.conftest import House, waiting
from tests.support.prefect_house import end, wait_for

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]


def house_known(house: House) -> bool:
    try:
        return house.show()["flow_run_id"] is not None
    except LookupError:
        return False


def test_an_account_climbs_all_five_stages_as_one_run_that_waits_between_them(
    house: House, client: SyncPrefectClient
) -> None:
    house.start_worker()
    house.enroll()
    wait_for("the enrolment", lambda: house_known(house))
    wait_for("the placement", lambda: house.steps().get("agency-1") == "done")
    house.command("approve", house.account_id, "legal-1", "--by", "A. Counsel")
    done = wait_for("the end of the run", lambda: _completed(house, client))

    assert done.state.message == "closed: referred"
    assert done.name == house.account_id
    tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[done.id])))
    assert [task.name for task in sorted(tasks, key=lambda task: task.start_time)] == [
        "sms-1",
        "call-1",
        "letter-1",
        "agency-1",
        "legal-1",
    ]
    assert "stage:legal" in done.tags
    assert f"portfolio:{house.account_id}" in done.tags
    assert len(house.texts()) == 1


def test_a_waiting_run_says_for_what_and_a_payment_completes_it(house: House, client: SyncPrefectClient) -> None:
    run = house.timeline_that_waits(client)
    assert run.state.type.name == "SCHEDULED"
    assert run.state.message == "until sms-1, 2026-08-02 10:00 America/New_York"
    house.command("pay", house.account_id, "120.00", "--reference", f"P-{house.account_id}")
    done = wait_for("the end of the run", lambda: _completed(house, client))
    assert done.state.message == "closed: cured"
    assert house.texts() == []


def test_a_payment_nobody_told_prefect_of_is_made_good_by_the_sweep(house: House, client: SyncPrefectClient) -> None:
    house.environment["ARREARS_CLOCK"] = "lapse:2026-08-01T12:00:00Z:60"
    house.start_worker()
    house.enroll()
    wait_for("the wait", lambda: waiting(house, client))
    at = house.services.clock.now()
    pay(house.services, house.account_id, "120.00", reference=f"P-{house.account_id}", at=at, source="t", who="t")
    let_the_grace_pass(house, at)
    house.flow("sweep")
    done = wait_for("the end of the run", lambda: _completed(house, client))
    assert done.state.message == "closed: cured"


def test_a_case_whose_run_was_cancelled_and_that_is_paid_is_due_no_more(
    house: House, client: SyncPrefectClient
) -> None:
    """There is no run left that would come to its end; due for ever, it would go before others in every sweep."""
    run = house.timeline_that_waits(client)
    client.set_flow_run_state(run.id, Cancelling())
    at = house.services.clock.now()
    pay(house.services, house.account_id, "120.00", reference=f"P-{house.account_id}", at=at, source="t", who="t")
    assert due_of(house) is not None
    let_the_grace_pass(house, at)
    swept = house.flow("sweep")
    wait_for("the end of a sweep", lambda: client.read_flow_run(swept).state.is_completed())
    assert due_of(house) is None
    assert client.read_flow_run(run.id).state.name == "Cancelled"


def let_the_grace_pass(house: House, at: datetime) -> None:
    """For what has been due since `at` to be a sweep's."""
    clock = house.services.clock
    wait_for("the grace to pass", lambda: clock.now() > at + clock.lasts(timedelta(seconds=6)))


def look_was(house: House, *, days_ahead: float) -> None:
    """As the clocks of who cancelled runs have it, the last look for them was so many days ahead."""
    with house.services.ledger.write() as session:
        state.put(session, state.CANCELLED_SEEN, iso(machine_time() + timedelta(days=days_ahead)))


def due_of(house: House) -> datetime | None:
    with house.services.ledger.read() as session:
        return read_case_file(session, house.account_id).case.next_due_at


def test_a_cancelled_timeline_halts_its_case_until_it_is_resumed(house: House, client: SyncPrefectClient) -> None:
    run = house.timeline_that_waits(client)
    client.set_flow_run_state(run.id, Cancelling())
    assert client.read_flow_run(run.id).state.name == "Cancelled"

    first = house.flow("sweep")
    wait_for("the end of a sweep", lambda: client.read_flow_run(first).state.is_completed())
    assert house.show()["status"] == "halted"
    with house.services.ledger.read() as session:
        assert state.get(session, state.CANCELLED_SEEN) is not None
    again = house.flow("sweep")
    wait_for("the end of another", lambda: client.read_flow_run(again).state.is_completed())
    assert house.show()["status"] == "halted"
    assert "cancelled in Prefect" in house.show()["next"]["reason"]

    house.command("resume", house.account_id)
    successor = wait_for("the successor", lambda: waiting(house, client))
    assert successor.id != run.id
    assert house.show()["status"] in ("current", "delinquent")


def test_a_run_by_hand_advances_once_and_says_where_the_timeline_is(house: House, client: SyncPrefectClient) -> None:
    timeline = house.timeline_that_waits(client)
    house.flow("escalate", account_id=house.account_id)

    def by_hand():
        for run in client.read_flow_runs(limit=50):
            if run.parameters.get("account_id") == house.account_id and run.id != timeline.id and run.state.is_final():
                return run
        return None

    run = wait_for("the run by hand", by_hand)
    assert run.state.message == f"advanced once; the timeline goes on in flow run {timeline.id}"
    assert house.show()["flow_run_id"] == str(timeline.id)
    assert client.read_flow_run(timeline.id).state.name == "Waiting"


def test_a_killed_worker_leaves_a_run_running_and_the_sweep_revives_it(house: House, client: SyncPrefectClient) -> None:
    first = house.start_worker()
    house.enroll()
    wait_for("the first text", lambda: house.steps().get("sms-1") == "done")
    run = wait_for("the wait", lambda: waiting(house, client))
    end(first)
    # What kill -9 leaves behind when it strikes while a rung is being made.
    client.set_flow_run_state(run.id, Running(), force=True)

    house.start_worker()
    house.command("show", house.account_id)
    wait_for("the call to fall due", lambda: house.show()["days_past_due"] >= 7)
    house.flow("sweep")
    wait_for("the letter", lambda: house.steps().get("letter-1") == "done")
    assert len(house.texts()) == 1
    assert house.run(client).id == run.id


def test_a_failed_run_retried_in_the_ui_makes_no_second_effect(house: House, client: SyncPrefectClient) -> None:
    house.start_worker()
    house.enroll()
    wait_for("the first text", lambda: house.steps().get("sms-1") == "done")
    run = wait_for("the wait", lambda: waiting(house, client))
    client.set_flow_run_state(run.id, Scheduled(name="AwaitingRetry"), force=True)
    wait_for("the call", lambda: house.steps().get("call-1") == "done")
    assert len(house.texts()) == 1


def test_of_cancelled_runs_only_what_has_ended_since_the_last_look_is_looked_at(
    house: House, client: SyncPrefectClient
) -> None:
    run = house.timeline_that_waits(client)
    with temporary_settings({PREFECT_API_URL: house.server.environment["PREFECT_API_URL"]}):
        assert halt_cancelled(house.services) == ()
        client.set_flow_run_state(run.id, Cancelling())
        # The clock of who cancelled it was half a day slow.
        look_was(house, days_ahead=0.5)
        assert halt_cancelled(house.services) == (house.account_id,)
        house.command("resume", house.account_id)
        successor = wait_for("the successor", lambda: waiting(house, client))
        client.set_flow_run_state(successor.id, Cancelling())
        look_was(house, days_ahead=2)
        assert halt_cancelled(house.services) == ()
        assert halt_cancelled(house.services) == (house.account_id,)


def test_a_run_that_had_ended_long_before_it_was_cancelled_is_found_when_its_case_is_late(
    house: House, client: SyncPrefectClient
) -> None:
    """Prefect keeps the time of the first end."""
    run = house.timeline_that_waits(client)
    with temporary_settings({PREFECT_API_URL: house.server.environment["PREFECT_API_URL"]}):
        client.set_flow_run_state(run.id, Crashed(), force=True)
        look_was(house, days_ahead=2)
        client.set_flow_run_state(run.id, Cancelled(), force=True)
        due = due_of(house)
        assert due is not None
        assert halt_cancelled(house.services) == ()
        look_was(house, days_ahead=2)
        assert halt_cancelled(house.services.at(VirtualClock(due + timedelta(days=1)))) == (house.account_id,)


def _completed(house: House, client: SyncPrefectClient):
    run = house.run(client)
    return run if run is not None and run.state is not None and run.state.is_completed() else None


def test_a_live_case_changes_its_driver_and_back(house: House, client: SyncPrefectClient) -> None:
    run = house.timeline_that_waits(client)
    house.command("driver", "sweep", house.account_id)
    ended = client.read_flow_run(run.id)
    assert ended.state is not None
    assert (ended.state.name, ended.state.message) == ("Completed", "the sweep drives this account from now on")
    assert house.show()["next"]["rung"] == "sms-1"

    # A run that nobody could end does nothing when it wakes.
    client.set_flow_run_state(run.id, Scheduled(scheduled_time=ended.state.timestamp), force=True)
    wait_for("its end", lambda: client.read_flow_run(run.id).state.is_completed())
    assert client.read_flow_run(run.id).state.message == "the sweep drives this account from now on"

    house.command("driver", "timeline", house.account_id)
    successor = wait_for("the successor", lambda: waiting(house, client))
    assert successor.id != run.id


def test_a_sweep_shared_by_several_runs_makes_everything_once(house: House, client: SyncPrefectClient) -> None:
    path = house.folder / "portfolio.csv"
    path.write_text(HEADER + "".join(a_row(f"{house.account_id}-{n}") for n in range(30)), encoding="utf-8")
    house.lay_clock("2026-08-01T12:00:00Z")
    house.environment["ARREARS_SWEEP_BATCH"] = "5"
    house.command("enroll", str(path), "--at", "2026-07-25T12:00:00Z")
    house.start_worker()
    house.flow("sweep", shares="3")

    def completed():
        runs = client.read_flow_runs(limit=200, sort=FlowRunSort.START_TIME_DESC)
        names = ("sweep", "sweep-share-1-of-3", "sweep-share-2-of-3")
        return {run.name for run in runs if run.state.is_completed() and run.name in names} == set(names)

    wait_for("the end of all three", completed)
    made = [json.loads(text)["account_id"] for text in house.texts()]
    assert len(made) == len(set(made))
