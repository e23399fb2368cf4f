"""One person, several accounts: whose turn it is, to the minute, and that everybody's comes."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrears.engine.case import Case, Step, Turn
from arrears.engine.decide import Perform, Skip, Wait, decide
from arrears.engine.ladder import Attempts, Contacts, DaysPastDue, Ladder, Late, Rung, SeveralAccounts
from arrears.engine.several import (
    PATIENCE,
    Elsewhere,
    Waiting,
    alike,
    behind,
    not_put_off,
    spaced,
    would_make,
)
from arrears.engine.vocabulary import CaseStatus, ChannelName, Stage, StepStatus
from tests.builders import NEW_YORK, NOW, a_case, a_step, day, standard_ladder

LADDER = standard_ladder()
SPACE = SeveralAccounts(Contacts.SPACE, 20)
HOUR = timedelta(hours=1)


def turn_after(contact: datetime, policy: SeveralAccounts = SPACE) -> Turn | None:
    return spaced(policy, Elsewhere(contact, "A-2"), zone=NEW_YORK)


def test_the_standard_ladder_merges_and_older_cases_go_each_their_own_way():
    assert LADDER.several == SeveralAccounts(Contacts.MERGE, 20)
    assert Ladder("plain", 1, 20, ()).several.contacts is Contacts.EACH


# Whose turn it is ---------------------------------------------------------------------------------------------


def test_a_contact_waits_its_hours_after_one_about_another_account_and_says_which():
    case = a_case(dpd=1)
    due = day(case, 1)
    waiting = decide(replace(case, turn=turn_after(due - HOUR)), LADDER, now=due)
    assert waiting == Wait(
        day(case, 2),
        "until sms-1: another contact with this person at 2026-12-24 09:00 America/New_York about A-2",
        "sms-1",
    )


def test_a_turn_that_comes_before_the_preferred_hour_keeps_it_and_one_after_it_goes_at_once():
    case = a_case(dpd=1)
    due = day(case, 1)
    early, late = turn_after(due - 2 * HOUR), turn_after(due + 9 * HOUR)
    before = decide(replace(case, turn=early), LADDER, now=due)
    after = decide(replace(case, turn=late), LADDER, now=due)
    assert isinstance(before, Wait)
    assert isinstance(after, Wait)
    assert (before.until, after.until) == (day(case, 2), due + 29 * HOUR)


def test_a_turn_that_is_over_keeps_nobody():
    case = a_case(dpd=1)
    due = day(case, 1)
    assert isinstance(decide(replace(case, turn=turn_after(due - 24 * HOUR)), LADDER, now=due), Perform)
    assert spaced(SPACE, None, zone=NEW_YORK) is None


def test_a_notice_the_law_wants_and_what_reaches_nobody_wait_for_no_turn():
    notice = replace(LADDER.by_name["letter-1"], gives="default_notice", due=DaysPastDue(1, time(10)))
    case = a_case(dpd=1, turn=turn_after(day(a_case(dpd=1), 1)))
    decision = decide(case, replace(LADDER, rungs=(notice,)), now=day(case, 1))
    assert isinstance(decision, Perform)
    placed = a_case(a_step("letter-3", days_ago=16), dpd=91, turn=turn_after(NOW))
    rungs = tuple(rung for rung in LADDER.rungs if rung.name in ("letter-3", "agency-1"))
    decision = decide(placed, replace(LADDER, rungs=rungs), now=NOW)
    assert isinstance(decision, Perform)
    assert decision.rung.name == "agency-1"


def test_of_two_that_could_go_the_older_due_goes_first_and_the_account_decides_between_equals():
    older, younger = Waiting("A-9", NOW - 2 * HOUR, NOW), Waiting("A-1", NOW - HOUR, NOW)
    assert behind(older, [younger], now=NOW) is None
    assert behind(younger, [older], now=NOW) == Turn(NOW + PATIENCE, "it is the turn of A-9, which fell due first")
    assert behind(replace(younger, account_id="A-0"), [younger], now=NOW) is None
    assert behind(younger, [replace(younger, account_id="A-0")], now=NOW) is not None


def test_an_account_that_does_not_take_its_turn_is_passed():
    older, younger = Waiting("A-9", NOW - 2 * HOUR, NOW - PATIENCE), Waiting("A-1", NOW - HOUR, NOW)
    assert behind(younger, [older], now=NOW) is None
    assert behind(younger, [older], now=NOW - timedelta(seconds=1)) is not None


# What one message may say --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "other", "together"),
    [
        ("sms-1", "sms-1", True),
        ("sms-1", "sms-3", True),
        ("call-1", "call-1", True),
        ("letter-1", "letter-1", True),
        ("sms-3", "call-1", False),
        ("letter-1", "letter-3", False),
        ("letter-1", "letter-2", False),
        ("letter-2", "letter-2", False),
        ("agency-1", "agency-1", False),
        ("legal-1", "legal-1", False),
    ],
)
def test_reminders_of_one_stage_may_be_one_and_what_threatens_may_not(mine: str, other: str, together: bool):
    rungs = LADDER.by_name
    assert alike(rungs[mine], rungs[other]) is together
    assert alike(rungs[other], rungs[mine]) is together


def test_a_statutory_notice_and_another_purpose_are_said_alone():
    text = LADDER.by_name["sms-1"]
    assert not alike(text, replace(text, gives="default_notice"))
    assert not alike(text, replace(text, purpose="statutory_notices"))


def test_what_a_case_would_make_is_known_beyond_what_it_would_skip_and_put_off():
    case = a_case(dpd=6)
    late = day(case, 6)
    assert isinstance(decide(case, LADDER, now=late), Skip)
    made = would_make(case, LADDER, now=late)
    assert made is not None
    assert (made.rung.name, made.attempt) == ("sms-2", 1)
    put_off = Step("sms-2", 1, ChannelName.SMS, StepStatus.PLANNED, not_before=late + HOUR)
    waits = replace(case, steps=(put_off,), turn=turn_after(late))
    assert would_make(waits, LADDER, now=late) is None
    assert would_make(not_put_off(waits), LADDER, now=late) == made
    assert would_make(replace(case, status=CaseStatus.HALTED), LADDER, now=late) is None


# Everybody's turn comes ----------------------------------------------------------------------------------------


@dataclass
class Family:
    """Accounts of one person, looked at in whatever order, as the drivers look at them. `asleep`: nobody does."""

    ladder: Ladder
    cases: dict[str, Case]
    asleep: frozenset[str]
    order: dict[str, int]
    contacts: list[tuple[datetime, str]] = field(default_factory=list[tuple[datetime, str]])
    awake: dict[str, datetime] = field(default_factory=dict[str, datetime])

    def live(self, begins: datetime) -> None:
        queue = [(begins, self.order[name], name) for name in self.cases if name not in self.asleep]
        self.awake = dict.fromkeys(self.cases, begins)
        heapq.heapify(queue)
        while queue:
            now, _, name = heapq.heappop(queue)
            again = self._look(name, now)
            if again is not None:
                assert again > now
                heapq.heappush(queue, (again, self.order[name], name))

    def _look(self, name: str, now: datetime) -> datetime | None:
        yielding: Turn | None = None
        while True:
            case = replace(self.cases[name], turn=yielding or self._turn(name))
            match decide(case, self.ladder, now=now):
                case Skip(rung, attempt):
                    self._record(name, Step(rung.name, attempt, rung.channel, StepStatus.SKIPPED, at=now))
                case Wait(until, _):
                    self.awake[name] = until or now
                    return until
                case Perform(rung, attempt, due_at):
                    mine = Waiting(name, due_at, now)
                    yielding = behind(mine, self._others(name, now), now=now)
                    if yielding is None:
                        self.contacts.append((now, name))
                        self._record(name, Step(rung.name, attempt, rung.channel, StepStatus.DONE, at=now))
                case _:
                    return None

    def _turn(self, name: str) -> Turn | None:
        last = max(((at, other) for at, other in self.contacts if other != name), default=None)
        return spaced(self.ladder.several, Elsewhere(*last) if last else None, zone=NEW_YORK)

    def _others(self, name: str, now: datetime) -> list[Waiting]:
        found: list[Waiting] = []
        for other, case in self.cases.items():
            made = would_make(replace(case, turn=self._turn(other)), self.ladder, now=now) if other != name else None
            if made is not None:
                found.append(Waiting(other, made.due_at, self.awake[other]))
        return found

    def _record(self, name: str, step: Step) -> None:
        self.cases[name] = replace(self.cases[name], steps=(*self.cases[name].steps, step))


@st.composite
def families(draw: st.DrawFn) -> Family:
    names = [f"A-{number}" for number in range(draw(st.integers(2, 7)))]
    hours = draw(st.integers(1, 72))
    rungs = tuple(
        Rung(
            name=f"sms-{number}",
            stage=Stage.SMS,
            channel=ChannelName.SMS,
            template="t",
            due=DaysPastDue(draw(st.integers(0, 20)), time(draw(st.integers(0, 23)))),
            late=Late.GO,
            attempts=Attempts(draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        )
        for number in range(draw(st.integers(1, 3)))
    )
    ladder = Ladder("family", 1, draw(st.integers(0, 30)), rungs, several=SeveralAccounts(Contacts.SPACE, hours))
    return Family(
        ladder,
        {name: a_case(dpd=draw(st.integers(0, 30)), account_id=name) for name in names},
        draw(st.frozensets(st.sampled_from(names), max_size=2)),
        dict(zip(names, draw(st.permutations(range(len(names)))), strict=True)),
    )


@given(families())
def test_no_account_waits_for_ever_and_no_two_contacts_come_too_close(family: Family):
    begins = NOW - timedelta(days=40)
    family.live(begins)
    wanted = sum(rung.attempts.most for rung in family.ladder.rungs)
    made = [name for _, name in family.contacts]
    for name in family.cases:
        assert made.count(name) == (0 if name in family.asleep else wanted)
    apart = family.ladder.several.apart
    for (earlier, one), (later, other) in zip(family.contacts, family.contacts[1:], strict=False):
        assert one == other or later - earlier >= apart
    # Everything was made while at most as many days went by as contacts had to wait for each other.
    step = apart + timedelta(hours=family.ladder.hours_between_contacts, days=4)
    assert family.contacts == [] or family.contacts[-1][0] <= NOW + timedelta(days=30) + len(family.contacts) * step


@given(families())
def test_nobody_goes_while_an_older_due_could(family: Family):
    family = replace(family, asleep=frozenset())
    begins = NOW - timedelta(days=40)
    family.live(begins)
    first = {name: next((at for at, other in family.contacts if other == name), None) for name in family.cases}
    due = {name: case.due_date for name, case in family.cases.items()}
    # Of the first contacts of accounts with the same ladder, none is made before that of an account with an older due
    # that had waited as long.
    for one, other in ((a, b) for a in due for b in due if due[a] < due[b]):
        begun, later = first[one], first[other]
        assert begun is not None
        assert later is not None
        assert begun < later
