"""A thousand and more hostile requests, made from the service's own description: none brings an error of ours."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
from twilio.request_validator import RequestValidator

from arrears.desk.app import create_app
from arrears.operations.links import Purpose, make_mark
from arrears.operations.services import Services, ledger_clock
from tests.integration.stories import Portfolio, last, take_in, until
from tests.support.desk_server import API_TOKEN, SECRET
from tests.support.ledgers import POSTGRES_URL, ledger_on
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN

ADDRESS = "https://desk.example"
CHECKS = (not_a_server_error, status_code_conformance, response_schema_conformance)
SETTINGS = settings(max_examples=40, suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture
def database_url(tmp_path: Path) -> Iterator[str]:
    """PostgreSQL where there is one: it is the pickier about what is text."""
    with ledger_on("postgresql" if os.environ.get(POSTGRES_URL) else "sqlite", tmp_path) as url:
        yield url


@pytest.fixture
def house(services: Services, portfolio: Portfolio) -> Services:
    take_in(services, portfolio())
    until(services, 32)
    more = {"public_base_url": ADDRESS, "secret": SECRET, "api_token": API_TOKEN, "metrics_token": API_TOKEN}
    more |= {"twilio_account_sid": ACCOUNT_SID, "twilio_auth_token": AUTH_TOKEN}
    return replace(services, settings=services.settings.model_copy(update=more))


@dataclass
class Asker:
    """Asks one operation; whoever `knows` has the token, the signature, the link and an account, and comes further."""

    house: Services
    operation: Any
    mark: str
    seen: Counter[int]

    def asked(self) -> Callable[[schemathesis.Case, bool], None]:
        """A plain function, as hypothesis wants it."""

        def ask(case: schemathesis.Case, knows: bool) -> None:
            self.ask(case, knows)

        return ask

    def ask(self, case: schemathesis.Case, knows: bool) -> None:
        headers = self._knowing(case) if knows else {}
        response = case.call(headers=headers)
        self.seen[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    def _knowing(self, case: schemathesis.Case) -> dict[str, str]:
        if "mark" in case.path_parameters:
            case.path_parameters["mark"] = self.mark
        if "account_id" in case.path_parameters:
            case.path_parameters["account_id"] = "A-1"
        if not isinstance(case.body, dict):
            return {"Authorization": f"Bearer {API_TOKEN}"}
        if "account_id" in case.body:
            case.body["account_id"] = "A-1"
        if self.operation.path.startswith("/a/"):
            case.body["nonce"] = f"{self.seen.total():016x}"
        if not self.operation.path.startswith("/twilio"):
            return {"Authorization": f"Bearer {API_TOKEN}"}
        fields = {str(name): str(value) for name, value in case.body.items()}
        sids = {"MessageSid": "SM" + "0" * 32, "CallSid": "CA" + "0" * 32, "Digits": "1"}
        case.body = fields | {"AccountSid": ACCOUNT_SID, "From": "+15185550101", **sids}
        url = f"{ADDRESS}{self.operation.path.replace('{mark}', self.mark)}"
        return {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(url, case.body)}


def strategies_of(operation: Any) -> Iterator[Any]:
    """Requests as described, and requests that are not."""
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        # Nothing about a request without parameters can be wrong.
        if mode is GenerationMode.POSITIVE or operation.body or list(operation.iter_parameters()):
            yield operation.as_strategy(generation_mode=mode)


def test_a_thousand_hostile_requests_bring_no_error_of_ours(house: Services) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(house))
    seen: Counter[int] = Counter()
    reference, day = last(house, "sms-1")["reference"], timedelta(days=1)
    marks = {
        purpose: make_mark(house.settings, purpose, reference, expires=moment + day)
        for purpose, moment in (
            (Purpose.HOLDER, ledger_clock(house).now()),
            (Purpose.STATUS, house.clock.wall()),
            (Purpose.VOICE, house.clock.wall()),
        )
    }
    openers = {"/a": Purpose.HOLDER, "/twilio/status": Purpose.STATUS, "/twilio/voice": Purpose.VOICE}
    for result in schema.get_all_operations():
        operation = result.ok()
        purpose = next((p for path, p in openers.items() if operation.path.startswith(path)), Purpose.HOLDER)
        asker = Asker(house, operation, marks[purpose], seen)
        for cases in strategies_of(operation):
            SETTINGS(given(case=cases, knows=st.booleans())(asker.asked()))()
    assert sum(seen.values()) >= 1000
    assert {200, 204, 303, 403, 404, 409, 422} <= set(seen), seen
