"""What Prometheus reads, for who has the token."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from arrears.desk.commons import Deployment, require_token
from arrears.operations.metrics import registry_of
from arrears.operations.services import Services

_bearer = HTTPBearer(auto_error=False, scheme_name="metrics", description="ARREARS_METRICS_TOKEN")


def may_read(services: Deployment, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
    """Only who knows the token."""
    require_token(shown, services.settings.metrics_token, unset="no metrics here: ARREARS_METRICS_TOKEN is not set")


router = APIRouter(tags=["health"], dependencies=[Depends(may_read)])


def add_to(app: FastAPI, services: Services) -> None:
    """Serve `/metrics`; readings are kept as long as the application is."""
    app.state.metrics = registry_of(services)
    app.include_router(router)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}, "description": "Prometheus' text format."},
        401: {"description": "No token, or a wrong one."},
        503: {"description": "No token is set."},
    },
)
def metrics(request: Request) -> Response:
    """The ledger in numbers: no account, no person."""
    return Response(generate_latest(request.app.state.metrics), media_type=CONTENT_TYPE_LATEST)
