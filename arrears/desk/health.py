"""Whether the service is there, and whether it can work."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from arrears.desk.commons import Deployment
from arrears.operations.brakes import stopped_why

router = APIRouter(prefix="/health", tags=["health"])


class Live(BaseModel):
    """The process answers."""

    status: str = "live"


class Ready(BaseModel):
    """The ledger answers. `stopped`: why the kill switch is pulled; events are taken all the same."""

    status: str = "ready"
    stopped: str | None


@router.get("/live")
def live() -> Live:
    """The process answers."""
    return Live()


@router.get("/ready", responses={503: {"description": "The ledger does not answer."}})
def ready(services: Deployment) -> Ready:
    """The ledger answers."""
    with services.ledger.read() as session:
        return Ready(stopped=stopped_why(session))
