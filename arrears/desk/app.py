"""`arrears serve`: one FastAPI application over the operations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from arrears.desk import api, floor, health, holder, metrics, twilio, voice
from arrears.desk.commons import BodyLimit, Refusal
from arrears.engine.money import MoneyError
from arrears.intake.events import problems
from arrears.ledger.cases import UnknownAccount
from arrears.ledger.database import LedgerError
from arrears.operations.inbox import EventRefused
from arrears.operations.services import Services

_ABOUT: Final = """
Facts from outside, each once by its reference: what a machine posts here is taken with all its consequences in one
transaction, and the timeline it concerns wakes. Errors name the field and never repeat a value.
"""

# FastAPI's own shape for wrong fields repeats their values.
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    422: {"model": Refusal, "description": "Fields that are wrong; nothing has changed."}
}


def create_app(services: Services) -> FastAPI:
    """The application for one deployment; whoever opened `services` closes them."""
    app = FastAPI(
        title="arrears", summary="Past-due accounts: what happened outside", description=_ABOUT, responses=_ANSWERS
    )
    app.state.services = services
    app.include_router(health.router)
    metrics.add_to(app, services)
    app.include_router(api.router)
    app.include_router(floor.router)
    app.include_router(twilio.router)
    app.include_router(voice.router)
    app.include_router(holder.router)
    app.add_exception_handler(RequestValidationError, _malformed)
    for error, status in (
        (UnknownAccount, 404),
        (EventRefused, 409),
        (MoneyError, 422),
    ):
        app.add_exception_handler(error, _refusal(status))
    for broken in (SQLAlchemyError, LedgerError):
        app.add_exception_handler(broken, _unavailable)
    app.middleware("http")(_private)
    app.add_middleware(BodyLimit)
    return app


async def _private(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Nothing that is served here is for a cache, a frame or a search engine."""
    response = await call_next(request)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("X-Robots-Tag", "noindex")
    return response


def _malformed(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"detail": problems(error.errors())}, 422)


def _refusal(status: int) -> Callable[[Request, Exception], Response]:
    return lambda _, error: JSONResponse({"detail": str(error.args[0])}, status)


def _unavailable(_: Request, error: Exception) -> Response:
    # The database's own words may hold a row.
    detail = f"the ledger does not answer ({type(error).__name__}); send it again, for nothing counts twice"
    return JSONResponse({"detail": detail}, 503, {"Retry-After": "5"})
