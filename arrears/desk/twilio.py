"""Twilio's webhooks: signed by Twilio's scheme, each handled once, kept as they came."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# twilio has inline types but no py.typed marker.

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, BackgroundTasks, Depends, Header, HTTPException, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from twilio.request_validator import RequestValidator

from arrears.desk.commons import FORM, Deployment, RawBody, rouse
from arrears.operations import provider
from arrears.operations.deliveries import FAILED, report
from arrears.operations.links import LinkRefused, Purpose, read_mark
from arrears.operations.provider import Replayed

_NO_REPLY: Final = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
SID: Final = re.compile(r"[A-Z]{2}[0-9a-f]{32}")
# What a database cannot keep: PostgreSQL takes no NUL, and half a surrogate pair is no text.
_UNKEEPABLE: Final = re.compile("[\x00\ud800-\udfff]")
REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "Signed, and yet no request of the kind."},
    403: {"description": "Not signed by Twilio for this address, or its mark has expired."},
    409: {"description": "This very request was handled before."},
    413: {"description": "The body is too long."},
    503: {"description": "The ledger does not answer, or no token of Twilio's is set."},
}
router = APIRouter(prefix="/twilio", tags=["twilio"], responses=REFUSED)


async def signed_fields(
    request: Request,
    services: Deployment,
    body: RawBody,
    signature: Annotated[str, Header(alias="X-Twilio-Signature")] = "",
) -> dict[str, str]:
    """Every field of a request that Twilio signed for our public address. Anything else is 403."""
    settings = services.settings
    if not settings.twilio_auth_token or not settings.public_base_url:
        raise HTTPException(503, "TWILIO_AUTH_TOKEN and PUBLIC_BASE_URL are not both set")
    query = f"?{request.url.query}" if request.url.query else ""
    address = f"{settings.public_base_url.rstrip('/')}{request.scope['raw_path'].decode('latin-1')}{query}"
    try:
        fields = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(body)))
    except ValueError:
        raise HTTPException(403, "not signed by Twilio") from None
    # The query is part of the signed address and never of the fields.
    if not RequestValidator(settings.twilio_auth_token).validate(address, fields, signature):
        raise HTTPException(403, "not signed by Twilio")
    if any(_UNKEEPABLE.search(name + value) for name, value in fields.items()):
        raise HTTPException(400, "a field holds what is no text")
    if fields.get("AccountSid") != settings.twilio_account_sid:
        raise HTTPException(403, "signed for another account")
    return fields


Fields = Annotated[dict[str, str], Depends(signed_fields)]


@router.post("/messages", openapi_extra=FORM)
async def message(services: Deployment, fields: Fields, later: BackgroundTasks) -> Response:
    """A text that a holder sent. STOP and its cousins take effect before this is answered."""
    sid, number = fields.get("MessageSid", ""), fields.get("From", "")
    if not SID.fullmatch(sid) or not number:
        raise HTTPException(400, "no MessageSid, or no From")
    text = fields.get("Body", "")

    def handle() -> str | None:
        digest = kept(services, "/twilio/messages", fields)
        heard = provider.hear(services, sid=sid, number=number, text=text)
        provider.handled(services, digest)
        return heard[0] if heard is not None and heard[1].new else None

    account_id = await run_in_threadpool(handle)
    if account_id is not None:
        later.add_task(rouse, services, account_id)
    return Response(_NO_REPLY, media_type="application/xml", background=later)


@router.post("/status/{mark}", status_code=204, openapi_extra=FORM)
async def status(
    services: Deployment, fields: Fields, mark: Annotated[str, Path(max_length=128)], later: BackgroundTasks
) -> Response:
    """What became of a text or a call, in any order. `mark` is ours, and expires: a stale report is refused."""
    try:
        reference = read_mark(services.settings, Purpose.STATUS, mark, now=services.clock.wall())
    except LinkRefused as error:
        raise HTTPException(403, str(error)) from None
    sid = fields.get("MessageSid", "") or fields.get("CallSid", "")
    word = fields.get("MessageStatus", "") or fields.get("CallStatus", "")
    if not SID.fullmatch(sid):
        raise HTTPException(400, "no MessageSid or CallSid")

    def handle() -> str | None:
        digest = kept(services, f"/twilio/status/{reference}", fields)
        told = report(services, reference, sid=sid, status=word, error_code=fields.get("ErrorCode", "")[:16])
        provider.handled(services, digest)
        return told

    account_id = await run_in_threadpool(handle)
    if account_id is not None and word in FAILED:
        later.add_task(rouse, services, account_id)
    return Response(status_code=204, background=later)


def kept(services: Deployment, path: str, fields: dict[str, str]) -> str:
    """Keep the request as it came; 409 for one that was handled before."""
    try:
        return provider.keep(services, path, fields)
    except Replayed:
        raise HTTPException(409, "this very request was handled before") from None
