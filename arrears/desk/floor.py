"""The call floor over HTTP: what `arrears calls` does, for a desk of one's own."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, BackgroundTasks, Depends, Path, Query, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from arrears.clock import iso
from arrears.desk.api import may_post
from arrears.desk.commons import Deployment, Refusal, rouse
from arrears.engine.vocabulary import Disposition
from arrears.intake.events import E164
from arrears.operations.calls import CallRefused, Promised, must_be_noted, record_call
from arrears.operations.claim import NothingToCall, next_call, release_claim
from arrears.operations.day_list import Listed, day_list
from arrears.operations.dial import dial, dialler_of
from arrears.operations.services import Services, instant

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Refusal, "description": "The body is no JSON."},
    401: {"model": Refusal, "description": "No token, or a wrong one."},
    404: {"model": Refusal, "description": "No such account."},
    409: {"model": Refusal, "description": "It cannot be so; nothing has changed."},
    413: {"model": Refusal, "description": "The body is too long."},
    422: {"model": Refusal, "description": "Fields that are wrong; nothing has changed."},
    503: {"model": Refusal, "description": "The ledger does not answer, or no token is set."},
}
router = APIRouter(prefix="/calls", tags=["calls"], dependencies=[Depends(may_post)], responses=_ANSWERS)


def _text(value: str) -> str:
    if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("expected plain text")
    return value


def _number(value: str) -> str:
    if not E164.fullmatch(value):
        raise ValueError("expected a number as +14155550123")
    return value


Text = Annotated[str, Field(max_length=2000), AfterValidator(_text)]
Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_text)]
Account = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Part(BaseModel):
    """One part of a score: its points, and why so many."""

    name: str
    points: int
    why: str


class Task(BaseModel):
    """A call to make."""

    account_id: str
    number: str
    zone: str
    best_from: str
    best_to: str
    score: int
    why: list[Part]
    dealt_to: str
    claimed_by: str


class Yours(BaseModel):
    """A task that a collector has until `until`. Without an account there is nothing to call now, and `first` says
    when there is."""

    account_id: str | None
    number: str = ""
    script: str = ""
    until: str | None = None
    new: bool = False
    first: str | None = None


class ByWhom(BaseModel):
    """A collector."""

    by: Name


class Release(ByWhom):
    """A task given back."""

    why: Text = ""


class Ringing(BaseModel):
    """The collector's telephone."""

    by: Name
    agent: Annotated[str, AfterValidator(_number)]


class Dialled(BaseModel):
    """What became of a dial so far."""

    dial: str
    state: str
    reason: str


class Outcome(BaseModel):
    """What came of a call; a promise has its amount and day, both or neither. `reference`: a name for it, once."""

    by: Name
    outcome: Disposition
    note: Text = ""
    amount: Annotated[str, Field(max_length=32), AfterValidator(_text)] | None = None
    due_on: date | None = None
    call_back_at: AwareDatetime | None = None
    reference: Annotated[str, Field(max_length=128), AfterValidator(_text)] = ""


class Worked(BaseModel):
    """The call is on record. `new` is false when its reference was known."""

    account_id: str
    outcome: Disposition
    new: bool


@router.get("")
def calls(services: Deployment, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> list[Task]:
    """The day list, the highest score first, with what each score is made of."""
    return [_task(one) for one in day_list(services, now=instant(services, None))[:limit]]


@router.post("/next")
def take_next(services: Deployment, who: ByWhom) -> Yours:
    """The best call that the law allows this minute, or the one that the collector still has."""
    got = next_call(services, by=who.by, now=instant(services, None))
    if isinstance(got, NothingToCall):
        return Yours(account_id=None, first=iso(got.first) if got.first else None)
    task = got.task
    return Yours(
        account_id=task.account_id,
        number=task.number,
        script=task.script,
        until=iso(got.claim.until),
        new=got.new,
    )


@router.post("/{account_id}/release", status_code=204)
def give_back(services: Deployment, account_id: Account, release: Release) -> Response:
    """The task goes back to the queue."""
    release_claim(services, account_id, by=release.by, why=release.why, now=instant(services, None))
    return Response(status_code=204)


@router.post("/{account_id}/dial", status_code=202)
def ring(services: Deployment, account_id: Account, ringing: Ringing) -> Dialled:
    """Ring the collector; the holder is dialled when they ask for it, if the gate allows it then."""
    now = instant(services, None)
    row = dial(services, dialler_of(services), account_id, by=ringing.by, agent_number=ringing.agent, now=now)
    return Dialled(dial=row.reference, state=row.state, reason=row.reason)


@router.post("/{account_id}/outcome", status_code=201)
def worked(services: Deployment, account_id: Account, outcome: Outcome, later: BackgroundTasks) -> Worked:
    """What came of the call, with all its consequences."""
    must_be_noted(services, outcome.outcome, outcome.note)
    done = record_call(
        services,
        account_id,
        outcome.outcome,
        by=outcome.by,
        note=outcome.note,
        promised=_promised(outcome.amount, outcome.due_on),
        call_back_at=_within_years(services, outcome.call_back_at),
        reference=outcome.reference,
        at=instant(services, None),
    )
    if done.new:
        later.add_task(rouse, services, account_id)
    return Worked(account_id=account_id, outcome=outcome.outcome, new=done.new)


def _promised(amount: str | None, due_on: date | None) -> Promised | None:
    if amount is None and due_on is None:
        return None
    if amount is None or due_on is None:
        raise CallRefused("a promise needs its amount and its day, both")
    return Promised(amount, due_on)


def _within_years(services: Services, moment: datetime | None) -> datetime | None:
    now = instant(services, None)
    if moment is not None and not now.year <= moment.year <= now.year + 1:
        raise CallRefused("call_back_at is not within a year")
    return moment


def _task(one: Listed) -> Task:
    task = one.task
    return Task(
        account_id=task.account_id,
        number=task.number,
        zone=task.zone,
        best_from=task.best_from,
        best_to=task.best_to,
        score=one.score.points,
        why=[Part(**asdict(part)) for part in one.score.parts],
        dealt_to=task.dealt_to,
        claimed_by=one.claimed_by,
    )
