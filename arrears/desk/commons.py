"""What every route shares: the services, the wake of a timeline, a body that is not too long."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Final

from fastapi import Depends, HTTPException, Request
from pydantic import BaseModel

from arrears.operations.services import Services
from arrears.orchestration.timelines import PrefectUnreachable, wake

logger = logging.getLogger(__name__)
_LONGEST_BODY: Final = 65_536
# FastAPI describes the bodies it parses; a form that is read raw, because it is signed, is described here.
FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "additionalProperties": {"type": "string"}}
            }
        }
    }
}


class Refusal(BaseModel):
    """Why nothing was done."""

    detail: str


def services_of(request: Request) -> Services:
    """The deployment that the application was made for."""
    return request.app.state.services


Deployment = Annotated[Services, Depends(services_of)]


def rouse(services: Services, account_id: str) -> None:
    """Wake the account's timeline; the sweep makes good what cannot be woken now."""
    try:
        wake(services, account_id)
    except PrefectUnreachable as error:
        logger.warning("account %s could not be woken, the sweep will see to it: %s", account_id, error)


async def raw_body(request: Request) -> bytes:
    """The body, if it is no longer than anything sent here needs to be."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_BODY:
            raise HTTPException(413, f"longer than {_LONGEST_BODY} bytes")
    return body


RawBody = Annotated[bytes, Depends(raw_body)]
