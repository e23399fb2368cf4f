"""Twilio's own description of its Messages and Calls, and whether an exchange over HTTP keeps to it."""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from tests.contract.cut_description import CUT
from tests.support.twilio_stand_in import Exchange

RESOURCES = ("api.v2010.account.message", "api.v2010.account.call")
ERROR = {"code": int, "message": str, "more_info": str, "status": int}


def check(exchange: Exchange) -> None:
    """Raise if the request, or an answer that no fault was ordered for, is not as Twilio describes it.

    The description covers successful answers only. Of a refusal we check that it has the four fields that
    twilio.com/docs/usage/twilios-response shows, which is the documentation's word and not the description's.
    """
    api = strict_api()
    request = MockRequest(
        host_url="https://api.twilio.com",
        method=exchange.method,
        path=exchange.path,
        args=dict(parse_qsl(exchange.query, keep_blank_values=True)),
        headers=dict(exchange.headers),
        data=exchange.body,
        content_type=exchange.headers.get("Content-Type", ""),
    )
    api.validate_request(request)
    _refuse_unknown_fields(exchange)
    if exchange.fault is not None or exchange.status is None:
        return
    if exchange.status >= 400:
        refusal = json.loads(exchange.answer)
        assert {field: type(value) for field, value in refusal.items()} == ERROR, refusal
        assert refusal["status"] == exchange.status
        return
    api.validate_response(request, MockResponse(exchange.answer, exchange.status))


def _refuse_unknown_fields(exchange: Exchange) -> None:
    # openapi-core picks the described fields out of a form or query and never looks at others.
    kept = re.search(r"/(Messages|Calls)\.json$", exchange.path)
    path = _path(_description(), kept[1]) if kept else {}
    if exchange.method == "POST":
        form = path["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
        sent, known = exchange.body.decode(), set(form["properties"])
    else:
        described = path["get"]["parameters"] if path else []
        sent, known = exchange.query, {parameter["name"] for parameter in described if parameter["in"] == "query"}
    unknown = dict(parse_qsl(sent, keep_blank_values=True)).keys() - known
    assert not unknown, f"Twilio's description has no {sorted(unknown)} for {exchange.method} {exchange.path}"


@cache
def strict_api() -> OpenAPI:
    """The description as cut, made stricter where it leaves things open; nothing in it is loosened.

    - It requires no field of a message and forbids none. Every example in it has all the fields, so here
      they are all required and others refused; likewise for the fields of a page.
    - Its formats `date-time-rfc-2822` and `phone-number` mean nothing to a JSON Schema checker: they are
      given one. `nullable` needs nothing, as openapi-core applies OpenAPI 3.0's meaning of it.
    """
    description = _description()
    pages = [
        _path(description, kept)["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        for kept in ("Messages", "Calls")
    ]
    for answer in (*(description["components"]["schemas"][name] for name in RESOURCES), *pages):
        answer |= {"required": list(answer["properties"]), "additionalProperties": False}
    formats = {"date-time-rfc-2822": _is_rfc_2822, "phone-number": _is_phone_number}
    return OpenAPI.from_dict(description, config=Config(extra_format_validators=formats))


def _description() -> dict[str, Any]:
    return json.loads(CUT.read_text(encoding="utf-8"))


def _path(description: dict[str, Any], kept: str) -> dict[str, Any]:
    return description["paths"][f"/2010-04-01/Accounts/{{AccountSid}}/{kept}.json"]


def _is_rfc_2822(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    try:
        return parsedate_to_datetime(value).tzinfo is not None
    except ValueError:
        return False


def _is_phone_number(value: Any) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"\+?[0-9]+", value) is not None
