"""Two machines whose clocks are apart: neither takes a text for abandoned that the other is sending."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arrears.clock import VirtualClock
from arrears.ledger.cases import read_case_file
from arrears.operations.enroll import enroll
from arrears.operations.services import Services, open_services
from arrears.settings import Settings
from tests.conftest import HEADER, a_row
from tests.faults.conftest import at_twilio
from tests.support.ledgers import postgres_ledger
from tests.support.mortals import Mortals, Order
from tests.support.patrol import Bulletin
from tests.support.prefect_house import wait_for
from tests.support.twilio_stand_in import TwilioStandIn

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults-postgresql")]
DUE = datetime(2026, 8, 2, 15, tzinfo=UTC)


@pytest.mark.parametrize("minutes", [-60, 20])
def test_a_machine_whose_clock_is_off_leaves_a_text_alone_that_another_is_sending(
    minutes: int, tmp_path: Path, mortals: Mortals, twilio: TwilioStandIn
) -> None:
    bulletin = Bulletin(tmp_path)
    bulletin.stand_at(DUE)
    bulletin.set_clock("sender", timedelta(0) if minutes > 0 else timedelta(minutes=minutes))
    bulletin.set_clock("other", timedelta(minutes=minutes) if minutes > 0 else timedelta(0))
    portfolio = tmp_path / "portfolio.csv"
    portfolio.write_text(HEADER + a_row(), encoding="utf-8")
    with postgres_ledger() as url:
        settings = {"database_url": url, "outbox": str(tmp_path / "outbox"), "doubt_seconds": 0, **at_twilio(twilio)}
        services = open_services(Settings(**settings)).at(VirtualClock(DUE))
        enroll(services, portfolio, at=DUE - timedelta(days=1), who="test", driver="sweep")
        # Twilio takes its time to accept the text, during which it lists none.
        twilio.fault("late", seconds=4)
        sender = mortals.start(Order(settings, "patrol", bulletin=str(tmp_path), clock="sender"))
        wait_for("the sending", lambda: twilio.requests["POST"])
        assert status(services) == "intended"
        other = mortals.start(Order(settings, "patrol", bulletin=str(tmp_path), clock="other"))
        wait_for("the outcome", lambda: status(services) != "intended")
        bulletin.end()
        for pid in (sender, other):
            assert mortals.wait(pid).how == "unharmed"
        assert status(services) == "done"
        services.close()
    assert len(twilio.accepted()) == 1
    assert twilio.requests == {"POST": 1}, "the other machine asked about a text that was not abandoned"


def status(services: Services) -> str:
    with services.ledger.read() as session:
        [step] = read_case_file(session, "A-1").steps
        return step.status
