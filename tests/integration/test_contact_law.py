"""Contact law in the life of an account: notices, counters, consent, required words, explanations, evidence."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from sqlmodel import col, select

import models
from arrears.clock import VirtualClock
from arrears.engine.contact.facts import ContactChannel
from arrears.engine.contact.replies import Wish
from arrears.engine.vocabulary import ChannelName, Disposition, StepStatus
from arrears.operations import consent as consents
from arrears.operations import steer
from arrears.operations.brakes import Budget
from arrears.operations.calls import record_call
from arrears.operations.evidence import write_evidence
from arrears.operations.explain import NothingToExplain, explain
from arrears.operations.hold import HoldRefused, hold, release, would_have_stopped
from arrears.operations.moves import Intended, next_move
from arrears.operations.perform import carry_out
from arrears.operations.replies import Received, receive_text
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services, ledger_clock, open_services
from arrears.operations.show import show
from arrears.rendering.errors import TemplateError
from arrears.settings import ROOT, Settings
from tests.conftest import START
from tests.integration.stories import at, last, open_tasks, steps, take_in, until

Enrol = Callable[..., Services]

AT_HOME = {
    "US": {"city": "Austin", "region": "TX", "postal_code": "78701", "country": "US", "phone": "+15125550100"},
    "NYC": {"city": "New York", "region": "NY", "postal_code": "10001", "country": "US", "phone": "+12125550101"},
    "GB": {"city": "London", "region": "", "postal_code": "W1A 1AA", "country": "GB", "phone": "+442079460018"},
}
CURRENCY = {"GB": "GBP"}


@pytest.fixture
def enrol(services: Services, tmp_path: Path) -> Enrol:
    """Takes accounts in, each given by where it lives and what is special about it; due on 2026-08-01."""

    def take(*accounts: tuple[str, dict[str, str]], ladder: str = "card-standard") -> Services:
        rows = [_row(f"A-{n}", where, other) for n, (where, other) in enumerate(accounts, start=1)]
        path = tmp_path / "portfolio.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        settings = services.settings.model_copy(update={"ladder": ladder})
        take_in(replace(services, settings=settings), path)
        return services

    return take


def _row(account_id: str, where: str, other: dict[str, str]) -> dict[str, str]:
    return {
        "account_id": account_id,
        "name": "Ann Example",
        "street": "1 Main Street",
        "due_date": "2026-08-01",
        "amount_due": "120.00",
        "balance": "1200.50",
        "currency": CURRENCY.get(where, "USD"),
        "email": "",
        "holder_id": "",
        "sms_consent_on": "",
        **AT_HOME[where],
        **other,
    }


def made(services: Services, account_id: str = "A-1") -> dict[str, datetime]:
    """When each rung was last made."""
    done = [step for step in show(services, account_id)["steps"] if step["status"] == "done"]
    return {step["rung"]: datetime.fromisoformat(step["at"]) for step in done}


def texts(services: Services) -> list[str]:
    folder = services.settings.outbox / "sms"
    return [json.loads(line)["body"] for path in sorted(folder.glob("*.jsonl")) for line in path.open()]


def received(services: Services, text: str, *, ago: timedelta = timedelta(0)) -> Received:
    now = services.at(ledger_clock(services))
    return receive_text(now, "A-1", text, number="+15125550100", at=now.clock.now() - ago, who="test")


# Notices between stages ---------------------------------------------------------------------------------------


def test_a_british_account_gets_every_notice_the_law_wants_before_the_stage_that_needs_it(enrol: Enrol) -> None:
    services = enrol(("GB", {}))
    until(services, 121)
    steer.approve(services, "A-1", "legal-1", by="A. Solicitor", at=at(services))
    until(services, 170)
    when = made(services)
    assert when["arrears-notice"] < when["agency-1"]
    assert when["default-notice"] < when["letter-of-claim"]
    assert when["legal-1"].date() - when["default-notice"].date() > timedelta(days=14 + 2)
    assert when["legal-1"].date() - when["letter-of-claim"].date() > timedelta(days=30)
    notice = last(services, "default-notice")
    pdf = next((services.settings.outbox / "letters").rglob(f"{notice['reference']}.pdf"))
    page = " ".join(PdfReader(pdf).pages[0].extract_text().split())
    assert "section 87(1) of the Consumer Credit Act 1974" in page
    with services.ledger.read() as session:
        step = session.exec(select(models.Step).where(models.Step.rung == "default-notice")).one()
        by = datetime.fromisoformat(step.payload["context"]["respond_by"])
    assert f"{by.day} {by:%B %Y}" in page
    assert by.date() - when["default-notice"].date() >= timedelta(days=14 + 2)


def test_a_notice_on_record_takes_the_place_of_the_rung(enrol: Enrol) -> None:
    services = enrol(("GB", {}))
    until(services, 20)
    given = at(services)
    letter = ContactChannel.LETTER
    for notice in ("default_notice", "letter_of_claim"):
        consents.record_contact(services, "A-1", letter, inbound=False, at=given, notice=notice, who="test")
    until(services, 121)
    assert {"default-notice", "letter-of-claim"}.isdisjoint(made(services))
    assert "arrears-notice" in made(services)
    steer.approve(services, "A-1", "legal-1", by="A. Solicitor", at=at(services))
    until(services, 123)
    assert "legal-1" in made(services)


def test_an_american_with_an_email_address_is_told_five_weeks_before_placement_and_others_are_not(enrol: Enrol) -> None:
    services = enrol(("US", {"email": "ann@example.com"}), ("US", {}))
    until(services, 95)
    when = made(services)
    assert when["agency-1"].date() - when["transfer-notice"].date() > timedelta(days=35)
    assert when["agency-1"].date() == (START + timedelta(days=90)).date()
    assert "transfer-notice" not in made(services, "A-2")
    assert "agency-1" in made(services, "A-2")


# Counters ------------------------------------------------------------------------------------------------------


def test_new_york_city_counts_the_bank_as_a_collector_once_it_has_threatened_suit(enrol: Enrol) -> None:
    services = enrol(("NYC", {}))
    until(services, 89)
    threat = made(services)["letter-2"]
    with services.ledger.read() as session:
        rows = session.exec(select(models.Step).where(models.Step.status == "done").order_by(col(models.Step.at)))
        reaching = [step.at for step in rows if ChannelName(step.channel).reaches_the_holder and step.at]
    after = [moment for moment in reaching if moment > threat]
    assert after
    for moment in after:
        assert sum(moment - timedelta(days=7) < other <= moment for other in reaching) <= 2


def test_two_cards_of_one_person_share_the_counter_that_law_keeps_for_a_person(enrol: Enrol) -> None:
    one = {"holder_id": "H-1"}
    alone = "card-standard@1"  # on which every card goes its own way
    services = enrol(("US", one), ("US", one), ("US", one), ("US", one), ("US", {"holder_id": "H-2"}), ladder=alone)
    until(services, 1.2)
    done = [account for account in ("A-1", "A-2", "A-3", "A-4") if "sms-1" in made(services, account)]
    assert len(done) == 3, "three texts a week to one person is the house's cap"
    assert "sms-1" in made(services, "A-5")
    waiting = next(account for account in ("A-1", "A-2", "A-3", "A-4") if account not in done)
    said = explain(services, waiting, rung="sms-1")
    assert said["steps"][0]["verdict"] == "defer"
    assert [rule["id"] for rule in said["steps"][0]["rules"]] == ["US-FP-FC-POLICY"]
    assert said["steps"][0]["in_words"].startswith("sms-1, attempt 1 waits until 2026-08-09")


# What the holder wants -----------------------------------------------------------------------------------------


def test_stop_is_honoured_at_once_confirmed_once_and_undone_by_start(enrol: Enrol) -> None:
    services = enrol(("US", {}))
    until(services, 2)
    assert texts(services)[0].endswith("Reply STOP to opt out")
    said = received(services, "please quit texting me")
    assert (said.meaning.wish, said.closed) == (Wish.STOP, (ContactChannel.SMS,))
    assert said.answered
    assert f"no more texts from us. Ref {said.answered}" in texts(services)[-1]
    again = received(services, "STOP")
    assert (again.closed, again.answered) == ((), "")
    until(services, 16)
    assert len(texts(services)) == 2
    assert last(services, "sms-2")["status"] == "skipped"
    assert "HOUSE-HOLD-CHANNEL_OPTOUT" in last(services, "sms-2")["rules"]
    back = received(services, "start")
    assert back.opened == (ContactChannel.SMS,)
    assert show(services, "A-1")["holds"] == []
    assert "again" in texts(services)[-1]


def test_an_answer_comes_within_five_minutes_or_not_at_all(enrol: Enrol) -> None:
    services = enrol(("US", {}))
    until(services, 2)
    said = received(services, "STOP", ago=timedelta(minutes=5, seconds=1))
    assert (said.closed, said.answered) == ((ContactChannel.SMS,), "")
    assert len(texts(services)) == 1


def test_a_reply_for_a_person_is_kept_and_changes_nothing(enrol: Enrol) -> None:
    services = enrol(("US", {}))
    until(services, 2)
    said = received(services, "pay 50 friday")
    assert (said.meaning.wish, said.closed, said.answered) == (Wish.PROMISE, (), "")
    with services.ledger.read() as session:
        assert [row.note for row in session.exec(select(models.Contact))] == ["pay 50 friday"]
        events = session.exec(select(models.Event).where(models.Event.what == "reply: promise")).all()
    assert len(events) == 1
    assert [(item.account_id, item.reason) for item in waiting_for_people(services)] == [("A-1", "promise")]
    assert "friday" not in json.dumps([event.data for event in events])


def test_yes_means_nothing_while_texts_are_welcome(enrol: Enrol) -> None:
    services = enrol(("US", {}))
    until(services, 2)
    said = received(services, "Yes")
    assert (said.opened, said.answered) == ((), "")


def test_consent_taken_back_between_intent_and_effect_stops_the_text(enrol: Enrol) -> None:
    services = enrol(("US", {}))
    clock = services.clock
    assert isinstance(clock, VirtualClock)
    clock.moment = START + timedelta(days=1, hours=5)
    move = next_move(services, "A-1", who="test", budget=Budget())
    assert isinstance(move, Intended)
    said_at = START + timedelta(days=1)
    closed = consents.revoke(services, "A-1", [ContactChannel.SMS], at=said_at, how="by telephone", who="test").closed
    assert closed == (ContactChannel.SMS,)
    assert carry_out(services, move.intent, move.channel, who="test") is StepStatus.PLANNED
    until(services, 2)
    assert steps(services) == [("sms-1", "skipped")]
    assert not (services.settings.outbox / "sms").exists()


def test_consent_can_be_recorded_taken_back_and_given_again(enrol: Enrol) -> None:
    services = enrol(("US", {"sms_consent_on": "2026-01-05"}))
    sms, now = ContactChannel.SMS, at(services)
    assert consents.revoke(services, "A-1", [sms], at=now, how="in a letter", who="test").closed == (sms,)
    assert consents.revoke(services, "A-1", [sms], at=now, how="in a letter", who="test").new is False
    assert [hold["channel"] for hold in show(services, "A-1")["holds"]] == ["sms"]
    assert consents.give_consent(services, "A-1", sms, at=now, evidence="branch form 7", who="test")
    assert not consents.give_consent(services, "A-1", sms, at=now, evidence="branch form 7", who="test")
    assert show(services, "A-1")["holds"] == []
    with services.ledger.read() as session:
        rows = session.exec(select(models.Consent).order_by(col(models.Consent.id))).all()
    assert [(row.evidence, row.withdrawn_how) for row in rows] == [
        ("the lender's portfolio file", "in a letter"),
        ("branch form 7", ""),
    ]


def test_stop_is_the_persons_word_for_all_their_accounts_and_the_numbers_for_everybodys(enrol: Enrol) -> None:
    mine, theirs = {"holder_id": "H-1"}, {"phone": "+15125550177"}
    services = enrol(("US", mine), ("US", {**mine, **theirs}), ("US", {}), ("US", theirs))
    until(services, 2)
    assert received(services, "STOP").closed == (ContactChannel.SMS,)
    until(services, 16)
    skipped = {account for account in ("A-1", "A-2", "A-3", "A-4") if "sms-2" not in made(services, account)}
    assert skipped == {"A-1", "A-2", "A-3"}, "the person's other card, and whoever else has that number"
    said = explain(services, "A-2", rung="sms-2")["steps"][0]
    assert "HOUSE-HOLD-CHANNEL_OPTOUT" in [rule["id"] for rule in said["rules"]]
    assert [hold["set_for"] for hold in show(services, "A-2")["holds"]] == ["A-1"]
    now = services.at(ledger_clock(services))
    back = receive_text(now, "A-2", "START", number="+15125550177", at=now.clock.now(), who="test")
    assert back.opened == (ContactChannel.SMS,)
    assert [show(services, account)["holds"] for account in ("A-1", "A-2", "A-3")] == [[], [], []]


def test_stop_takes_back_the_consents_of_every_account(enrol: Enrol) -> None:
    services = enrol(*2 * [("US", {"holder_id": "H-1", "sms_consent_on": "2026-01-05"})])
    received(services, "STOP")
    with services.ledger.read() as session:
        assert all(consent.withdrawn_at for consent in session.exec(select(models.Consent)))


def test_a_death_holds_every_account_of_the_person_until_it_is_taken_back(enrol: Enrol) -> None:
    services = enrol(*2 * [("US", {"holder_id": "H-1"})], ("US", {"phone": "+15125550177"}))
    until(services, 2)
    hold(services, "A-1", "DECEASED", at=at(services), until=None, channel=None, who="test")
    assert [show(services, account)["status"] for account in ("A-1", "A-2", "A-3")] == ["held", "held", "delinquent"]
    until(services, 6)
    assert set(made(services, "A-2")) == {"sms-1"}
    with pytest.raises(HoldRefused, match="was set for account A-1; release it there"):
        release(services, "A-2", "DECEASED", at=at(services), who="test")
    release(services, "A-1", "DECEASED", at=at(services), who="test")
    until(services, 10)
    assert set(made(services, "A-2")) == {"sms-1", "sms-2"}


def test_a_dispute_holds_the_debt_it_is_about(enrol: Enrol) -> None:
    services = enrol(*2 * [("US", {"holder_id": "H-1"})])
    hold(services, "A-1", "DISPUTE_OPEN", at=at(services), until=None, channel=None, who="test")
    until(services, 2)
    assert [show(services, account)["status"] for account in ("A-1", "A-2")] == ["held", "delinquent"]
    assert (set(made(services, "A-1")), set(made(services, "A-2"))) == (set(), {"sms-1"})


def test_a_hold_that_comes_between_intent_and_effect_on_another_account_stops_the_text(enrol: Enrol) -> None:
    services = enrol(*2 * [("US", {"holder_id": "H-1"})])
    clock = services.clock
    assert isinstance(clock, VirtualClock)
    clock.moment = START + timedelta(days=1, hours=5)
    move = next_move(services, "A-2", who="test", budget=Budget())
    assert isinstance(move, Intended)
    hold(services, "A-1", "BANKRUPTCY_STAY", at=START + timedelta(days=1), until=None, channel=None, who="test")
    assert carry_out(services, move.intent, move.channel, who="test") is StepStatus.PLANNED
    assert not (services.settings.outbox / "sms").exists()


def test_a_hold_takes_the_call_out_of_the_queue_and_the_attempt_off_the_count(enrol: Enrol) -> None:
    services = enrol(*2 * [("US", {"holder_id": "H-1"})])
    until(services, 31)
    queued = [task.account_id for task in open_tasks(services)]
    assert queued
    hold(services, "A-1", "DECEASED", at=at(services), until=None, channel=None, who="test")
    assert open_tasks(services) == []
    for account in queued:
        step = next(step for step in show(services, account)["steps"] if step["rung"] == "call-1")
        assert (step["status"], step["reason"]) == ("skipped", "withdrawn before anybody called: DECEASED")
        assert "HOUSE-HOLD-DECEASED" in step["rules"]
    # Whoever was speaking when the hold came can still say what was said.
    record_call(services, queued[0], Disposition.REFUSAL, by="C. Ollector", at=at(services))
    step = next(step for step in show(services, queued[0])["steps"] if step["rung"] == "call-1")
    assert (step["status"], step["disposition"]) == ("done", "refusal")


def test_an_opt_out_from_texts_leaves_the_calls_in_the_queue(enrol: Enrol) -> None:
    services = enrol(("US", {}))
    until(services, 31)
    received(services, "STOP")
    assert len(open_tasks(services)) == 1
    consents.revoke(services, "A-1", [ContactChannel.CALL], at=at(services), how="by telephone", who="test")
    assert open_tasks(services) == []


def test_a_hold_known_late_is_set_as_of_when_it_began_and_says_what_it_would_have_stopped(enrol: Enrol) -> None:
    services = enrol(*2 * [("US", {"holder_id": "H-1"})])
    until(services, 16)
    began = START + timedelta(days=4)
    hold(services, "A-1", "BANKRUPTCY_STAY", at=began, until=None, channel=None, who="test")
    late = would_have_stopped(services, "A-1", "bankruptcy-stay")
    assert late, "the texts of both accounts after the fourth day"
    assert {step.account_id for step in late} == {"A-1", "A-2"}
    assert all(step.at is not None and step.at >= began for step in late)
    assert {step.rung for step in late}.isdisjoint({"sms-1"})
    with services.ledger.read() as session:
        [event] = session.exec(select(models.Event).where(models.Event.what == "known late")).all()
    assert event.data["would_have_stopped"] == [step.reference for step in late]
    assert would_have_stopped(services, "A-2", "BANKRUPTCY_STAY") == []


def test_placement_goes_on_when_breathing_space_has_run_out(enrol: Enrol) -> None:
    services = enrol(("GB", {}))
    hold(services, "A-1", "BREATHING_SPACE", at=at(services), until=None, channel=None, who="test")
    until(services, 59)
    assert (show(services, "A-1")["status"], made(services)) == ("held", {})
    until(services, 200)
    assert show(services, "A-1")["holds"] == []
    assert "agency-1" in made(services)


# Explanations and evidence -------------------------------------------------------------------------------------


def test_a_contact_explains_itself_with_citations_and_the_facts_it_saw(enrol: Enrol) -> None:
    services = enrol(("US", {}))
    until(services, 6)
    said = explain(services, "A-1", rung="sms-2")["steps"][0]
    assert said["in_words"].startswith("sms-2, attempt 1 was made on 2026-08-06 10:00:00 America/Chicago")
    assert (said["verdict"], said["rulebook_is_todays"]) == ("allow", True)
    assert said["facts"]["jurisdictions"] == ["US", "US-TX"]
    assert [past["channel"] for past in said["facts"]["history"]] == ["sms"]
    assert said["cautions"] == ["US-TX: no rules of its own are known; its country's were applied"]
    window = next(rule for rule in said["rules"] if rule["id"] == "US-FP-QH-POLICY")
    assert window["strength"] == "the lender's own policy"
    assert "from 08:00 to 21:00 local time" in window["says"]


def test_an_instant_can_be_asked_about(enrol: Enrol) -> None:
    services = enrol(("US", {}))
    night = datetime.fromisoformat("2026-08-03T07:00:00Z")
    said = explain(services, "A-1", rung="sms-1", at=night)["if_proposed"]
    assert said["verdict"] == "defer"
    assert said["until_local"] == "2026-08-03 09:00:00 America/Chicago", "El Paso opens an hour later"
    assert {rule["id"] for rule in said["rules"]} == {"US-FP-QH-POLICY", "HOUSE-QH"}
    with pytest.raises(NothingToExplain, match="no rung 'sms-9'; it has sms-1"):
        explain(services, "A-1", rung="sms-9")


def test_the_evidence_holds_everything_as_it_was_sent_and_is_the_same_every_time(enrol: Enrol, tmp_path: Path) -> None:
    services = enrol(("US", {"sms_consent_on": "2026-01-05"}))
    until(services, 50)
    first, second = tmp_path / "first.zip", tmp_path / "deep" / "second.zip"
    index = write_evidence(services, "A-1", first)
    write_evidence(services, "A-1", second)
    assert first.read_bytes() == second.read_bytes()
    assert index["missing"] == []
    with zipfile.ZipFile(first) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    listed = {member["name"]: member["sha256"] for member in index["members"]}
    assert listed == {name: sha256(content).hexdigest() for name, content in files.items() if name != "index.json"}
    sent = sorted(content.decode().split("\n\n")[1].strip() for name, content in files.items() if "texts/" in name)
    assert sent == sorted(texts(services))
    letters = {content for name, content in files.items() if name.startswith("letters/")}
    assert letters == {path.read_bytes() for path in (services.settings.outbox / "letters").rglob("*.pdf")}
    verdicts = json.loads(files["verdicts.json"])
    assert all(rule["source"] for step in verdicts for rule in step["rules"])
    chronology = list(csv.DictReader(io.StringIO(files["chronology.csv"].decode())))
    assert chronology[0]["what"] == "enrolled"
    assert sum(row["what"] == "done" for row in chronology) == len(made_steps(services))
    assert b"portfolio file" in files["consents.csv"]


def made_steps(services: Services) -> list[Any]:
    return [step for step in show(services, "A-1")["steps"] if step["status"] == "done"]


def test_evidence_names_what_is_missing(enrol: Enrol, tmp_path: Path) -> None:
    services = enrol(("US", {}))
    until(services, 50)
    letter = next((services.settings.outbox / "letters").rglob("*.pdf"))
    letter.write_bytes(b"another letter")
    index = write_evidence(services, "A-1", tmp_path / "e.zip")
    assert index["missing"] == [
        f"letter-1: {letter.relative_to(services.settings.outbox)} is not the file that was sent (its digest differs)"
    ]
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        assert "Missing: letter-1" in archive.read("README.txt").decode()
        assert not any(name.startswith("letters/") for name in archive.namelist())


# Required words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en-US", "en-GB"])
def test_a_template_without_room_for_required_words_is_refused_and_named(
    settings: Settings, tmp_path: Path, locale: str
) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(ROOT / "templates", templates)
    text = templates / "sms" / locale / "reminder-2.txt.j2"
    text.write_text("{{ creditor }}: {{ amount_due|money }}, please pay. Ref {{ reference }}.\n")
    with pytest.raises(TemplateError) as refused:
        open_services(replace_settings(settings, templates=templates))
    told = str(refused.value)
    assert told.startswith(f"templates/sms/{locale}/reminder-2.txt.j2: lacks the required words opt_out")
    assert "HOUSE-DISC-OPTOUT" in told


def test_words_that_no_file_holds_are_refused(settings: Settings, tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(ROOT / "templates", templates)
    (templates / "words" / "en-US" / "mini_miranda.txt.j2").unlink()
    with pytest.raises(TemplateError, match="US-REGF-DISC-INITIAL: templates/words: no template 'mini_miranda'"):
        open_services(replace_settings(settings, templates=templates))


def replace_settings(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update=changes)
