"""Killed at any instant, a step is made once and never lost: every channel, both databases.

The sweep kills a process at its first boundary, then a fresh one at its second, and so on until one is not
killed any more; after each, another process goes on with the same command and an auditor reads what there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest

from arrears.operations.services import open_services
from arrears.settings import Settings
from tests.faults.conftest import at_twilio
from tests.support.audit import assert_made_once, books_of
from tests.support.landings import ACCOUNT, Stairs
from tests.support.mortals import End, Mortals, Order, drive
from tests.support.twilio_mailbox import Mailbox
from tests.support.twilio_stand_in import TwilioStandIn

pytestmark = pytest.mark.faults

# What the channel itself must be seen to be killed at; commits and effects are boundaries of all.
WITHIN = {
    "sms": {"before a .jsonl is opened"},
    "twilio": {"before a connection", "before a piece of a request"},
    "call": set[str](),
    "letter": {"before a .part is opened", "before the rename of ['.pdf', '.part']"},
    "agency": {"before the rename of ['.csv', '.part']", "before the rename of ['.json', '.part']"},
    "legal": {
        "before a .part is opened",
        "before the rename of ['.zip', '.part']",
        "before the rename of ['.json', '.part']",
    },
}


class Scene:
    """One channel on one database: put back to its landing for every kill."""

    def __init__(self, channel: str, command: str, stairs: Stairs, mortals: Mortals, twilio: TwilioStandIn) -> None:
        self._twilio = twilio if channel == "twilio" else None
        self._more: dict[str, str] = {}
        self._channel, self._command, self._stairs, self._mortals = channel, command, stairs, mortals
        if channel == "twilio":
            # Absence is proved against Twilio's clock, which goes by whole seconds.
            now = twilio.now
            twilio.now = lambda: now() + timedelta(seconds=1)
            self._more, self._channel = at_twilio(twilio), "sms"
        self._at = stairs.landing(self._channel)
        self._services = open_services(Settings(**self._at.settings(**self._more)))

    @property
    def on_sqlite(self) -> bool:
        return self._services.ledger.on_sqlite

    def close(self) -> None:
        self._services.close()

    def again(self) -> None:
        """Back to the landing, with nothing sent."""
        # It is another ledger under the same name: what is connected would still see the old one.
        self._services.ledger.close()
        self._at = self._stairs.landing(self._channel)
        if self._twilio:
            self._twilio.mailbox = Mailbox(self._twilio.account_sid)

    def run(self, at: int | str = 0) -> End:
        """A process with the command, killed at that boundary."""
        return self._mortals.run(self._order(at))

    def recover(self) -> None:
        """The same command in a process that nobody kills: this one."""
        drive(self._services, self._order(0))

    def audit(self) -> None:
        assert_made_once(books_of(self._services, self._twilio and self._twilio.accepted()), ACCOUNT, self._at.rung)

    def _order(self, at: int | str) -> Order:
        return Order(self._at.settings(**self._more), self._command, self._at.until.isoformat(), at=at)


@pytest.fixture
def scene(request: pytest.FixtureRequest, stairs: Stairs, mortals: Mortals, twilio: TwilioStandIn) -> Iterator[Scene]:
    channel, command = request.param
    opened = Scene(channel, command, stairs, mortals, twilio)
    yield opened
    opened.close()


def scenes(*which: tuple[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("scene", which, ids=" by ".join, indirect=True)


@scenes(*((channel, "catch_up") for channel in WITHIN), ("sms", "timeline"), ("letter", "timeline"))
def test_a_step_is_made_once_wherever_its_process_is_killed(scene: Scene, request: pytest.FixtureRequest):
    seen: set[str] = set()
    # Every boundary on SQLite; every other one on PostgreSQL, which takes the longer to put back.
    for at in count(1, 1 if scene.on_sqlite else 2):
        scene.again()
        killed = scene.run(at)
        if killed.how == "unharmed":
            break
        assert killed.how == "killed"
        seen.add(killed.last)
        try:
            scene.recover()
            scene.audit()
        except Exception as error:
            error.add_note(f"killed at the end of {killed.boundaries}")
            raise
    scene.audit()
    channel, _ = request.node.callspec.params["scene"]
    everywhere = {"before a commit", "after a commit", "before the effect", "after the effect"} | WITHIN[channel]
    assert seen >= everywhere if scene.on_sqlite else seen & everywhere


@pytest.mark.parametrize(
    ("scene", "first"),
    [
        (("sms", "catch_up"), "before the effect"),
        (("twilio", "catch_up"), "after the effect"),
        (("agency", "catch_up"), "after the effect"),
    ],
    ids=["sms, absent", "twilio, sent", "agency, placed"],
    indirect=["scene"],
)
def test_a_second_kill_while_the_first_is_being_looked_into_changes_nothing(scene: Scene, first: str):
    # Every other boundary on each database: all of them on one or the other.
    for again in count(1 if scene.on_sqlite else 2, 2):
        scene.again()
        assert scene.run(first).last == first
        killed = scene.run(again)
        if killed.how == "unharmed":
            break
        try:
            scene.recover()
            scene.audit()
        except Exception as error:
            error.add_note(f"killed {first}, then at the end of {killed.boundaries}")
            raise
    scene.audit()
    assert "before the look-up" in killed.boundaries
