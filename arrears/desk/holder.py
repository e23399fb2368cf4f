"""The holder's page: what is owed, and what can be done about it, at any hour, on any telephone, without scripts."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, BackgroundTasks, Depends, Path
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from arrears.desk.commons import FORM, Deployment, RawBody, rouse
from arrears.desk.pages import Page
from arrears.engine.money import MoneyError
from arrears.operations import holder
from arrears.operations.holder import OPTIONAL_CHANNELS, HolderView, UnknownLink
from arrears.operations.inbox import EventRefused
from arrears.operations.links import LinkRefused, Purpose, read_mark
from arrears.operations.services import Services, instant
from arrears.rendering.formats import plain

_LONGEST_WORDS: Final = 1000
_MOST_FIELDS: Final = 20
_NONCE: Final = re.compile(r"[0-9a-f]{16}")
# As people write amounts: a currency sign before it, commas between thousands.
_AMOUNT: Final = re.compile(r"\D{0,3}\s?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,12}(?:\.\d+)?)")
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "Not one of our links.", "content": {"text/html": {}}},
    410: {"description": "The link has expired.", "content": {"text/html": {}}},
    413: {"description": "The body is too long."},
    503: {"description": "The ledger does not answer."},
}
_ACTED: Final[dict[int | str, dict[str, Any]]] = _ANSWERS | {
    303: {"description": "Done; the page says so."},
    422: {"description": "Something is wrong with what was entered.", "content": {"text/html": {}}},
}
router = APIRouter(prefix="/a", tags=["holder"], default_response_class=HTMLResponse)
Mark = Annotated[str, Path(description="From a link in a text.")]


class NotUnderstood(Exception):
    """What was entered cannot be taken; the message is for the holder."""


def form_fields(body: RawBody) -> list[tuple[str, str]]:
    """The form's fields, each value one line of plain text."""
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return []
    return [(name, plain(value)) for name, value in pairs]


Form = Annotated[list[tuple[str, str]], Depends(form_fields)]


@router.get("/{mark}", responses=_ANSWERS)
def page(services: Deployment, mark: Mark, done: str = "") -> Response:
    """What is owed. Looking changes nothing: messaging programs open links to preview them."""
    return _show(services, mark, done=done)


@router.post("/{mark}/promise", responses=_ACTED, openapi_extra=FORM)
def promise(services: Deployment, mark: Mark, form: Form, later: BackgroundTasks) -> Response:
    """Promise an amount by a day."""

    def act(reference: str, entered: dict[str, str], nonce: str) -> None:
        amount = _AMOUNT.fullmatch(entered.get("amount", ""))
        if amount is None:
            raise NotUnderstood("amount")
        try:
            day = date.fromisoformat(entered.get("due_on", ""))
        except ValueError:
            raise NotUnderstood("day") from None
        holder.promise_on_page(services, reference, amount["digits"].replace(",", ""), day, nonce=nonce)

    return _act(services, mark, form, "promise", act, later)


@router.post("/{mark}/dispute", responses=_ACTED, openapi_extra=FORM)
def dispute(services: Deployment, mark: Mark, form: Form, later: BackgroundTasks) -> Response:
    """Say that it is not owed, or not so much."""

    def act(reference: str, entered: dict[str, str], nonce: str) -> None:
        holder.dispute(services, reference, entered.get("words", "")[:_LONGEST_WORDS], nonce=nonce)

    return _act(services, mark, form, "dispute", act, later)


@router.post("/{mark}/time", responses=_ACTED, openapi_extra=FORM)
def time(services: Deployment, mark: Mark, form: Form, later: BackgroundTasks) -> Response:
    """Ask for time."""

    def act(reference: str, entered: dict[str, str], nonce: str) -> None:
        holder.ask_for_time(services, reference, entered.get("words", "")[:_LONGEST_WORDS], nonce=nonce)

    return _act(services, mark, form, "time", act, later)


@router.post("/{mark}/stop", responses=_ACTED, openapi_extra=FORM)
def stop(services: Deployment, mark: Mark, form: Form, later: BackgroundTasks) -> Response:
    """Close ways of being contacted."""

    def act(reference: str, _: dict[str, str], nonce: str) -> None:
        asked = {value for name, value in form if name == "channel"}
        channels = [channel for channel in OPTIONAL_CHANNELS if channel in asked]
        if not channels:
            raise NotUnderstood("channel")
        holder.opt_out(services, reference, channels, nonce=nonce)

    return _act(services, mark, form, "stop", act, later)


def _act(
    services: Services,
    mark: str,
    form: list[tuple[str, str]],
    what: str,
    act: Callable[[str, dict[str, str], str], None],
    later: BackgroundTasks,
) -> Response:
    """Do it once by the form's nonce, then send the browser back to the page, so that a reload does nothing."""
    entered = dict(form)
    try:
        reference = _reference(services, mark)
        if not _NONCE.fullmatch(entered.get("nonce", "")):
            raise NotUnderstood("form")
        act(reference, entered, entered["nonce"])
        account_id = holder.account_behind(services, reference)
    except (LinkRefused, UnknownLink):
        return _show(services, mark)
    except NotUnderstood as error:
        return _show(services, mark, wrong=(what, str(error.args[0])), entered=entered, status=422)
    except (EventRefused, MoneyError) as error:
        return _show(services, mark, wrong=(what, "refused"), why=str(error), entered=entered, status=422)
    later.add_task(rouse, services, account_id)
    return RedirectResponse(f"../{mark}?done={what}", status_code=303, background=later)


def _show(
    services: Services,
    mark: str,
    *,
    done: str = "",
    wrong: tuple[str, str] | None = None,
    why: str = "",
    entered: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    page = Page(services.catalog.root, services.settings)
    try:
        view: HolderView = holder.look(services, _reference(services, mark))
    except LinkRefused as error:
        return page.gone(expired=error.expired)
    except UnknownLink:
        return page.gone(expired=False)
    return page.account(
        view,
        here=mark,
        nonce=secrets.token_hex(8),
        done=done,
        wrong=wrong,
        why=why,
        entered=entered or {},
        status=status,
    )


def _reference(services: Services, mark: str) -> str:
    return read_mark(services.settings, Purpose.HOLDER, mark, now=instant(services, None))
