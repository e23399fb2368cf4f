"""An enrolled New Yorker; and a stand-in for Twilio, each exchange of which is held against Twilio's description."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from arrears.operations.services import Services
from tests.contract.twilio_description import check
from tests.integration.stories import Portfolio, take_in
from tests.support.twilio_stand_in import TwilioStandIn


@pytest.fixture
def enrolled(services: Services, portfolio: Portfolio) -> Services:
    """One account, due on 2026-08-01, as of that day."""
    take_in(services, portfolio())
    return services


@pytest.fixture
def twilio(monkeypatch: pytest.MonkeyPatch) -> Iterator[TwilioStandIn]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with TwilioStandIn() as stand_in:
        yield stand_in
    for exchange in list(stand_in.exchanges):
        check(exchange)
