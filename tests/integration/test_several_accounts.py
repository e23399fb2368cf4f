"""One person, several accounts: told together or spaced, and no exception on one silences or frees another."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from sqlmodel import select

import models
from arrears.channels.effect import Finding, InDoubt, Intent, Outcome, Refused, TryAgain, Unprovable
from arrears.clock import VirtualClock
from arrears.engine.contact.facts import ContactChannel
from arrears.engine.several import Elsewhere
from arrears.engine.vocabulary import ChannelName, Disposition, StepStatus
from arrears.ledger.contacts import last_elsewhere
from arrears.operations import steer
from arrears.operations.advance import advance
from arrears.operations.arrange import promise
from arrears.operations.brakes import Budget
from arrears.operations.calls import CallRefused, Promised, record_call
from arrears.operations.consent import record_contact
from arrears.operations.deliveries import report
from arrears.operations.evidence import write_evidence
from arrears.operations.explain import explain
from arrears.operations.hold import hold, release
from arrears.operations.moves import InDoubt as TakenOver
from arrears.operations.moves import Intended, Standstill, next_move
from arrears.operations.pay import pay
from arrears.operations.perform import carry_out, reconcile
from arrears.operations.preview import preview
from arrears.operations.replies import receive_text
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services, ledger_clock, open_services
from arrears.operations.show import show
from arrears.operations.sweep import sweep
from arrears.settings import Settings
from tests.builders import POLICIES
from tests.conftest import HEADER, START, a_row
from tests.integration.stories import at, open_tasks, take_in, until
from tests.support.forks import forks
from tests.support.ledgers import empty, ledger_on

# The first text is due at 10:00 in Albany on the day after the due date.
DUE = START + timedelta(days=1, hours=2)
A_DAY = timedelta(days=1)
TEN_MORNING = [DUE, DUE + A_DAY, DUE + 2 * A_DAY]
# Ladders, by what they say about several accounts.
MERGE, SPACE, EACH = "card-standard", "card-spaced", "card-standard@1"
Family = Callable[..., Services]


def write(folder: Path, *cards: dict[str, str]) -> Path:
    """A portfolio of one person's cards A-1, A-2, …, due on 2026-08-01 but for what is said of each."""
    columns = [*HEADER.strip().split(","), "holder_id", "creditor"]
    lines = [",".join(columns)]
    for number, card in enumerate(cards, start=1):
        cells = dict(zip(columns, [*a_row(f"A-{number}").strip().split(","), "H-1", ""], strict=True)) | card
        lines.append(",".join(cells.values()))
    path = folder / "family.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# Each database's tests keep to one worker, which opens it once. What turns on words and numbers alone needs one.
DATABASES = [pytest.param(name, marks=pytest.mark.xdist_group(f"several-{name}")) for name in ("sqlite", "postgresql")]


@pytest.fixture(scope="module", params=DATABASES)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A deployment with a second ladder, `card-spaced`: opened once, emptied before every test."""
    folder = tmp_path_factory.mktemp(f"several-{request.param}")
    shutil.copytree(POLICIES, folder / "policies")
    ladders = folder / "policies" / "ladders"
    standard = (ladders / "card-standard.yaml").read_text()
    assert "{contacts: merge, hours: 20}" in standard
    spaced = standard.replace("contacts: merge", "contacts: space").replace("ladder: card-standard", f"ladder: {SPACE}")
    (ladders / f"{SPACE}.yaml").write_text(spaced)
    with ledger_on(request.param, folder) as url:
        order = Settings(database_url=url, outbox=folder / "outbox", policies=folder / "policies", doubt_seconds=0)
        opened = open_services(order)
        yield opened
        opened.close()


ONE_DATABASE = pytest.mark.parametrize("house", DATABASES[:1], indirect=True)


def emptied(services: Services) -> Services:
    """The deployment as on its first day."""
    shutil.rmtree(services.settings.outbox, ignore_errors=True)
    with services.ledger.write() as session:
        empty(session.connection())
    return services


@pytest.fixture
def family(house: Services, clock: VirtualClock, tmp_path: Path) -> Family:
    """Takes one person's cards in, on a ladder."""
    services = emptied(house).at(clock)

    def take(ladder: str, *cards: dict[str, str]) -> Services:
        here = replace(services, settings=services.settings.model_copy(update={"ladder": ladder}))
        assert take_in(here, write(tmp_path, *cards)).enrolled == len(cards)
        return here

    return take


def texts(services: Services) -> list[dict[str, Any]]:
    lines = [line for f in sorted((services.settings.outbox / "sms").glob("*.jsonl")) for line in f.open()]
    return [json.loads(line) for line in lines]


def letters(services: Services) -> list[Path]:
    return sorted((services.settings.outbox / "letters").rglob("*.pdf"))


def step(services: Services, account_id: str, rung: str) -> dict[str, Any]:
    return [step for step in show(services, account_id)["steps"] if step["rung"] == rung][-1]


def when(services: Services, account_id: str, rung: str) -> datetime | None:
    made = [s for s in show(services, account_id)["steps"] if s["rung"] == rung and s["status"] == "done"]
    return datetime.fromisoformat(made[-1]["at"]) if made else None


def firsts(services: Services, *accounts: str) -> list[datetime | None]:
    return [when(services, account, "sms-1") for account in accounts]


def now(services: Services) -> Services:
    return services.at(ledger_clock(services))


def settle_up(services: Services, account_id: str) -> None:
    pay(services, account_id, "1200.50", reference=account_id, at=at(services), source="bank", who="test")


def dispute(services: Services, account_id: str) -> None:
    hold(services, account_id, "DISPUTE_OPEN", at=at(services), until=None, channel=None, who="test")


def intend(services: Services, clock: VirtualClock, account_id: str = "A-1", at: datetime = DUE) -> Intended:
    clock.moment = at
    move = next_move(services, account_id, who="test", budget=Budget())
    assert isinstance(move, Intended)
    return move


# Merged -------------------------------------------------------------------------------------------------------


def test_one_text_tells_about_every_card_of_the_person(family: Family) -> None:
    services = family(MERGE, {}, {"amount_due": "45.00"}, {"currency": "EUR"}, {"holder_id": "H-2"})
    until(services, 2)
    mine, theirs = texts(services)
    assert (mine["account_id"], theirs["account_id"]) == ("A-1", "A-4")
    assert "Also $45.00 due Aug 1, 2026 (card ..A-2). Also €120.00 due Aug 1, 2026 (card ..A-3)." in mine["body"]
    assert "Also" not in theirs["body"]
    carrier = step(services, "A-1", "sms-1")
    for account in ("A-2", "A-3"):
        told = step(services, account, "sms-1")
        assert (told["status"], told["at"], told["proof"]) == ("done", carrier["at"], carrier["proof"])
        assert told["reason"] == f"told in sms-1 of A-1 ({carrier['reference']})"
        assert show(services, account)["stage"] == "sms"
        assert show(services, account)["next"]["rung"] == "sms-2"
        said = explain(services, account, rung="sms-1")["steps"][0]
        assert f"told in sms-1 of A-1 ({carrier['reference']})" in said["in_words"]
        assert said["verdict"] == "allow"


@ONE_DATABASE
def test_a_text_tells_of_three_more_cards_and_the_rest_have_the_next(family: Family) -> None:
    services = family(MERGE, *5 * [{}])
    until(services, 3)
    first, second = texts(services)
    assert (first["body"].count("Also"), second["account_id"], second["body"].count("Also")) == (3, "A-5", 0)
    assert firsts(services, "A-1", "A-4", "A-5") == [DUE, DUE, DUE + A_DAY]


@ONE_DATABASE
def test_a_merged_contact_counts_once_for_the_person(family: Family) -> None:
    services = family(MERGE, {}, {}, {}, {})
    until(services, 6)
    assert len(texts(services)) == 2
    judged = explain(services, "A-2", rung="sms-2")["steps"][0]["facts"]["history"]
    assert sorted((c["debt"], c["carried"]) for c in judged) == [
        ("A-1", False), ("A-2", True), ("A-3", True), ("A-4", True),
    ]  # fmt: skip


@ONE_DATABASE
def test_the_day_s_ceiling_counts_a_merged_contact_once(family: Family) -> None:
    services = family(MERGE, {}, {}, {"holder_id": "H-2"})
    capped = replace(services, settings=services.settings.model_copy(update={"most_effects_per_day": 2}))
    assert until(capped, 1.4).effects == 2
    assert firsts(services, "A-1", "A-2", "A-3") == [DUE, DUE, DUE]


@ONE_DATABASE
def test_a_rehearsal_counts_what_is_told_together_once(family: Family, clock: VirtualClock) -> None:
    services = family(MERGE, {}, {}, {"phone": "+15185550199"})
    clock.moment = DUE
    assert preview(services) == {"sms": 1, "told together": 1, "wait": 1}


@ONE_DATABASE
@pytest.mark.parametrize(
    "other",
    [{"phone": "+15185550199"}, {"creditor": "Another Bank"}, {"locale": "de-DE"}],
    ids=["another number", "another creditor", "another language"],
)
def test_what_would_not_have_been_the_same_message_is_spaced(family: Family, other: dict[str, str]) -> None:
    services = family(MERGE, {}, other if "locale" not in other else {})
    if "locale" in other:
        with services.ledger.write() as session:
            session.get_one(models.Account, "A-2").locale = "de-DE"
    until(services, 4)
    assert len(texts(services)) == 2
    assert firsts(services, "A-1", "A-2") == [DUE, DUE + A_DAY]


@ONE_DATABASE
def test_one_letter_lists_every_card_and_is_in_everybodys_evidence(family: Family, tmp_path: Path) -> None:
    services = family(MERGE, {}, {"amount_due": "45.00"})
    until(services, 46)
    [letter] = letters(services)
    page = " ".join(" ".join(page.extract_text() for page in PdfReader(letter).pages).split())
    assert "Account ending in A-2 August 1, 2026 $45.00" in page
    carrier = step(services, "A-1", "letter-1")
    write_evidence(services, "A-2", tmp_path / "evidence.zip")
    with zipfile.ZipFile(tmp_path / "evidence.zip") as bundle:
        told = step(services, "A-2", "letter-1")
        assert bundle.read(f"letters/{told['reference']}-letter-1-1.pdf") == letter.read_bytes()
        verdicts = json.loads(bundle.read("verdicts.json"))
    assert [v["reason"] for v in verdicts if v["rung"] == "letter-1"] == [
        f"told in letter-1 of A-1 ({carrier['reference']})"
    ]


@ONE_DATABASE
def test_a_letter_that_threatens_suit_and_the_notice_of_placement_are_written_about_one_card_alone(
    family: Family,
) -> None:
    services = family(MERGE, {}, {})
    until(services, 80)
    for rung in ("letter-2", "letter-3"):
        first, second = when(services, "A-1", rung), when(services, "A-2", rung)
        assert first is not None
        assert second is not None
        assert second - first >= timedelta(hours=20)
        assert step(services, "A-2", rung)["carried_by"] is None


# One call about several cards -----------------------------------------------------------------------------------


def called(family: Family, *cards: dict[str, str]) -> Services:
    services = family(MERGE, *cards)
    until(services, 31)
    [task] = open_tasks(services)
    assert task.account_id == "A-1"
    assert task.script.count("is past due as well") == len(cards) - 1
    return services


@ONE_DATABASE
def test_one_call_is_made_and_its_outcome_is_everybodys(family: Family) -> None:
    services = called(family, {}, {})
    with pytest.raises(CallRefused, match=r"no open call task; it is told in call-1 of A-1"):
        record_call(services, "A-2", Disposition.NO_ANSWER, by="C. Ollector", at=at(services))
    record_call(services, "A-1", Disposition.NO_ANSWER, by="C. Ollector", at=at(services))
    assert [step(services, account, "call-1")["disposition"] for account in ("A-1", "A-2")] == ["no_answer"] * 2
    until(services, 36)
    [task] = open_tasks(services)
    assert (task.account_id, task.attempt) == ("A-1", 2)


@ONE_DATABASE
def test_a_promise_for_one_card_is_not_one_for_the_other_but_both_were_spoken_of(family: Family) -> None:
    services = called(family, {}, {})
    promised = Promised("120.00", date(2026, 9, 14))
    record_call(services, "A-1", Disposition.PROMISE, by="C. Ollector", promised=promised, at=at(services))
    assert [show(services, account)["status"] for account in ("A-1", "A-2")] == ["held", "delinquent"]
    assert step(services, "A-2", "call-1")["disposition"] == "right_party_contact"
    until(services, 46)
    assert when(services, "A-1", "letter-1") is None
    assert when(services, "A-2", "letter-1") is not None


@ONE_DATABASE
def test_a_number_found_bad_is_bad_for_every_card_that_names_it(family: Family) -> None:
    services = called(family, {}, {})
    record_call(services, "A-1", Disposition.WRONG_NUMBER, by="C. Ollector", at=at(services))
    until(services, 44)
    assert open_tasks(services) == []
    assert [len([s for s in show(services, a)["steps"] if s["rung"] == "call-1"]) for a in ("A-1", "A-2")] == [1, 1]


@ONE_DATABASE
def test_who_has_paid_is_not_spoken_of_and_who_has_not_is_called_after_all(family: Family) -> None:
    services = called(family, {}, {}, {})
    settle_up(services, "A-2")
    [task] = open_tasks(services)
    assert "past due as well" not in task.script
    assert step(services, "A-2", "call-1")["status"] == "skipped"
    assert step(services, "A-3", "call-1")["status"] == "planned"
    settle_up(services, "A-1")
    assert open_tasks(services) == []
    until(services, 33)
    [task] = open_tasks(services)
    assert task.account_id == "A-3"


@ONE_DATABASE
def test_a_call_nobody_made_lapses_when_the_next_is_made_for_another_card(family: Family, clock: VirtualClock) -> None:
    services = called(family, {}, {})
    clock.moment = START + timedelta(days=34, hours=2)
    assert advance(services, "A-2", who="test").effects == 1
    [task] = open_tasks(services)
    assert (task.account_id, task.attempt, task.script.count("is past due as well")) == ("A-2", 2, 1)


@pytest.mark.parametrize("stopped", [settle_up, dispute], ids=["paid", "disputed"])
@ONE_DATABASE
def test_a_call_that_must_not_be_made_is_made_about_the_other_cards(
    family: Family, stopped: Callable[[Services, str], None]
) -> None:
    services = called(family, {}, {}, {})
    stopped(services, "A-1")
    assert open_tasks(services) == []
    assert {step(services, a, "call-1")["status"] for a in ("A-2", "A-3")} == {"planned"}
    until(services, 32)
    [task] = open_tasks(services)
    assert (task.account_id, task.script.count("is past due as well")) == ("A-2", 1)


# Between intent and effect ---------------------------------------------------------------------------------------


@ONE_DATABASE
def test_a_dispute_of_one_card_that_comes_between_intent_and_effect_takes_it_out_of_the_message(
    family: Family, clock: VirtualClock
) -> None:
    services = family(MERGE, {}, {}, {})
    move = intend(services, clock)
    dispute(services, "A-2")
    assert carry_out(services, move.intent, move.channel, who="test") is StepStatus.PLANNED
    assert {step(services, a, "sms-1")["status"] for a in ("A-1", "A-2", "A-3")} == {"planned"}
    sweep(services, who="test", budget=Budget())
    [text] = texts(services)
    assert "..A-3" in text["body"]
    assert "..A-2" not in text["body"]
    assert firsts(services, "A-1", "A-2", "A-3") == [DUE, None, DUE]


@pytest.mark.parametrize("stopped", [settle_up, dispute], ids=["paid", "disputed"])
@ONE_DATABASE
def test_when_the_card_that_tells_must_not_the_others_are_told_without_it(
    family: Family, clock: VirtualClock, stopped: Callable[[Services, str], None]
) -> None:
    services = family(MERGE, {}, {}, {})
    move = intend(services, clock)
    stopped(services, "A-1")
    carry_out(services, move.intent, move.channel, who="test")
    assert texts(services) == []
    sweep(services, who="test", budget=Budget())
    [text] = texts(services)
    assert (text["account_id"], "..A-3" in text["body"], "..A-1" in text["body"]) == ("A-2", True, False)
    assert firsts(services, "A-1", "A-2", "A-3") == [None, DUE, DUE]


@ONE_DATABASE
def test_while_the_message_is_being_sent_the_cards_told_in_it_wait_for_it(family: Family, clock: VirtualClock) -> None:
    services = family(MERGE, {}, {})
    move = intend(services, clock)
    assert step(services, "A-2", "sms-1")["status"] == "intended"
    waits = next_move(services, "A-2", who="another", budget=Budget())
    assert isinstance(waits, Standstill)
    assert waits.wall_until is not None
    carry_out(services, move.intent, move.channel, who="test")
    assert step(services, "A-2", "sms-1")["status"] == "done"
    assert isinstance(next_move(services, "A-2", who="another", budget=Budget()), Standstill)
    assert len(texts(services)) == 1


def test_whoever_finds_a_message_cut_short_from_either_card_looks_it_up_for_both(
    family: Family, clock: VirtualClock
) -> None:
    services = family(MERGE, {}, {})
    short = replace(services, settings=services.settings.model_copy(update={"lease_seconds": 0}))
    intend(short, clock)
    move = next_move(services, "A-2", who="another", budget=Budget())
    assert isinstance(move, TakenOver)
    assert move.intent.account_id == "A-1"
    assert reconcile(services, move.intent, move.channel, who="another") is StepStatus.PLANNED
    assert [step(services, a, "sms-1")["status"] for a in ("A-1", "A-2")] == ["planned", "planned"]
    sweep(services, who="another", budget=Budget())
    assert len(texts(services)) == 1
    assert firsts(services, "A-1", "A-2") == [DUE, DUE]


class Answering:
    """A channel that gives the answers it was told to, and then does its work."""

    def __init__(self, channel: Any, *answers: Outcome, finding: Finding | None = None) -> None:
        self._channel, self._answers, self._finding = channel, list(answers), finding

    def perform(self, intent: Intent) -> Outcome:
        return self._answers.pop(0) if self._answers else self._channel.perform(intent)

    def look_up(self, intent: Intent) -> Finding:
        return self._finding or self._channel.look_up(intent)


def with_texts_by(services: Services, *answers: Outcome, finding: Finding | None = None) -> Services:
    answering = Answering(services.channels[ChannelName.SMS], *answers, finding=finding)
    return replace(services, channels={**services.channels, ChannelName.SMS: answering})


@ONE_DATABASE
def test_a_message_that_is_to_be_tried_again_later_is_tried_again_for_all_it_tells(
    family: Family, clock: VirtualClock
) -> None:
    services = with_texts_by(family(MERGE, {}, {}), TryAgain("too many requests", after=timedelta(minutes=1)))
    clock.moment = DUE
    assert [advance(services, account, who="test").effects for account in ("A-1", "A-2")] == [0, 0]
    with services.ledger.write() as session:
        for case in session.exec(select(models.Case)):
            assert case.retry_at is not None
            case.retry_at = None
    sweep(services, who="test", budget=Budget())
    assert firsts(services, "A-1", "A-2") == [DUE, DUE]
    assert len(texts(services)) == 1


@pytest.mark.parametrize("paid", [False, True])
def test_a_message_taken_for_never_sent_that_had_gone_has_told_of_every_card(
    family: Family, clock: VirtualClock, paid: bool
) -> None:
    services = family(MERGE, {}, {}, {})
    short = replace(services, settings=services.settings.model_copy(update={"lease_seconds": 0}))
    move = intend(short, clock)
    assert reconcile(short, move.intent, move.channel, who="another") is StepStatus.PLANNED
    if paid:
        settle_up(services, "A-3")
    with services.ledger.write() as session:
        # As a step is left for which no letter stands in any more, and which a person is to look at.
        for each in session.exec(select(models.Step)):
            each.unreached, each.needs_person = True, True
    report(services, move.intent.reference, sid="SM1", status="delivered", error_code="")
    sweep(services, who="another", budget=Budget())
    assert texts(services) == []
    carrier = step(services, "A-1", "sms-1")
    for account in ("A-1", "A-2", "A-3"):
        told = step(services, account, "sms-1")
        assert (told["status"], told["proof"]) == ("done", "SM1")
        assert told["at"] == carrier["at"] is not None
        assert told["carried_by"] == (None if account == "A-1" else carrier["reference"])
    with services.ledger.read() as session:
        assert not any(each.unreached or each.needs_person for each in session.exec(select(models.Step)))
    assert show(services, "A-2")["next"]["rung"] == "sms-2"


def test_what_was_told_again_since_stays_told_by_what_told_it(family: Family, clock: VirtualClock) -> None:
    services = family(MERGE, {}, {})
    short = replace(services, settings=services.settings.model_copy(update={"lease_seconds": 0}))
    move = intend(short, clock)
    assert reconcile(short, move.intent, move.channel, who="another") is StepStatus.PLANNED
    with services.ledger.write() as session:
        for case in session.exec(select(models.Case)):
            case.retry_at = None
    hold(services, "A-1", "DISPUTE_OPEN", at=at(services), until=None, channel=None, who="test")
    sweep(services, who="another", budget=Budget())
    [again] = texts(services)
    assert again["account_id"] == "A-2"
    report(services, move.intent.reference, sid="SM1", status="delivered", error_code="")
    assert [step(services, a, "sms-1")["status"] for a in ("A-1", "A-2")] == ["done", "done"]
    assert step(services, "A-2", "sms-1")["carried_by"] is None


@pytest.mark.parametrize(
    ("settlement", "second", "sent"),
    [(steer.Settlement.DONE, "done", 0), (steer.Settlement.AGAIN, "done", 1), (steer.Settlement.SKIP, "done", 1)],
)
@ONE_DATABASE
def test_a_message_nobody_can_prove_is_settled_by_one_word_for_all_it_told(
    family: Family, clock: VirtualClock, settlement: steer.Settlement, second: str, sent: int
) -> None:
    services = family(MERGE, {}, {})
    doubtful = with_texts_by(services, InDoubt("no answer"), finding=Unprovable("no record"))
    clock.moment = DUE
    for _ in range(2):
        advance(doubtful, "A-1", who="test")
    assert [step(services, a, "sms-1")["status"] for a in ("A-1", "A-2")] == ["unknown", "unknown"]
    assert [waiting.account_id for waiting in waiting_for_people(services)] == ["A-1"]
    steer.settle(services, "A-1", "sms-1", settlement, by="M. Anager", why="asked them", at=DUE)
    sweep(services, who="test", budget=Budget())
    assert step(services, "A-2", "sms-1")["status"] == second
    assert len(texts(services)) == sent


# Spaced -------------------------------------------------------------------------------------------------------


@ONE_DATABASE
def test_three_cards_due_on_one_day_have_a_day_each_and_say_whom_they_wait_for(family: Family) -> None:
    services = family(SPACE, {}, {}, {})
    until(services, 1.2)
    assert firsts(services, "A-1", "A-2", "A-3") == [DUE, None, None]
    reason = show(services, "A-2")["next"]["reason"]
    assert reason == "until sms-1: another contact with this person at 2026-08-02 10:00 America/New_York about A-1"
    assert explain(services, "A-2")["next"] == reason
    until(services, 4)
    assert firsts(services, "A-1", "A-2", "A-3") == TEN_MORNING
    assert len(texts(services)) == 3


@ONE_DATABASE
def test_the_oldest_due_goes_first_whatever_its_name(family: Family) -> None:
    services = family(SPACE, {"due_date": "2026-07-31"}, {"due_date": "2026-07-30"}, {"due_date": "2026-07-29"})
    # All three are late already; the last two texts are due by now.
    until(services, 4)
    assert firsts(services, "A-3", "A-2", "A-1") == sorted(d for d in firsts(services, "A-1", "A-2", "A-3") if d)


@ONE_DATABASE
def test_a_call_made_by_hand_about_one_card_spaces_the_others(family: Family) -> None:
    services = family(SPACE, {}, {})
    call = ContactChannel.CALL
    record_contact(services, "A-2", call, inbound=False, at=DUE - timedelta(hours=1), outcome="voicemail", who="test")
    until(services, 2.5)
    assert firsts(services, "A-1") == [DUE + A_DAY]
    record_contact(services, "A-1", call, inbound=True, at=at(services), outcome="conversation", who="test")
    assert firsts(services, "A-1", "A-2") == [DUE + A_DAY, DUE]


@ONE_DATABASE
def test_the_last_contact_elsewhere_is_about_another_account_and_of_one_text_the_one_it_was_sent_for(
    family: Family,
) -> None:
    services = family(MERGE, {}, {}, {})
    until(services, 2)
    with services.ledger.read() as session:
        found = [last_elsewhere(session, "H-1", account, since=START) for account in ("A-3", "A-2", "A-1")]
        assert found == [Elsewhere(DUE, "A-1"), Elsewhere(DUE, "A-1"), Elsewhere(DUE, "A-2")]
        assert last_elsewhere(session, "H-1", "A-1", since=DUE) is None
        assert last_elsewhere(session, "H-2", "A-1", since=START) is None


@ONE_DATABASE
def test_cards_on_an_older_version_go_each_their_own_way(family: Family) -> None:
    services = family(EACH, {}, {}, {})
    until(services, 2)
    assert firsts(services, "A-1", "A-2", "A-3") == [DUE, DUE, DUE]
    assert len(texts(services)) == 3


@ONE_DATABASE
def test_an_account_nobody_advances_is_passed_after_an_hour(family: Family, clock: VirtualClock) -> None:
    services = family(SPACE, {"due_date": "2026-07-31"}, {"due_date": "2026-07-30"})
    clock.moment = DUE
    younger, older = "A-1", "A-2"
    with services.ledger.write() as session:
        for case in session.exec(select(models.Case)):
            case.next_due_at = DUE
    rest = advance(services, younger, who="test").rest
    assert isinstance(rest, Standstill)
    assert rest.reason == f"until sms-1: it is the turn of {older}, which fell due first"
    assert rest.until == DUE + timedelta(hours=1)
    clock.moment = rest.until
    assert advance(services, younger, who="test").effects == 1


# An exception on one account (OCA/credit-control#460) -------------------------------------------------------------

BOTH = pytest.mark.parametrize("policy", [MERGE, SPACE], ids=["merge", "space"])


@BOTH
def test_oca_credit_control_460_a_dispute_of_one_card_neither_silences_nor_frees_another(
    family: Family, policy: str
) -> None:
    services = family(policy, {}, {}, {})
    dispute(services, "A-1")
    until(services, 4)
    assert firsts(services, "A-1") == [None]
    assert [d is not None for d in firsts(services, "A-2", "A-3")] == [True, True]
    assert all("A-1" not in (text["account_id"], text["body"]) for text in texts(services))
    assert not any("..A-1" in text["body"] for text in texts(services))
    release(services, "A-1", "DISPUTE_OPEN", at=at(services), who="test")
    until(services, 5)
    assert when(services, "A-1", "sms-1") is not None


@BOTH
def test_oca_credit_control_460_a_promise_for_one_card_neither_silences_nor_frees_another(
    family: Family, policy: str
) -> None:
    services = family(policy, {}, {})
    promise(services, "A-1", "120.00", date(2026, 8, 20), reference="PP-1", at=at(services), source="t", who="test")
    until(services, 4)
    assert (firsts(services, "A-1"), firsts(services, "A-2")) == ([None], [DUE])
    assert "..A-1" not in texts(services)[0]["body"]


@BOTH
def test_oca_credit_control_460_a_halted_card_neither_silences_nor_frees_another(family: Family, policy: str) -> None:
    services = family(policy, {}, {})
    steer.halt(services, "A-1", why="asked by the lender", who="test", at=at(services))
    until(services, 4)
    assert (firsts(services, "A-1"), firsts(services, "A-2")) == ([None], [DUE])
    assert "..A-1" not in texts(services)[0]["body"]
    steer.resume(services, "A-1", who="test", at=at(services))
    until(services, 5)
    assert when(services, "A-1", "sms-1") is not None


@BOTH
def test_oca_credit_control_460_a_text_that_was_refused_for_one_card_is_sent_for_another(
    family: Family, clock: VirtualClock, policy: str
) -> None:
    services = with_texts_by(family(policy, {}, {}), Refused("30006", "landline"))
    clock.moment = DUE
    sweep(services, who="test", budget=Budget())
    assert step(services, "A-1", "sms-1")["status"] == "failed"
    assert firsts(services, "A-2") == [DUE]
    assert len(texts(services)) == 1


@BOTH
@pytest.mark.parametrize(("broken", "sound"), [("A-1", "A-2"), ("A-2", "A-1")])
def test_oca_credit_control_460_a_card_that_fails_unforeseen_backs_off_alone(
    family: Family, policy: str, broken: str, sound: str
) -> None:
    services = family(policy, {}, {})
    with services.ledger.write() as session:
        case = session.exec(select(models.Case).where(models.Case.account_id == broken)).one()
        case.ladder = "thrown-away"
    until(services, 2)
    assert show(services, broken)["next"]["reason"].startswith("failed: UnknownLadder")
    assert firsts(services, sound) == [DUE]
    assert f"..{broken}" not in texts(services)[0]["body"]


@BOTH
def test_oca_credit_control_460_a_letter_that_cannot_be_made_for_one_card_is_written_for_another(
    family: Family, policy: str
) -> None:
    services = family(policy, {"name": "Ann \N{SNOWMAN}\N{CUNEIFORM SIGN A}"}, {})
    until(services, 46)
    assert (step(services, "A-1", "letter-1")["status"], step(services, "A-2", "letter-1")["status"]) == (
        "failed",
        "done",
    )


@ONE_DATABASE
def test_oca_credit_control_460_a_template_that_breaks_over_other_cards_is_used_for_each_alone(
    family: Family, tmp_path: Path
) -> None:
    services = family(MERGE, {}, {})
    shutil.copytree(services.settings.templates, tmp_path / "templates")
    reminder = tmp_path / "templates" / "letters" / "en-US" / "reminder.typ.j2"
    reminder.write_text(reminder.read_text().replace("#listing(", "#no-such-thing("))
    broken = open_services(services.settings.model_copy(update={"templates": tmp_path / "templates"}))
    until(broken, 47)
    broken.close()
    assert [step(services, account, "letter-1")["status"] for account in ("A-1", "A-2")] == ["done", "done"]
    assert len(letters(services)) == 2


@BOTH
def test_oca_credit_control_460_a_card_without_a_number_neither_silences_nor_frees_another(
    family: Family, policy: str
) -> None:
    services = family(policy, {"phone": "+15185550199"}, {}, {"phone": "+15185550199"})
    until(services, 2.1)
    until(services, 31)
    tasks = open_tasks(services)
    while tasks[0].account_id not in ("A-1", "A-3"):
        record_call(services, tasks[0].account_id, Disposition.BUSY, by="C. Ollector", at=at(services))
        until(services, (at(services) - START) / A_DAY + 1)
        tasks = open_tasks(services)
    lost = tasks[0].account_id
    record_call(services, lost, Disposition.NOT_IN_SERVICE, by="C. Ollector", at=at(services))
    until(services, 44)
    calls = [s for s in show(services, "A-2")["steps"] if s["rung"] == "call-1" and s["status"] == "done"]
    assert len(calls) >= 2
    assert all(s["disposition"] != "not_in_service" for s in calls)
    assert when(services, "A-2", "call-1") is not None
    assert len([s for s in show(services, lost)["steps"] if s["rung"] == "call-1"]) == 1


@BOTH
def test_oca_credit_control_460_a_paid_card_leaves_the_others_owing(family: Family, policy: str) -> None:
    services = family(policy, {}, {})
    until(services, 0.5)
    settle_up(services, "A-1")
    until(services, 6)
    assert show(services, "A-1")["outcome"] == "paid"
    assert firsts(services, "A-2") == [DUE]
    assert "..A-1" not in texts(services)[0]["body"]


@BOTH
def test_oca_credit_control_460_a_disputed_card_leaves_the_call_about_the_others(family: Family, policy: str) -> None:
    services = family(policy, {}, {})
    until(services, 30.2)
    [task] = open_tasks(services)
    other = {"A-1": "A-2", "A-2": "A-1"}[task.account_id]
    dispute(services, other)
    [task] = open_tasks(services)
    assert "past due as well" not in task.script
    dispute(services, task.account_id)
    assert open_tasks(services) == []
    release(services, other, "DISPUTE_OPEN", at=at(services), who="test")
    until(services, 36)
    assert [task.account_id for task in open_tasks(services)] == [other]


@BOTH
def test_a_stop_is_the_persons_for_all_their_cards(family: Family, policy: str) -> None:
    services = family(policy, {}, {}, {})
    here = now(services)
    receive_text(here, "A-2", "STOP", number="+15185550101", at=here.clock.now(), who="test")
    until(services, 4)
    assert firsts(services, "A-1", "A-2", "A-3") == [None, None, None]
    assert [text["rung"] for text in texts(services)] == ["opt-out-confirmation"]


# Two at once --------------------------------------------------------------------------------------------------

ROUNDS = 8


def work(settings: dict[str, Any], side: int, barrier: Barrier) -> None:
    """One process: at every round, its card of that round's holder."""
    services = open_services(Settings(**settings), live=False).at(VirtualClock(DUE))
    try:
        for ladder in (MERGE, SPACE):
            for holder in range(ROUNDS):
                barrier.wait(timeout=280)
                advance(services, f"{ladder}-{holder}-{side}", who=f"side {side}")
    except BaseException:
        barrier.abort()
        raise
    finally:
        services.close()


def test_of_two_processes_that_meet_at_one_person_one_sends_and_the_other_sees_it(
    house: Services, family: Family
) -> None:
    def cards(ladder: str) -> list[dict[str, str]]:
        return [
            {
                "account_id": f"{ladder}-{n}-{side}",
                "holder_id": f"{ladder}-{n}",
                "phone": f"+12125{ladder == MERGE:d}5{n:04d}",
            }
            for n in range(ROUNDS)
            for side in (0, 1)
        ]

    for ladder in (MERGE, SPACE):
        family(ladder, *cards(ladder))
    barrier = forks().Barrier(2)
    order = house.settings.model_dump(mode="json", exclude_unset=True)
    sides = [forks().Process(target=work, args=(order, side, barrier)) for side in (0, 1)]
    for each in sides:
        each.start()
    for each in sides:
        each.join(timeout=600)
    assert [each.exitcode for each in sides] == [0, 0]
    sent = Counter(line["account_id"].rpartition("-")[0] for line in texts(house))
    assert sent == dict.fromkeys([f"{ladder}-{n}" for ladder in (MERGE, SPACE) for n in range(ROUNDS)], 1)
    with house.ledger.read() as session:
        done = session.exec(select(models.Step.account_id).where(models.Step.status == StepStatus.DONE)).all()
    told = Counter(account.rpartition("-")[0].rpartition("-")[0] for account in done)
    assert told == {MERGE: 2 * ROUNDS, SPACE: ROUNDS}
