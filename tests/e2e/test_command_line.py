"""`arrears`, run as a user runs it: what it prints, how it exits, and what it never tells."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from arrears.settings import ROOT
from tests.conftest import HEADER, a_row
from tests.support.partner_files import a_fact, a_file, a_manifest
from tests.support.warm import Ran, Warm

pytestmark = pytest.mark.xdist_group("commands")

NAME, PHONE, STREET = "Ann Example", "15185550101", "1 Main Street"
PERSONAL = (NAME, PHONE, STREET, "1200.50", "120050", "120.00")


@dataclass
class Desk:
    """A folder of a user's own, and `arrears` in it."""

    folder: Path
    commands: Warm
    env: dict[str, str] = field(default_factory=dict[str, str])

    def environment(self) -> dict[str, str]:
        """The test's own, with nothing in it that `arrears` reads."""
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("ARREARS_", "TWILIO_", "COLUMNS"))}
        return ours | self.env

    def run(self, *words: str | Path, **env: str) -> Ran:
        ran = self.commands.run(["arrears", *map(str, words)], self.folder, self.environment() | env)
        assert "Traceback" not in ran.out + ran.err
        return ran

    def done(self, *words: str | Path, **env: str) -> Ran:
        """Run what succeeds, with nothing to say about it on stderr."""
        ran = self.run(*words, **env)
        assert (ran.code, ran.err) == (0, ""), ran
        return ran

    def refused(self, *words: str | Path, **env: str) -> str:
        """Run what is refused: exit 1, nothing on stdout, one line on stderr, which is returned."""
        ran = self.run(*words, **env)
        assert (ran.code, ran.out) == (1, ""), ran
        assert ran.err.startswith("arrears: ")
        assert ran.err.count("\n") == 1
        assert "internal error" not in ran.err
        return ran.err.strip()

    def write(self, *rows: str, name: str = "portfolio.csv") -> Path:
        path = self.folder / name
        path.write_text(HEADER + "".join(rows), encoding="utf-8")
        return path

    def show(self, account: str = "A-1") -> Any:
        return self.done("show", account, "--json").json


@pytest.fixture
def desk(tmp_path: Path, commands: Warm) -> Desk:
    return Desk(tmp_path, commands)


@pytest.fixture(scope="module")
def taken_in(tmp_path_factory: pytest.TempPathFactory, commands: Warm) -> Path:
    """A desk's folder after an enrolment."""
    desk = Desk(tmp_path_factory.mktemp("taken-in"), commands)
    desk.done("enroll", desk.write(a_row()), "--at", "2026-08-01T12:00:00Z")
    return desk.folder


@pytest.fixture
def enrolled(desk: Desk, taken_in: Path) -> Desk:
    """One New Yorker, due on 2026-08-01, taken in on that day."""
    shutil.copytree(taken_in, desk.folder, dirs_exist_ok=True)
    return desk


def texts(desk: Desk) -> list[dict[str, str]]:
    """Every text in the outbox."""
    files = (desk.folder / "outbox" / "sms").iterdir()
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


# A portfolio, from first text to court ----------------------------------------------------------------------


def test_an_account_goes_all_the_way_by_hand(enrolled: Desk) -> None:
    desk = enrolled
    first = desk.show()
    assert {"account_id", "status", "stage", "days_past_due", "balance", "holds", "steps", "next"} <= set(first)
    assert (first["account_id"], first["status"], first["stage"], first["steps"]) == ("A-1", "current", "none", [])
    assert first["balance"] == {"amount": "1200.50", "currency": "USD"}
    assert first["next"] == {"rung": "sms-1", "at": "2026-08-02T14:00:00Z", "reason": "until sms-1"}

    advanced = desk.done("advance", "--until", "2026-09-01", "--json").json
    assert advanced["by_channel"] == {"sms": 3, "call": 1}
    assert advanced["as_of"] == "2026-09-01T00:00:00Z"
    [text, *_] = desk.show()["steps"]
    keys = {"rung", "stage", "channel", "status", "due_at", "at", "attempt", "reference", "rules"}
    assert keys <= set(text)
    assert {key: text[key] for key in keys - {"reference", "rules"}} == {
        "rung": "sms-1",
        "stage": "sms",
        "channel": "sms",
        "status": "done",
        "due_at": "2026-08-02T14:00:00Z",
        "at": "2026-08-02T14:00:00Z",
        "attempt": 1,
    }
    assert sorted(line["reference"] for line in texts(desk)) == sorted(
        step["reference"] for step in desk.show()["steps"] if step["channel"] == "sms"
    )

    [task] = desk.done("calls", "list", "--json").json
    assert (task["account_id"], task["number"]) == ("A-1", f"+{PHONE}")
    assert desk.done("calls", "outcome", "A-1", "no_answer", "--by", "C. Ollector").out == "A-1: no_answer\n"
    assert "no open call task" in desk.refused("calls", "outcome", "A-1", "no_answer", "--by", "C. Ollector")

    desk.done("advance", "--until", "2026-12-01")
    assert desk.show()["next"]["reason"] == "legal-1 waits for a person's approval"
    approved = desk.done("approve", "A-1", "legal-1", "--by", "A. Counsel").out
    assert approved.startswith("A-1: legal-1 approved by A. Counsel\n")
    assert "answers for: Is the chain of title complete? (US-GATE-LEGAL)" in approved
    assert "was approved before" in desk.done("approve", "A-1", "legal-1", "--by", "A. Counsel").out
    desk.done("advance", "--until", "2026-12-02")
    last = desk.show()
    assert (last["status"], last["stage"], last["next"]) == ("closed", "legal", None)

    status = desk.done("status", "--json").json
    assert status["by_status"] == {"current": 0, "delinquent": 0, "held": 0, "halted": 0, "closed": 1}
    assert status["by_stage"] == {"none": 0, "sms": 0, "call": 0, "letter": 0, "agency": 0, "legal": 1}
    assert status["as_of"] == "2026-12-02T00:00:00Z"
    suffixes = {path.suffix for path in (desk.folder / "outbox").rglob("*") if path.is_file()}
    assert {".jsonl", ".pdf", ".csv", ".zip"} <= suffixes

    with sqlite3.connect(desk.folder / "arrears.db") as ledger:
        events = str(ledger.execute("SELECT who, what, why, data FROM events").fetchall())
    ledger.close()
    assert "approved" in events
    for secret in PERSONAL:
        assert secret not in events


def test_enrolment_is_told_in_numbers_lines_and_reasons(desk: Desk) -> None:
    file = desk.write(a_row("A-1"), a_row("A-2", due_date="31/11/2026"), a_row("A-3", phone="+1212", currency="USX"))
    first = desk.run("enroll", file, "--at", "2026-08-01", "--json")
    assert first.code == 0
    assert first.json == {
        "portfolio": "portfolio",
        "rows": 3,
        "enrolled": 1,
        "already": 0,
        "renewed": 0,
        "moved": 0,
        "rejected": first.json["rejected"],
        "rejected_file": str(file) + ".rejected.csv",
        "due_at_once": {},
        "timelines_started": 0,
        "dry_run": False,
    }
    assert [(row["line"], row["account_id"]) for row in first.json["rejected"]] == [(3, "A-2"), (4, "A-3")]
    again = desk.run("enroll", file)
    assert again.out == "3 rows: 0 enrolled, 1 known already, 2 refused\n"
    assert "portfolio.csv:3: due_date '31/11/2026' is no date; expected YYYY-MM-DD\n" in again.err
    for secret in PERSONAL:
        assert secret not in first.out + again.out + again.err
    assert desk.run("status", "--json").json["by_status"]["current"] == 1


def test_rehearsals_count_by_channel_and_leave_everything_as_it_was(enrolled: Desk) -> None:
    before = enrolled.done("show", "A-1", "--json").out
    rehearsed = enrolled.done("advance", "--until", "2026-09-01", "--dry-run", "--json").json
    assert rehearsed == {"dry_run": True, "by_channel": {"sms": 3, "call": 1}}
    assert enrolled.done("sweep", "--dry-run").out.startswith("dry run: ")
    assert enrolled.done("enroll", enrolled.write(a_row("A-7")), "--dry-run").out.startswith(
        "1 rows: 1 would be enrolled"
    )
    assert "not in the ledger" in enrolled.refused("show", "A-7")
    assert enrolled.done("show", "A-1", "--json").out == before
    assert not (enrolled.folder / "outbox").exists()


def test_a_sweep_says_that_it_was_about_as_many_as_it_may_be(desk: Desk) -> None:
    rows = [a_row(f"A-{number}", phone=f"+1518555010{number}") for number in range(1, 4)]
    desk.done("enroll", desk.write(*rows), "--at", "2026-08-01T12:00:00Z")
    first = desk.run("sweep", "--limit", "2")
    assert (first.code, first.err.count("\n")) == (0, 1)
    assert first.err.startswith("more than these 2 accounts may be due")
    assert desk.done("sweep", "--limit", "2").err == ""


def test_money_closes_a_case_once_per_reference(enrolled: Desk) -> None:
    assert enrolled.done("pay", "A-1", "20.00", "--reference", "[/P] :x: 1").out == "A-1: payment [/P] :x: 1 posted\n"
    assert "was posted before" in enrolled.done("pay", "A-1", "20.00", "--reference", "[/P] :x: 1").out
    assert "already used" in enrolled.refused("pay", "A-1", "30.00", "--reference", "[/P] :x: 1")
    assert "is no amount; expected" in enrolled.refused("pay", "A-1", "10,50", "--reference", "P-2")
    assert "above zero" in enrolled.refused("pay", "A-1", "0", "--reference", "P-2")
    assert enrolled.show()["balance"]["amount"] == "1180.50"
    paid = enrolled.done("pay", "A-1", "1180.50", "--reference", "P-2", "--at", "2026-08-03")
    assert paid.out == "A-1: payment P-2 posted; case closed\n"
    assert (enrolled.show()["status"], enrolled.show()["next"]) == ("closed", None)


def test_money_and_agreements_through_their_commands(enrolled: Desk) -> None:
    desk = enrolled
    desk.done("charge", "A-1", "fee", "15.00", "--reference", "F-1")
    desk.done("adjust", "A-1", "--by", "-5.00", "--reference", "C-1")
    assert desk.show()["amount_due"]["amount"] == "130.00"
    assert desk.done("pay", "A-1", "120.00", "--reference", "P-1").out == "A-1: payment P-1 posted\n"
    said = desk.done("reverse", "A-1", "P-1", "--amount", "20.00", "--reference", "R-1").out
    assert said == "A-1: reversal R-1 posted\n"
    said = desk.done("promise", "A-1", "20.00", "--on", "2026-08-10", "--reference", "PR-1").out
    assert said == "A-1: promise PR-1 for 2026-08-10 recorded\n"
    assert desk.show()["status"] == "held"
    assert "promise PR-1 for 2026-08-10: open, 0.00 of 20.00 paid" in desk.done("show", "A-1").out
    assert desk.done("withdraw", "A-1", "PR-1").out == "A-1: arrangement PR-1 ended\n"
    desk.done("plan", "A-1", "2026-08-10=10.00", "2026-09-10=10.00", "--reference", "PL-1")
    desk.done("pay", "A-1", "20.00", "--reference", "P-2")
    assert "only fees and interest are left" in desk.done("review").out
    assert desk.done("leftover", "A-1", "--waive").out == "A-1: charges left over waived; case closed\n"
    assert desk.show()["outcome"] == "cured"
    assert "no charges left over" in desk.refused("leftover", "A-1", "--waive")
    assert "is closed: cured" in desk.refused("promise", "A-1", "20.00", "--on", "2026-08-10", "--reference", "PR-2")
    assert "must be above zero" in desk.refused("charge", "A-1", "fee", "0.00", "--reference", "F-2")
    assert "already used for another payment" in desk.refused("pay", "A-1", "9.00", "--reference", "P-1")


def test_a_hold_is_seen_at_once_and_released(enrolled: Desk) -> None:
    assert enrolled.done("hold", "A-1", "dispute-open", "--until", "2026-08-20").out == "A-1: held: DISPUTE-OPEN\n"
    shown = enrolled.show()
    assert shown["status"] == "held"
    assert [(hold["kind"], hold["until"]) for hold in shown["holds"]] == [("DISPUTE_OPEN", "2026-08-20T00:00:00Z")]
    assert "expected one of" in enrolled.refused("hold", "A-1", "DISPUTED")
    assert enrolled.done("release", "A-1", "DISPUTE_OPEN").out == "A-1: released 1 × DISPUTE_OPEN\n"
    assert "in force: none" in enrolled.refused("release", "A-1", "DISPUTE_OPEN")


# One good order for each outside fact, and a bad one: what it says, or (wrong usage) None.
FACTS: list[tuple[tuple[str, ...], tuple[str, ...], str | None]] = [
    (("reply", "pay 50 friday"), ("reply", "STOP", "--at", "soon"), None),
    (
        ("calls", "outcome", "callback_requested", "--by", "C. Ollector", "--call-back-at", "2026-09-03T18:00:00Z"),
        ("calls", "outcome", "no_answer", "--by", "C. Ollector"),
        "has no open call task",
    ),
    (
        ("number", "+12025550143", "--good", "--why", "skip trace", "--reference", "N-1"),
        ("number", "555", "--bad", "--why", "x", "--reference", "N-2"),
        None,
    ),
    (("contact", "call", "--inbound", "--outcome", "conversation"), ("contact", "pigeon"), "'pigeon' is not known"),
    (
        ("promise", "20.00", "--on", "2026-09-10", "--reference", "PR-1"),
        ("promise", "20.00", "--on", "2026-08-10", "--reference", "PR-2"),
        "which is past",
    ),
    (("withdraw", "PR-1"), ("withdraw", "PR-9"), "is not known"),
    (
        ("plan", "2026-09-10=20.00", "2026-10-10=30.00", "--reference", "PL-1"),
        ("plan", "2026-10-10=20.00", "2026-09-10=30.00", "--reference", "PL-2"),
        "must come one after another",
    ),
    (("consent", "sms", "--evidence", "form 7"), ("consent", "fax", "--evidence", "form 7"), "'fax' is not known"),
    (("revoke", "sms", "--how", "by letter"), ("revoke", "fax", "--how", "by letter"), "'fax' is not known"),
    (("hold", "DISPUTE_OPEN"), ("hold", "BAD_HAIR_DAY"), "'BAD_HAIR_DAY' is not known"),
    (("release", "DISPUTE_OPEN"), ("release", "DECEASED"), "has no hold DECEASED"),
    (
        ("charge", "fee", "15.00", "--reference", "F-1"),
        ("charge", "fee", "1.234", "--reference", "F-2"),
        "more than the 2 decimals",
    ),
    (("adjust", "--by", "-5.00", "--reference", "C-1"), ("adjust", "--by", "0", "--reference", "C-2"), "not be zero"),
    (("pay", "20.00", "--reference", "P-1"), ("pay", "ten", "--reference", "P-2"), "is no amount"),
    (
        ("reverse", "P-1", "--amount", "5.00", "--reference", "R-1"),
        ("reverse", "P-1", "--amount", "-5.00", "--reference", "R-2"),
        "above zero",
    ),
]


def test_every_outside_fact_by_hand_and_a_bad_one_of_each(enrolled: Desk) -> None:
    enrolled.done("advance", "--until", "2026-09-02")

    def at_account(words: tuple[str, ...]) -> list[str]:
        place = 2 if words[0] == "calls" else 1
        return [*words[:place], "A-1", *words[place:]]

    def events() -> int:
        with closing(sqlite3.connect(enrolled.folder / "arrears.db")) as ledger:
            return ledger.execute("SELECT count(*) FROM events").fetchone()[0]

    for good, bad, told in FACTS:
        before = events()
        enrolled.done(*at_account(good))
        assert events() > before, good
        before = events()
        if told is None:
            assert enrolled.run(*at_account(bad)).code == 2, bad
        else:
            assert told in enrolled.refused(*at_account(bad)), bad
        assert events() == before, bad
    assert enrolled.show()["balance"]["amount"] == "1195.50"
    assert enrolled.done("replay", "--json").json == {"accounts": 1, "changed": []}
    waiting = enrolled.done("review", "--json").json
    assert [item["reason"] for item in waiting] == ["promise", "dispute"]
    assert enrolled.done("attend", "1", "--by", "C. Ollector", "--answer", "agreed").out == "A-1: promise seen to\n"
    assert "no work item 99" in enrolled.refused("attend", "99", "--by", "C. Ollector", "--answer", "-")


def test_a_partners_file_that_is_wrong_the_corrected_one_and_the_same_again(enrolled: Desk) -> None:
    policies = enrolled.folder / "policies"
    shutil.copytree(ROOT / "policies", policies)
    inbox = enrolled.folder / "from-northside"
    inbox.mkdir()
    terms = f'hand_off: {{from: "{inbox.as_uri()}"}}\ncommission: {{flat: 25}}\n'
    (policies / "partners" / "northside.yaml").write_text(f"partner: northside\nkind: agency\n{terms}")
    desk = dataclasses.replace(enrolled, env={"ARREARS_POLICIES": str(policies)})
    desk.done("advance", "--until", "2026-11-01")
    [placed] = desk.done("agency", "list", "--json").json

    def fact(amount: str, commission: str) -> dict[str, str]:
        money = {"amount": amount, "commission": commission, "currency": "USD"}
        return a_fact("payment", placed["placement"], "R-1", at="2026-10-31T09:00:00Z", **money)

    file = desk.folder / "october.csv"
    file.write_bytes(a_file(fact("50.00", "15.00"), number="17"))
    take = ("agency", "take", file, "--partner", "northside")
    wrong = desk.run(*take)
    assert (wrong.code, wrong.out) == (1, "october.csv: wrong, nothing of it was booked; 1 faults\n")
    assert "line 2: the commission is not what the terms say" in wrong.err
    assert "15.00" not in wrong.err + wrong.out
    [report] = desk.folder.glob("outbox/quarantine/northside/*.report.txt")
    assert "(expected 12.50; came 15.00)" in report.read_text()
    [waiting] = [item for item in desk.done("review", "--json").json if "october.csv" in item["reason"]]
    assert waiting["do"].startswith("arrears attend 1 ")
    assert desk.show()["balance"]["amount"] == "1200.50"

    file.write_bytes(a_file(fact("50.00", "12.50"), number="17"))
    assert "dry run: right, 1 facts" in desk.done(*take, "--dry-run").out
    assert desk.done(*take, "--json").json["sums"] == [{"currency": "USD", "collected": "50.00", "commission": "12.50"}]
    assert desk.done(*take).out == "october.csv: was taken before; nothing changed\n"
    assert not [item for item in desk.done("review", "--json").json if "october.csv" in item["reason"]]
    (inbox / "again.csv").write_bytes(file.read_bytes())
    (inbox / "again.csv.manifest.json").write_bytes(a_manifest(file.read_bytes(), fact("50.00", "12.50")))
    assert desk.done("agency", "pick-up").out == "again.csv: was taken before; nothing changed\n"
    assert desk.done("agency", "pick-up").out == "no files\n"
    assert sorted(path.name for path in (inbox / "done").iterdir()) == ["again.csv", "again.csv.manifest.json"]
    assert desk.show()["balance"]["amount"] == "1150.50"

    report = desk.done("agency", "liquidation", "--at", "2026-12-15T00:00:00Z")
    assert "liquidation at N days: collected before the Nth day" in report.out
    [line] = desk.done("agency", "liquidation", "--at", "2026-12-15T00:00:00Z", "--json").json["lines"]
    assert (line["placed"], line["collected"], line["net"], line["at_30"]) == ("1200.50", "50.00", "37.50", "4.2")
    assert (line["at_60"], line["vintage"]) == (None, placed["placed_at"][:7])
    desk.done("agency", "received", "northside", "37.50", "--currency", "USD", "--reference", "B-1")
    assert [owed["owed"] for owed in desk.done("agency", "statement", "--json").json] == ["0.00"]
    assert "there is northside" in desk.refused("agency", "take", file, "--partner", "nobody")
    assert "leaves no files" in desk.refused("agency", "pick-up", "--partner", "nobody")


def test_what_agencies_and_courts_tell_by_hand_and_a_bad_one_of_each(enrolled: Desk) -> None:
    enrolled.done("advance", "--until", "2026-11-01")
    [placed] = enrolled.done("agency", "list", "--json").json
    placement = placed["placement"]
    assert (placed["account_id"], placed["status"], placed["remitted"]) == ("A-1", "placed", "0.00")
    told = enrolled.done("agency", "report", placement, "acknowledged", "--reference", "AG-1").out
    assert told == f"A-1: placement {placement} acknowledged recorded\n"
    objects = ("agency", "report", placement, "objected", "--reference", "AG-2")
    assert "expected one of open_promise, recent_payment" in enrolled.refused(*objects)
    remits = ("agency", "remit", placement, "50.00", "--reference", "RM-1", "--commission")
    assert "the commission must lie between" in enrolled.refused(*remits, "60.00")
    enrolled.done(*remits, "12.50")
    assert "nothing changed" in enrolled.done(*remits, "12.50").out
    assert enrolled.show()["balance"]["amount"] == "1150.50"

    enrolled.done("approve", "A-1", "legal-1", "--by", "A. Counsel")
    enrolled.done("advance", "--until", "2026-12-10")
    shown = enrolled.show()
    assert (shown["placements"][0]["status"], shown["placements"][0]["reason"]) == ("recalled", "referred to court")
    assert "was over already" in enrolled.done("agency", "recall", placement, "--why", "sold").out
    assert "there is no placement 'X'" in enrolled.refused("agency", "recall", "X", "--why", "sold")
    referral = shown["referrals"][0]["reference"]
    filed = ("legal", "report", referral, "suit_filed", "--detail", "26-CV-1", "--reference", "C-1")
    assert enrolled.done(*filed).out.endswith("suit_filed recorded\n")
    assert "belongs to a judgment" in enrolled.refused(*filed[:-1], "C-2", "--amount", "5.00")
    assert (
        enrolled.show()["referrals"][0] | {"status": "suit_filed", "detail": "26-CV-1"}
        == enrolled.show()["referrals"][0]
    )
    [listed] = enrolled.done("legal", "list", "--json").json
    assert (listed["referral"], listed["status"], listed["approved_by"]) == (referral, "suit_filed", "A. Counsel")

    (enrolled.folder / "agreement.pdf").write_bytes(b"%PDF-1.7")
    supplies = ("legal", "document", "A-1", "card_agreement", "agreement.pdf", "--reference", "DMS-1")
    assert enrolled.done(*supplies).out.endswith("  still not on file: statements\n")
    assert "was on file before" in enrolled.done(*supplies).out
    papers = enrolled.done("legal", "documents", "A-1", "--json").json
    assert [paper["reference"] for paper in papers["documents"]] == ["DMS-1"]
    assert [need["kind"] for need in papers["lacking"]] == ["statements"]
    assert enrolled.run("legal", "document", "A-1", "deed", "agreement.pdf", "--reference", "X").code == 2


def test_a_file_of_facts_is_taken_once_and_its_bad_rows_are_told(enrolled: Desk) -> None:
    path = enrolled.folder / "events.csv"
    path.write_text(
        "account_id,event,reference,at,kind,amount,currency\n"
        "A-1,payment,P-1,2026-08-01T13:00:00Z,,20.00,USD\n"
        "A-1,hold,H-1,2026-08-01T13:00:00Z,NONSENSE,,\n"
    )
    taken = enrolled.run("tell", path, "--json")
    assert taken.code == 0
    assert (taken.json["taken"], [row["line"] for row in taken.json["refused"]]) == (1, [3])
    assert "events.csv:3: hold 'NONSENSE' is not known" in taken.err
    assert enrolled.run("tell", path).out == "2 rows: 0 taken, 1 known already, 1 refused\n"
    assert enrolled.run("tell", path, "--dry-run").out == "2 rows: 0 taken, 0 known already, 0 would be refused\n"


def test_the_kill_switch_and_the_halt_hold_until_they_are_undone(enrolled: Desk) -> None:
    enrolled.done("stop", "--why", "audit")
    braked = enrolled.run("advance", "--until", "2026-08-04", "--json")
    assert (braked.code, braked.json["effects"], braked.json["braked"]) == (0, 0, "stopped: audit")
    assert "stopped: audit" in enrolled.run("status").err
    assert enrolled.done("start").out == "started\n"
    assert enrolled.done("start").out == "was not stopped\n"
    assert enrolled.done("halt", "A-1", "--why", "asked by the lender").out == "A-1: halted\n"
    assert enrolled.done("advance", "--until", "2026-08-04", "--json").json["effects"] == 0
    assert enrolled.show()["status"] == "halted"
    assert enrolled.done("resume", "A-1").out == "A-1: resumed\n"
    assert "not halted" in enrolled.refused("resume", "A-1")
    assert enrolled.done("advance", "--until", "2026-08-04", "--json").json["effects"] == 1
    assert "nothing to settle" in enrolled.refused("settle", "A-1", "sms-1", "skip", "--by", "me", "--why", "-")


def test_time_does_not_go_back(enrolled: Desk) -> None:
    enrolled.done("advance", "--until", "2026-08-10")
    told = enrolled.refused("advance", "--until", "2026-08-09")
    assert told == "arrears: the ledger already stands at 2026-08-10T00:00:00Z; --until must not lie before it"


# Policies ---------------------------------------------------------------------------------------------------


@pytest.fixture
def policies(desk: Desk) -> Path:
    shutil.copytree(ROOT / "policies", desk.folder / "policies")
    return desk.folder / "policies"


def test_a_ladder_is_drawn_with_its_dates(desk: Desk) -> None:
    drawn = desk.done("ladder", "show", "--due", "2026-11-23").out
    assert re.search(r"call-1 .*2026-12-23 10:00", drawn)
    document = desk.done("ladder", "show", "card-standard@1", "--due", "2026-11-23", "--json").json
    assert document["ladder"] == "card-standard@1"
    assert [rung["rung"] for rung in document["rungs"]][-1] == "legal-1"


def test_a_ladder_with_a_typo_is_refused_by_file_and_line(desk: Desk, policies: Path) -> None:
    file = policies / "ladders" / "card-standard.yaml"
    assert desk.done("ladder", "check", file).out == f"{file}: card-standard@3 is sound, 9 rungs\n"
    lines = file.read_text().splitlines()
    typo = next(n for n, line in enumerate(lines) if "stage: call" in line)
    lines[typo] = lines[typo].replace("stage", "stagge")
    file.write_text("\n".join(lines))
    for words in (("ladder", "check", str(file)), ("status",)):
        ran = desk.run(*words, ARREARS_POLICIES=str(policies))
        assert (ran.code, ran.out) == (1, "")
        assert f"card-standard.yaml:{typo + 1}: " in ran.err
        assert "stagge" in ran.err


def test_files_go_to_a_partner_by_hand_once_and_a_wrong_file_of_a_partner_is_refused(
    desk: Desk, policies: Path
) -> None:
    theirs = desk.folder / "theirs"
    theirs.mkdir()
    shutil.copy(ROOT / "tests" / "e2e" / "short_ladder.yaml", policies / "ladders" / "card-standard.yaml")
    file = policies / "partners" / "northside.yaml"
    partner = f"partner: northside\nkind: agency\nhand_off:\n  to: {theirs.as_uri()}\n"
    file.write_text(partner)
    desk.env["ARREARS_POLICIES"] = str(policies)
    desk.done("enroll", desk.write(a_row()), "--at", "2026-08-01T12:00:00Z")
    desk.done("advance", "--until", "2026-08-09")
    [placed] = desk.show()["placements"]
    path = "agency/northside/2026-08-08.csv"
    assert list(theirs.iterdir()) == []  # what is driven by hand stays in the outbox
    [row] = desk.done("agency", "send", "--dry-run", "--json").json
    assert (row["path"], row["to"], list(theirs.iterdir())) == (path, theirs.as_uri(), [])
    theirs.rename(desk.folder / "gone")
    failed = desk.run("agency", "send", "--json")
    assert (failed.code, failed.json["sent"], failed.json["waiting"]) == (1, [], 1)
    assert f"placement file {path} for northside: cannot be reached: No such file or directory; try 1" in failed.err
    assert not any(word in failed.out + failed.err for word in PERSONAL)
    (desk.folder / "gone").rename(theirs)
    assert desk.done("agency", "send", "--partner", "northside").out == f"sent {path}\n1 files handed over, 0 wait\n"
    assert placed["reference"] in (theirs / "2026-08-08.csv").read_text()
    assert desk.done("agency", "send", "--json").json == {"sent": [], "waiting": 0, "problems": []}
    assert desk.run("agency", "send", "--partner", "nobody").code == 2
    assert "only one that is unknown is settled" in desk.refused("agency", "settle-file", "1", "again")
    file.write_text(partner + "encrypt: {age: age1wrong}\n")
    assert f"{file}:5: 'age1wrong' is no public key of age, age1…" in desk.refused("status")


def test_an_unknown_ladder_is_refused_with_those_there_are(desk: Desk) -> None:
    for words in (("ladder", "show", "gold"), ("ladder", "migrate", "gold")):
        assert "'gold' is not in policies/ladders; there is card-standard@1" in desk.refused(*words)
    assert desk.done("ladder", "migrate", "card-standard").out == "moved to card-standard@3: none\n"


def test_contact_facts_get_a_verdict_each(desk: Desk) -> None:
    cases = json.loads((ROOT / "tests/data/contact_cases.json").read_text())["cases"]
    verdicts = desk.done("check-contact", ROOT / "tests/data/contact_cases.json").json
    assert len(verdicts) == len(cases)
    assert all(set(verdict) == {"verdict", "until", "rules"} for verdict in verdicts)
    (desk.folder / "one.json").write_text(json.dumps(cases[0]))
    assert desk.done("check-contact", "one.json").json == verdicts[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"channel": "fax"}, r'channel: "fax": expected one of call, .*sms'),
        ({"zones": ["Mars/Base"]}, r"zones: .*'Mars/Base' is no IANA time zone such as America/New_York"),
        ({"at": "tomorrow"}, r'at: "tomorrow": expected an instant with its zone, such as 2026-11-23T13:00:00Z'),
        ({"at": "2026-11-23T13:00:00"}, r"at: .*expected an instant with its zone"),
        ({"holds": [{"kind": "DECEASED", "since": "soon"}]}, r'holds\.0\.since: "soon": expected a date'),
        ({"history": [{"channel": "call"}]}, r"history\.0\.at: missing; expected an instant"),
        ({"actor": "bank"}, r'actor: "bank": expected one of first_party, third_party'),
        ({"colour": "red"}, r"colour: "),
    ],
)
def test_facts_that_cannot_be_judged_are_named_by_field(desk: Desk, change: dict[str, Any], says: str) -> None:
    case = json.loads((ROOT / "tests/data/contact_cases.json").read_text())["cases"][0]
    (desk.folder / "facts.json").write_text(json.dumps(case | {"facts": case["facts"] | change}))
    assert re.search(rf"facts\.json: {says}", desk.refused("check-contact", "facts.json"))


def test_a_file_that_is_no_json_is_refused_with_its_line(desk: Desk) -> None:
    (desk.folder / "facts.json").write_text('{"facts":\n oops}')
    assert "facts.json:2: no JSON" in desk.refused("check-contact", "facts.json")


# What is refused, in one line -------------------------------------------------------------------------------


def a_binary(folder: Path) -> Path:
    (folder / "scan.csv").write_bytes(bytes(range(256)) * 20)
    return folder / "scan.csv"


REFUSALS: list[tuple[str, Callable[[Path], tuple[str | Path, ...]], str]] = [
    ("no file", lambda folder: ("enroll", folder / "none.csv"), "none.csv: no such file"),
    ("a binary file", lambda folder: ("enroll", a_binary(folder)), "scan.csv: this is a binary file"),
    ("no facts", lambda folder: ("check-contact", "none.json"), "none.json: No such file"),
    ("no ladder file", lambda folder: ("ladder", "check", "none.yaml"), "none.yaml: no such file"),
    *(
        (f"{words[0]} of nobody", lambda folder, words=words: words, "account 'A-9' is not in the ledger")
        for words in (
            ("show", "A-9"),
            ("pay", "A-9", "10", "--reference", "P-1"),
            ("hold", "A-9", "DISPUTE_OPEN"),
            ("resume", "A-9"),
        )
    ),
]


@pytest.mark.parametrize(("words", "says"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS])
def test_a_refusal_is_one_line(desk: Desk, words: Callable[[Path], tuple[str | Path, ...]], says: str) -> None:
    assert says in desk.refused(*words(desk.folder))


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"ARREARS_DATABASE_URL": "sqlite:///folder"}, "sqlite:///folder cannot be opened: unable to open"),
        ({"ARREARS_DATABASE_URL": "sqlite:///letter.txt"}, "cannot be opened: file is not a database"),
        ({"ARREARS_DATABASE_URL": "postgresql://u:sekret@127.0.0.1:1/x"}, "Connection refused"),
        ({"ARREARS_POLICIES": "folder"}, "holds no ladder"),
        ({"ARREARS_TEMPLATES": "folder"}, "no templates here"),
        ({"ARREARS_CLOCK": "lapse:x:1.2.3"}, "clock 'lapse:x:1.2.3' is not known; expected system or lapse:"),
        ({"ARREARS_LEASE_SECONDS": "soon"}, "ARREARS_LEASE_SECONDS: "),
    ],
    ids=lambda value: next(iter(value.values())) if isinstance(value, dict) else "",
)
def test_a_setting_that_cannot_be_used_is_named(desk: Desk, env: dict[str, str], says: str) -> None:
    (desk.folder / "folder").mkdir()
    (desk.folder / "letter.txt").write_text("Dear customer, " * 100)
    told = desk.refused("status", **env)
    assert says in told
    assert "sekret" not in told


def test_an_outbox_that_cannot_be_written_is_told_before_anything_is_driven(enrolled: Desk) -> None:
    (enrolled.folder / "outbox").write_text("in the way")
    told = enrolled.refused("advance", "--until", "2026-08-10")
    assert re.search(r"outbox outbox cannot be written: .+; ARREARS_OUTBOX names the folder", told)
    assert "cannot be written" in enrolled.refused("sweep")
    assert enrolled.show()["steps"] == []


def test_a_refusal_repeats_nothing_personal(desk: Desk) -> None:
    file = desk.write(
        a_row("A-1", phone="twelve"),
        a_row(NAME),
        a_row("A-3", due_date=PHONE, amount_due="120.00x", currency="USD"),
        a_row("A-4", amount_due="1431.77"),
    )
    ran = desk.run("enroll", file)
    assert ran.out == "4 rows: 0 enrolled, 0 known already, 4 refused\n"
    # 1200.50 stands in the reason as the example of an amount.
    for secret in (NAME, PHONE, STREET, "120.00x", "1431.77", "twelve"):
        assert secret not in ran.out + ran.err


@pytest.mark.parametrize(
    "words",
    [
        ("promote", "A-1"),
        ("show",),
        ("pay", "A-1", "10"),
        ("approve", "A-1", "legal-1"),
        ("hold", "A-1", "DISPUTE_OPEN", "--until", "31/11/2026"),
        ("advance", "--until", "tomorrow"),
        ("calls", "outcome", "A-1", "shouted", "--by", "me"),
        ("promise", "A-1", "20.00", "--on", "friday", "--reference", "PR-1"),
        ("plan", "A-1", "friday=20.00", "--reference", "PL-1"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(desk: Desk, words: tuple[str, ...]) -> None:
    ran = desk.run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert "Usage: arrears" in ran.err
    assert not (desk.folder / "arrears.db").exists()


def test_an_interrupted_advance_can_be_run_again(desk: Desk) -> None:
    desk.done("enroll", desk.write(*(a_row(f"A-{n}") for n in range(1, 301))), "--at", "2026-08-01T12:00:00Z")
    err = desk.folder / "err"
    advance = ["arrears", "advance", "--until", "2026-08-03"]
    # Small ones, so that it is in the middle of its work for long.
    batches = desk.environment() | {"ARREARS_SWEEP_BATCH": "10"}
    running = desk.commands.start(advance, desk.folder, batches, desk.folder / "out", err)
    while not (desk.folder / "outbox" / "sms").exists():
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    assert running.wait() == 1
    assert err.read_text() == "arrears: interrupted; what was done is recorded, run the same command again to go on\n"
    assert desk.done("advance", "--until", "2026-08-03", "--json").json["failed"] == []
    references = [text["reference"] for text in texts(desk)]
    assert len(set(references)) == len(references) == 300


def test_letters_from_preview_to_print_house_to_mail_that_comes_back(desk: Desk) -> None:
    desk.run("enroll", desk.write(a_row(due_date="2026-06-17")), "--at", "2026-08-01T12:00:00Z")
    desk.run("advance", "--until", "2026-08-03")
    assert desk.done("letters", "preview", "lawyer", "--account", "A-1", "--png").out == "lawyer-A-1.png\n"
    assert (desk.folder / "lawyer-A-1.png").read_bytes().startswith(b"\x89PNG")
    assert "no template 'poem'" in desk.refused("letters", "preview", "poem")
    assert desk.done("letters", "batch", "--dry-run").out == "1 letters would go to the print house\n"
    [batch] = desk.done("letters", "batch", "--json").json["batches"]
    manifest = json.loads((desk.folder / "outbox" / batch["path"] / "manifest.json").read_text())
    assert not any(told in json.dumps(manifest) for told in PERSONAL)
    [letter] = [line["reference"] for line in manifest["letters"]]
    path = desk.folder / "returned.csv"
    path.write_text(f"reference,returned_on,reason\n{letter},2026-08-03,moved\nNONE,2026-08-03,moved\n")
    ran = desk.run("letters", "returned", path, "--json")
    assert (ran.code, ran.json["taken"], [each["line"] for each in ran.json["refused"]]) == (0, 1, [3])
    assert "returned.csv:3: there is no letter with the reference 'NONE'" in ran.err
    assert desk.show()["mail"]["address"] == "bad"
    assert "no letter goes to this address" in desk.done("show", "A-1").out
    where = ("--street", "9 Elm Street", "--city", "Troy", "--region", "NY", "--postal-code", "12180")
    assert desk.run("address", "A-1", *where, "--country", "ZZ", "--reference", "S-1").code == 2
    assert desk.done("address", "A-1", *where, "--country", "US", "--reference", "S-1").out == "A-1: address recorded\n"
    assert desk.show()["mail"]["address"] == "good"


def test_a_broken_template_is_told_with_its_file_and_line_before_anybody_gets_it(desk: Desk) -> None:
    templates = desk.folder / "templates"
    shutil.copytree(ROOT / "templates", templates)
    path = templates / "letters" / "en-US" / "lawyer.typ.j2"
    path.write_text(path.read_text(encoding="utf-8").replace("{{ due_date|day }}", "{{ due_dte|day }}", 1))
    ran = desk.run("templates", "check", ARREARS_TEMPLATES=str(templates))
    assert ran.code == 1
    assert "templates/letters/en-US/lawyer.typ.j2:4: unknown variable 'due_dte'" in ran.err
