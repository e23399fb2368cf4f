"""Time as the ledger counts it: the machine's, a virtual one, or one that lapses faster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from arrears.clock import ClockError, CommonTime, LapseClock, SystemClock, VirtualClock, iso, parse_clock, parse_instant

EPOCH = datetime(2026, 11, 23, 14, tzinfo=UTC)


def test_a_lapse_clock_runs_a_day_in_its_seconds() -> None:
    clock = parse_clock("lapse:2026-08-01:5", epoch=EPOCH)
    with time_machine.travel(EPOCH + timedelta(seconds=50), tick=False):
        assert clock.now() == datetime(2026, 8, 11, tzinfo=UTC)
        assert clock.wall() == EPOCH + timedelta(seconds=50)


@pytest.mark.parametrize("days", [0, 1, 31, 180])
@pytest.mark.parametrize("seconds_per_day", ["0.25", "5", "86400"])
def test_lapse_time_maps_to_the_wall_and_back(days: int, seconds_per_day: str) -> None:
    clock = parse_clock(f"lapse:2026-08-01T12:00:00Z:{seconds_per_day}", epoch=EPOCH)
    moment = datetime(2026, 8, 1, 12, tzinfo=UTC) + timedelta(days=days)
    with time_machine.travel(clock.wall_at(moment), tick=False):
        assert abs(clock.now() - moment) < timedelta(seconds=1)


def test_what_lasts_a_while_on_the_wall_lasts_longer_in_lapse_time() -> None:
    clock = LapseClock(EPOCH, seconds_per_day=5, epoch=EPOCH)
    assert clock.lasts(timedelta(seconds=10)) == timedelta(days=2)
    assert SystemClock().lasts(timedelta(seconds=10)) == timedelta(seconds=10)
    assert VirtualClock(EPOCH).lasts(timedelta(seconds=10)) == timedelta(0)


def test_a_lapse_clock_without_an_epoch_begins_now() -> None:
    with time_machine.travel(EPOCH, tick=False):
        assert parse_clock("lapse:2026-08-01:5").now() == datetime(2026, 8, 1, tzinfo=UTC)


def test_a_virtual_clock_stands_until_it_is_set() -> None:
    clock = VirtualClock(EPOCH)
    with time_machine.travel(EPOCH + timedelta(days=3), tick=False):
        assert clock.now() == EPOCH
        assert clock.wall() == EPOCH + timedelta(days=3)
        clock.moment += timedelta(days=1)
        assert clock.now() == EPOCH + timedelta(days=1)


def test_the_system_clock_is_the_machines() -> None:
    with time_machine.travel(EPOCH, tick=False):
        clock = parse_clock("system")
        assert clock.now() == clock.wall() == clock.wall_at(EPOCH) == EPOCH


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("sundial", "'sundial' is not known; expected system or lapse:"),
        ("", "'' is not known; expected system or lapse:"),
        ("lapse:2026-08-01", "is not known; expected"),
        ("lapse:2026-08-01:1.2.3", "is not known; expected|is no instant"),
        ("lapse:2026-08-01:fast", "is not known; expected"),
        ("lapse:2026-08-01:-5", "is not known; expected"),
        ("lapse:2026-08-01:0", "seconds per day must be above 0"),
        ("lapse:31/11/2026:5", "'31/11/2026' is no instant; expected ISO 8601"),
    ],
)
def test_a_clock_that_cannot_run_is_refused_with_what_was_expected(setting: str, says: str) -> None:
    with pytest.raises(ClockError, match=says):
        parse_clock(setting)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-23T14:00:00Z", "2026-11-23T14:00:00Z"),
        ("2026-11-23T09:00:00-05:00", "2026-11-23T14:00:00Z"),
        ("2026-11-23T14:00", "2026-11-23T14:00:00Z"),
        (" 2026-11-23 ", "2026-11-23T00:00:00Z"),
    ],
)
def test_an_instant_is_utc_however_it_was_written(text: str, utc: str) -> None:
    assert iso(parse_instant(text)) == utc


@pytest.mark.parametrize("text", ["31/11/2026", "2026-11-31", "tomorrow", ""])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ClockError, match="is no instant; expected ISO 8601 such as"):
        parse_instant(text)


def test_common_time_is_the_servers_and_no_step_of_our_own_clock_moves_it() -> None:
    with time_machine.travel(EPOCH + timedelta(hours=1), tick=False) as machine:
        time = CommonTime(lambda: EPOCH, every=timedelta(hours=1))
        assert time.skew == pytest.approx(timedelta(hours=1), abs=timedelta(seconds=1))
        machine.shift(timedelta(hours=-3))
        time.refresh(lambda: pytest.fail("asked again too soon"))
        assert EPOCH <= time() < EPOCH + timedelta(seconds=5)
        clock = SystemClock(time)
        assert clock.wall() - clock.now() < timedelta(seconds=1)


def test_common_time_is_asked_again_when_it_is_old_and_a_new_skew_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with time_machine.travel(EPOCH, tick=False):
        time = CommonTime(lambda: EPOCH, every=timedelta(0))
        assert not caplog.records
        for _ in range(2):
            time.refresh(lambda: EPOCH - timedelta(minutes=20))
        assert time() < EPOCH - timedelta(minutes=19)
    assert [record.getMessage() for record in caplog.records] == [
        "this machine's clock is 1200 s ahead of the ledger's server, whose time counts"
    ]
