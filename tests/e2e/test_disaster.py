"""Everything is killed at once, and Prefect's database is lost: the ledger carries every account on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import House
from tests.support.prefect_house import PrefectServer, end, wait_for
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, SENDER, TwilioStandIn
from tests.support.warm import Warm

pytestmark = [pytest.mark.prefect, pytest.mark.faults, pytest.mark.xdist_group("prefect")]


@pytest.fixture
def doomed_server(tmp_path: Path, warm_prefect: Warm) -> Iterator[PrefectServer]:
    server = PrefectServer(tmp_path / "prefect", warm=warm_prefect)
    server.start()
    yield server
    server.stop()


def test_after_losing_every_process_in_the_middle_of_a_send_and_prefects_database_each_text_is_sent_once(
    house: House, doomed_server: PrefectServer, tmp_path: Path
) -> None:
    with TwilioStandIn(store=tmp_path / "accepted.jsonl") as twilio:
        house.server = doomed_server
        house.environment |= {
            "ARREARS_TWILIO_BASE_URL": twilio.url,
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_FROM": SENDER,
        }
        # The text is accepted, and its answer is still on the way when the lights go out.
        twilio.fault("slow", seconds=30, times=1)
        process = house.start_worker()
        house.enroll()
        wait_for("the text to be accepted", lambda: len(twilio.accepted()) == 1)
        assert house.steps() == {"sms-1": "intended"}
        end(process)
        doomed_server.stop()
        shutil.rmtree(doomed_server.home)

        doomed_server.start()
        house.start_worker()
        wait_for("the account to be late", lambda: house.show()["days_past_due"] >= 4)
        house.flow("sweep")
        wait_for("the letter", lambda: house.steps().get("letter-1") == "done")

        assert house.steps()["sms-1"] == "done"
        assert len(twilio.accepted()) == 1
        wait_for("the placement", lambda: house.steps().get("agency-1") == "done")
        assert len(list((tmp_path / "outbox" / "letters").rglob("*.pdf"))) == 1
