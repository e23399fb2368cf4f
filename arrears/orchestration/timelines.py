"""One flow run per account for its whole life: started, woken, found stalled, found cancelled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import chain, count
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.states import Cancelled, Completed
from sqlmodel import col, select

import models
from arrears.clock import iso, parse_instant
from arrears.engine.delinquency import zone_of
from arrears.engine.vocabulary import CaseStatus
from arrears.ledger import state
from arrears.ledger.cases import read_case_file
from arrears.operations.moves import Standstill
from arrears.operations.services import Services
from arrears.operations.steer import halt
from arrears.operations.sweep import TIMELINE, late_timelines
from arrears.orchestration.waiting import waiting_state

logger = logging.getLogger(__name__)

DEPLOYMENT = "escalate/default"
RETIRED = "the sweep drives this account from now on"
# A case that only an event or a person can move is looked at again after this long all the same.
LOOK_AGAIN = timedelta(days=30)
_PAGE = 200
# As many as a sweep lists at a time.
_MOST_LATE = 10_000
# By how much the clock of whoever ended a run may be behind ours for it to be seen.
_CLOCKS_APART = timedelta(days=1)
# How long a worker gets to end a run that is being cancelled.
_TIME_TO_CANCEL = timedelta(minutes=1)
_ENDED_BY_A_PERSON = (StateType.CANCELLED, StateType.CANCELLING)


class PrefectUnreachable(Exception):
    """Prefect's API did not answer, or has no such deployment; the ledger is unharmed."""


@contextmanager
def prefect_api() -> Generator[SyncPrefectClient]:
    """A client whose failures are anticipated: PrefectUnreachable with one line."""
    try:
        with get_client(sync_client=True) as client:
            yield client
    except (httpx.HTTPError, PrefectException, RuntimeError, OSError) as error:
        raise PrefectUnreachable(f"Prefect's API failed: {type(error).__name__}") from error


def rest_of(services: Services, rest: Standstill) -> tuple[datetime, str]:
    """When a timeline is to look again (wall time), and what its run says meanwhile."""
    clock = services.clock
    if rest.wall_until is not None:
        return rest.wall_until, f"{rest.reason}; looked at again {rest.wall_until:%Y-%m-%d %H:%M:%S} UTC"
    if rest.until is not None:
        local = rest.until.astimezone(zone_of(rest.zone))
        what = rest.reason if rest.rung is None else f"until {rest.rung}"
        return clock.wall_at(rest.until), f"{what}, {local:%Y-%m-%d %H:%M} {rest.zone or 'UTC'}"
    return clock.wall_at(clock.now() + LOOK_AGAIN), rest.reason


def standing(case: models.Case, zone: str) -> Standstill:
    """The standstill that a case's row records."""
    return Standstill(
        case.next_reason, until=case.next_due_at, wall_until=case.retry_at, rung=case.next_rung, zone=zone
    )


def start_timelines(
    services: Services, account_ids: Iterable[str], *, progress: Callable[[int], None] | None = None
) -> int:
    """Create the flow run of each account's open case, already Waiting; how many were created.

    Idempotent: a case has one run, whatever was interrupted. Raises PrefectUnreachable.
    """
    started = 0
    with prefect_api() as client:
        deployment = client.read_deployment_by_name(DEPLOYMENT)
        for case, account in _cases(services, list(account_ids)):
            until, message = rest_of(services, standing(case, account.zones[0] if account.zones else ""))
            run = client.create_flow_run_from_deployment(
                deployment.id,
                name=account.id,
                parameters={"account_id": account.id},
                state=waiting_state(until, message),
                tags=tags(account.portfolio, case.stage),
                idempotency_key=f"{case.id}/{case.failures}/{case.flow_run_id or ''}",
            )
            _keep_run(services, case.id, run.id)
            started += 1
            if progress is not None:
                progress(started)
    return started


def without_timeline(services: Services, portfolio: str) -> list[str]:
    """Accounts of a portfolio whose open case should have a timeline and has none yet."""
    with services.ledger.read() as session:
        return list(
            session.exec(
                select(models.Case.account_id)
                .join(models.Account, col(models.Account.id) == col(models.Case.account_id))
                .where(
                    models.Account.portfolio == portfolio,
                    models.Case.driver == TIMELINE,
                    col(models.Case.flow_run_id).is_(None),
                    models.Case.status != CaseStatus.CLOSED,
                )
                .order_by(col(models.Case.account_id))
            ).all()
        )


def tags(portfolio: str, stage: str) -> list[str]:
    """What a timeline's run is tagged with, so that Prefect's UI can filter by it."""
    return ["arrears", f"portfolio:{portfolio}", f"stage:{stage}"]


def wake(services: Services, account_id: str) -> str | None:
    """Bring an account's waiting run forward to now, or complete it at once if its case is closed.

    None when no timeline drives the account. Raises PrefectUnreachable; the sweep makes good what could not
    be woken.
    """
    with services.ledger.read() as session:
        case = session.exec(
            select(models.Case)
            .where(models.Case.account_id == account_id)
            .order_by(col(models.Case.opened_at).desc())
            .limit(1)
        ).first()
    if case is None or case.timeline is None:
        return None
    run_id = UUID(case.timeline)
    with prefect_api() as client:
        run = _read(client, run_id)
        if run is not None and run.state is not None and run.state.is_scheduled():
            if case.status == CaseStatus.CLOSED:
                # There is nothing left to do for which a worker would be needed.
                client.set_flow_run_state(run_id, Completed(message=f"closed: {case.outcome}"))
                finish(services, account_id)
            else:
                client.set_flow_run_state(run_id, waiting_state(services.clock.wall(), "woken"))
    return case.timeline


def retire(services: Services, account_ids: Iterable[str]) -> int:
    """End the waiting runs of accounts that the sweep drives from now on; how many. Raises PrefectUnreachable.

    One that cannot be ended now ends by itself when it wakes.
    """
    ended = 0
    with prefect_api() as client:
        for case, _ in _cases(services, list(account_ids)):
            if case.driver == TIMELINE or case.flow_run_id is None:
                continue
            run = _read(client, UUID(case.flow_run_id))
            if run is not None and run.state is not None and run.state.is_scheduled():
                client.set_flow_run_state(run.id, Completed(message=RETIRED))
                ended += 1
    return ended


def finish(services: Services, account_id: str) -> None:
    """The timeline of a closed case is at its end: nothing is due any more."""
    with services.ledger.write() as session:
        case = read_case_file(session, account_id, lock=True).case
        if case.status == CaseStatus.CLOSED:
            case.next_due_at = None
            session.add(case)


def halt_cancelled(services: Services) -> tuple[str, ...]:
    """Halt every case whose timeline an operator cancelled: they meant it. Raises PrefectUnreachable.

    A run left `Cancelling` because no process was there to end is brought to Cancelled. What had ended long before the
    last look is not looked at again: a portfolio's cancelled runs only ever become more. But a run that had ended
    otherwise before it was cancelled keeps the time of that end: the runs of what a sweep would advance are asked for.
    """
    halted: list[str] = []
    began = services.clock.wall()
    with services.ledger.read() as session:
        looked = state.get(session, state.CANCELLED_SEEN)
    since = parse_instant(looked) - _CLOCKS_APART if looked else None
    late = [UUID(run_id) for run_id in late_timelines(services, limit=_MOST_LATE)]
    with prefect_api() as client:
        # Read whole before any of them is ended: the pages would shift.
        cancelling = list(_runs(client, StateType.CANCELLING))
        for page in chain(cancelling, _runs(client, StateType.CANCELLED, since), _cancelled_of(client, late)):
            for account_id, run_id in _driven_by(services, page):
                why, now = "its run was cancelled in Prefect", services.clock.now()
                if halt(services, account_id, why=why, who="operator", at=now, run_id=run_id):
                    halted.append(account_id)
        for run in chain.from_iterable(cancelling):
            _finish_cancelling(client, run, services.clock.wall())
    with services.ledger.write() as session:
        state.put(session, state.CANCELLED_SEEN, iso(began))
    return tuple(halted)


def revive(services: Services, account_ids: Iterable[str], *, restart_cancelled: bool = False) -> tuple[str, ...]:
    """Set late timelines going again at what their cases now wait for; which ones.

    A run found Running, Pending, Crashed or Failed long after its case fell due has lost its process; a
    run Prefect no longer knows gets a successor, and with `restart_cancelled` so does one that an operator
    cancelled and now resumes. Raises PrefectUnreachable.
    """
    revived: list[str] = []
    lost: list[str] = []
    with prefect_api() as client:
        for case, account in _cases(services, list(account_ids)):
            if case.driver != TIMELINE or case.status == CaseStatus.HALTED:
                continue
            run = _read(client, UUID(case.flow_run_id)) if case.flow_run_id else None
            if case.status == CaseStatus.CLOSED and (run is None or run.state is None or run.state.is_final()):
                # Nobody is left who would bring it to its end.
                finish(services, account.id)
                continue
            if run is None or (run.state is not None and run.state.is_completed()):
                lost.append(account.id)
                continue
            if run.state is not None and run.state.type in _ENDED_BY_A_PERSON:
                if restart_cancelled:
                    lost.append(account.id)
                continue
            zone = account.zones[0] if account.zones else ""
            rest = standing(case, zone) if case.status != CaseStatus.CLOSED else Standstill("closed")
            until, message = rest_of(services, rest)
            if case.status == CaseStatus.CLOSED:
                until = services.clock.wall()
            client.set_flow_run_state(run.id, waiting_state(until, message), force=True)
            revived.append(account.id)
    if lost:
        start_timelines(services, lost)
        revived.extend(lost)
    return tuple(revived)


def _runs(client: SyncPrefectClient, type: StateType, since: datetime | None = None) -> Iterator[list[FlowRun]]:
    """Timelines in that state, page by page; `since`: that came to an end at it or later."""
    of_type = FlowRunFilterState(type=FlowRunFilterStateType(any_=[type]))
    ended = FlowRunFilterEndTime.model_validate({"after_": since}) if since else None
    wanted = FlowRunFilter(state=of_type, end_time=ended)
    yield from _pages(client, wanted)


def _cancelled_of(client: SyncPrefectClient, run_ids: list[UUID]) -> Iterator[list[FlowRun]]:
    """Of these timelines, those that somebody cancelled."""
    cancelled = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLED]))
    for start in range(0, len(run_ids), _PAGE):
        some = FlowRunFilterId(any_=run_ids[start : start + _PAGE])
        yield from _pages(client, FlowRunFilter(id=some, state=cancelled))


def _pages(client: SyncPrefectClient, wanted: FlowRunFilter) -> Iterator[list[FlowRun]]:
    for offset in count(0, _PAGE):
        page = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=["escalate"])),
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=["default"])),
            flow_run_filter=wanted,
            limit=_PAGE,
            offset=offset,
        )
        yield page
        if len(page) < _PAGE:
            return


def _finish_cancelling(client: SyncPrefectClient, run: FlowRun, wall: datetime) -> None:
    """A run whose process is gone would stay Cancelling for ever: there is nothing left to end."""
    if run.state is not None and wall - run.state.timestamp > _TIME_TO_CANCEL:
        client.set_flow_run_state(run.id, Cancelled(message=run.state.message), force=True)


def _driven_by(services: Services, runs: list[FlowRun]) -> list[tuple[str, str]]:
    """Accounts that go on, each with the one of `runs` that drives it."""
    with services.ledger.read() as session:
        found = session.exec(
            select(models.Case.account_id, col(models.Case.flow_run_id)).where(
                col(models.Case.flow_run_id).in_([str(run.id) for run in runs]),
                models.Case.driver == TIMELINE,
                col(models.Case.status).not_in((CaseStatus.HALTED, CaseStatus.CLOSED)),
            )
        ).all()
        return [(account, run) for account, run in found if run is not None]


def _cases(services: Services, account_ids: list[str]) -> list[tuple[models.Case, models.Account]]:
    found: list[tuple[models.Case, models.Account]] = []
    with services.ledger.read() as session:
        for start in range(0, len(account_ids), 500):
            rows = session.exec(
                select(models.Case, models.Account)
                .join(models.Account, col(models.Account.id) == col(models.Case.account_id))
                .where(col(models.Case.account_id).in_(account_ids[start : start + 500]))
                .order_by(col(models.Case.opened_at))
            ).all()
            newest = {account.id: (case, account) for case, account in rows}
            found.extend(newest.values())
    return found


def _keep_run(services: Services, case_id: str, run_id: UUID) -> None:
    with services.ledger.write() as session:
        case = session.get(models.Case, case_id, with_for_update=True)
        assert case is not None
        case.flow_run_id, case.driver = str(run_id), TIMELINE
        session.add(case)


def _read(client: SyncPrefectClient, run_id: UUID) -> FlowRun | None:
    try:
        return client.read_flow_run(run_id)
    except ObjectNotFound:
        return None
