"""Events from machines: the lender's payment system, the bureau that reports deaths, the complaint desk."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, BackgroundTasks, Depends, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from arrears.desk.commons import Deployment, Refusal, require_token, rouse
from arrears.intake.events import EventDocument, PaymentDocument
from arrears.operations.tell import tell

_bearer = HTTPBearer(auto_error=False, description="ARREARS_API_TOKEN")


class Taken(BaseModel):
    """What became of an event. `new` is false when its reference was known: nothing has changed."""

    account_id: str
    reference: str
    new: bool
    closed: bool


def may_post(services: Deployment, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
    """Only who knows the token."""
    require_token(shown, services.settings.api_token, unset="no machine may post here: ARREARS_API_TOKEN is not set")


router = APIRouter(tags=["events"], dependencies=[Depends(may_post)])
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": Taken, "description": "Known already; nothing has changed."},
    400: {"model": Refusal, "description": "The body is no JSON."},
    401: {"model": Refusal, "description": "No token, or a wrong one."},
    404: {"model": Refusal, "description": "No such account."},
    409: {"model": Refusal, "description": "It cannot be so; nothing has changed."},
    413: {"model": Refusal, "description": "The body is too long."},
    422: {"model": Refusal, "description": "Fields that are wrong; nothing has changed."},
    503: {"model": Refusal, "description": "The ledger does not answer, or no token is set."},
}


@router.post("/payments", status_code=201, responses=_ANSWERS)
def post_payment(payment: PaymentDocument, services: Deployment, response: Response, later: BackgroundTasks) -> Taken:
    """A payment received. One that clears what is past due closes the case at once."""
    return _take(payment, services, response, later)


@router.post("/events", status_code=201, responses=_ANSWERS)
def post_event(event: EventDocument, services: Deployment, response: Response, later: BackgroundTasks) -> Taken:
    """Any outside fact about an account, in whatever order they come."""
    return _take(event, services, response, later)


def _take(event: EventDocument, services: Deployment, response: Response, later: BackgroundTasks) -> Taken:
    told = tell(services, event, source="http", who="api")
    if told.new:
        later.add_task(rouse, services, told.account_id)
    else:
        response.status_code = 200
    return Taken(account_id=told.account_id, reference=told.reference, new=told.new, closed=told.closed)
