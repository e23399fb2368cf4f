"""What Twilio asks about a call that it puts through: the collector answered, wants the holder, somebody hung up."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path as FilePath
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Path
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from arrears.desk.commons import FORM, Deployment
from arrears.desk.twilio import REFUSED, SID, Fields, kept
from arrears.operations import provider
from arrears.operations.dial import LONGEST_CALL, Connection, connect, hung_up
from arrears.operations.links import LinkRefused, Purpose, read_mark, voice_link
from arrears.operations.services import Services, instant
from arrears.rendering.formats import DEFAULT_LOCALE

_LONGEST: Final = 14_400
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = REFUSED | {
    200: {"description": "What Twilio is to do.", "content": {"application/xml": {}}}
}
router = APIRouter(prefix="/twilio/voice", tags=["twilio"], responses=_ANSWERS)
Mark = Annotated[str, Path(max_length=128, description="Ours, from the address that Twilio was given.")]


@router.post("/{mark}/answered", openapi_extra=FORM)
async def answered(services: Deployment, fields: Fields, mark: Mark) -> Response:
    """The collector has picked up. Nobody else's telephone rings until they ask for it."""
    reference = _reference(services, mark)
    wall = services.clock.wall()
    return _twiml(services, "answered", connect=voice_link(services.settings, reference, "connect", wall=wall))


@router.post("/{mark}/connect", openapi_extra=FORM)
async def wanted(services: Deployment, fields: Fields, mark: Mark) -> Response:
    """The collector asks for the holder, who is dialled if the gate allows it at this moment."""
    reference, sid = _reference(services, mark), fields.get("CallSid", "")
    if not SID.fullmatch(sid):
        raise HTTPException(400, "no CallSid")

    def handle() -> Connection | None:
        digest = kept(services, f"/twilio/voice/{reference}/connect", fields)
        connection = connect(services, reference, sid=sid, now=instant(services, None))
        provider.handled(services, digest)
        return connection

    connection = await run_in_threadpool(handle) if fields.get("Digits") == "1" else None
    if connection is None:
        return _twiml(services, "refused")
    return _twiml(
        services,
        "connect",
        number=connection.number,
        record=connection.record,
        at_most=int(LONGEST_CALL.total_seconds()),
        caller_id=services.settings.caller_id or services.settings.twilio_from,
        ended=voice_link(services.settings, reference, "ended", wall=services.clock.wall()),
    )


@router.post("/{mark}/ended", openapi_extra=FORM)
async def ended(services: Deployment, fields: Fields, mark: Mark) -> Response:
    """The holder's end is down, and how it went."""
    await _hung_up(services, fields, mark, "ended", fields.get("DialCallStatus", ""), holder=True)
    return _twiml(services, "ended")


@router.post("/{mark}/over", status_code=204, openapi_extra=FORM)
async def over(services: Deployment, fields: Fields, mark: Mark) -> Response:
    """The collector's end is down."""
    await _hung_up(services, fields, mark, "over", fields.get("CallStatus", ""), holder=False)
    return Response(status_code=204)


async def _hung_up(
    services: Services, fields: dict[str, str], mark: str, what: str, status: str, *, holder: bool
) -> None:
    reference = _reference(services, mark)
    told = fields.get("DialCallDuration", "")
    seconds = min(int(told), _LONGEST) if told.isascii() and told.isdigit() and len(told) < 9 else 0

    def handle() -> None:
        digest = kept(services, f"/twilio/voice/{reference}/{what}", fields)
        now = instant(services, None)
        hung_up(services, reference, status=status[:16], seconds=seconds, holder=holder, now=now)
        provider.handled(services, digest)

    await run_in_threadpool(handle)


def _reference(services: Services, mark: str) -> str:
    try:
        return read_mark(services.settings, Purpose.VOICE, mark, now=services.clock.wall())
    except LinkRefused as error:
        raise HTTPException(403, str(error)) from None


def _twiml(services: Services, name: str, **facts: Any) -> Response:
    template = _templates(services.catalog.root).get_template(f"{DEFAULT_LOCALE}/{name}.xml.j2")
    return Response(template.render(language=DEFAULT_LOCALE, **facts), media_type="application/xml")


@lru_cache(maxsize=4)
def _templates(root: FilePath) -> Environment:
    return Environment(
        loader=FileSystemLoader(root / "voice"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
