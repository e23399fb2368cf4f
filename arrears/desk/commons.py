"""What every route shares: the services, the wake of a timeline, a body that is not too long."""

from __future__ import annotations

import hmac
import logging
from typing import Annotated, Any, Final

from fastapi import Depends, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


def require_token(shown: HTTPAuthorizationCredentials | None, token: str, *, unset: str) -> None:
    """Only who knows the token; `unset` says why nobody can while there is none."""
    if not token:
        raise HTTPException(503, unset)
    if shown is None or not hmac.compare_digest(shown.credentials.encode(), token.encode()):
        raise HTTPException(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})


class BodyLimit:
    """Answers 413 to a body that is longer than anything sent here needs to be, before it is read to its end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, which is short, and hand it on whole."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > _LONGEST_BODY:
                refused = JSONResponse({"detail": f"longer than {_LONGEST_BODY} bytes"}, 413)
                await refused(scope, receive, send)
                return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, again, send)


async def raw_body(request: Request) -> bytes:
    """The body as it came: what is signed is signed before it is parsed."""
    return await request.body()


RawBody = Annotated[bytes, Depends(raw_body)]
