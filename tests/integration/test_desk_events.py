"""Events over HTTP: every kind, good and bad; who may post; and hostile requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from arrears.operations.services import Services
from arrears.operations.show import show
from tests.integration.stories import Portfolio, dump
from tests.integration.test_event_files import BAD, GOOD, a_fact, named, work
from tests.support.desk_server import API_TOKEN, serving


@pytest.fixture
def desk(services: Services, portfolio: Portfolio) -> Iterator[httpx.Client]:
    """Accounts to which anything may happen, and a machine that may post."""
    work(services, portfolio)
    with (
        serving(services) as (_, address),
        httpx.Client(base_url=address, headers={"Authorization": f"Bearer {API_TOKEN}"}, timeout=60) as client,
    ):
        yield client


def as_document(services: Services, event: str, name: str, cells: dict[str, str]) -> dict[str, Any]:
    """A row of an event file as JSON."""
    fact = a_fact(event, name, {key: cell for key, cell in cells.items() if cell})
    document: dict[str, Any] = dict(named(services, fact))
    if "channels" in document:
        document["channels"] = document["channels"].split()
    if "instalments" in document:
        parts = [part.partition("=") for part in document["instalments"].split()]
        document["instalments"] = [{"due_on": day, "amount": amount} for day, _, amount in parts]
    return document


def test_every_kind_is_taken_once_and_a_bad_one_changes_nothing(services: Services, desk: httpx.Client) -> None:
    for event, cells in BAD.items():
        before = dump(services)
        answer = desk.post("/events", json=as_document(services, event, "bad", cells[0]))
        assert answer.status_code in (409, 422), (event, answer.text)
        assert cells[1] in answer.json()["detail"], event
        missing = {**as_document(services, event, "bad", GOOD[event]), "account_id": "A-9"}
        assert desk.post("/events", json=missing).status_code == 404, event
        assert dump(services) == before, event
    for event, good in GOOD.items():
        document = as_document(services, event, "good", good)
        first, again = (desk.post("/events", json=document) for _ in range(2))
        assert (first.status_code, first.json()["new"]) == (201, True), (event, first.text)
        assert (again.status_code, again.json()["new"]) == (200, False), (event, again.text)


def test_a_payment_that_clears_what_is_past_due_closes_the_case(services: Services, desk: httpx.Client) -> None:
    payment = {"account_id": "A-1", "reference": "P-1", "at": "2026-09-18T15:00:00Z", "amount": "120.00"}
    answer = desk.post("/payments", json={**payment, "currency": "USD"})
    assert (answer.status_code, answer.json()) == (
        201,
        {"account_id": "A-1", "reference": "P-1", "new": True, "closed": True},
    )
    assert show(services, "A-1")["outcome"] == "cured"
    other = desk.post("/payments", json={**payment, "amount": "121.00", "currency": "USD"})
    assert (other.status_code, other.json()["detail"]) == (409, "reference 'P-1' was already used for another payment")


def test_who_may_not_post_changes_nothing(services: Services, desk: httpx.Client) -> None:
    before = dump(services)
    payment = as_document(services, "payment", "good", GOOD["payment"])
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {API_TOKEN}"}):
        answer = httpx.post(f"{desk.base_url}/events", json=payment, headers=header, timeout=60)
        assert (answer.status_code, answer.json()["detail"]) == (401, "the token is missing or wrong")
    assert desk.post("/events", content=b"x" * 70_000).status_code == 413
    assert desk.post("/events", content=(b"x" * 1000 for _ in range(70))).status_code == 413, "of no stated length"
    assert dump(services) == before


def test_a_wrong_field_is_named_and_its_value_is_not_repeated(desk: httpx.Client) -> None:
    slipped = {"account_id": "Ann Example", "event": "payment", "reference": "P-1", "at": "+15185550101"}
    answer = desk.post("/events", json=slipped)
    assert answer.status_code == 422
    assert "account_id: expected letters" in answer.json()["detail"]
    assert "Ann" not in answer.text
    assert "5185550101" not in answer.text


def test_health_tells_whether_it_lives_and_whether_it_can_work(services: Services, desk: httpx.Client) -> None:
    assert desk.get("/health/live").json() == {"status": "live"}
    assert desk.get("/health/ready").json() == {"status": "ready", "stopped": None}
    assert desk.get("/openapi.json").json()["info"]["title"] == "arrears"
