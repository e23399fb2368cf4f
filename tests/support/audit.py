"""The auditor: reads a ledger and an outbox from outside and says whether a step was made exactly once."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

import models
from arrears.ledger.cases import read_case_file
from arrears.ledger.database import Ledger
from arrears.operations.services import Services


@dataclass(frozen=True)
class Books:
    """What there is to audit: the ledger, the outbox, and what Twilio accepted when texts go there."""

    ledger: Ledger
    outbox: Path
    texts: Sequence[dict[str, Any]] | None = None


def books_of(services: Services, texts: Sequence[dict[str, Any]] | None = None) -> Books:
    """Of an open deployment."""
    return Books(services.ledger, services.settings.outbox, texts)


def effects_of(books: Books, step: models.Step) -> int:
    """How often the effect of `step` is in the world."""
    outbox = books.outbox
    match step.channel:
        case "sms" if books.texts is not None:
            return sum(f"Ref {step.reference}" in text["body"] for text in books.texts)
        case "sms":
            lines = [line for file in outbox.glob("sms/*.jsonl") for line in file.read_text().splitlines()]
            return sum(json.loads(line)["reference"] == step.reference for line in lines)
        case "call":
            with books.ledger.read() as session:
                tasks = session.exec(select(models.CallTask).where(models.CallTask.account_id == step.account_id)).all()
            return sum((task.rung, task.attempt) == (step.rung, step.attempt) for task in tasks)
        case "letter":
            return len(list(outbox.rglob(f"{step.reference}.pdf")))
        case "agency":
            files = [file for file in outbox.glob("agency/*/*.csv") if not file.name.endswith(".recalls.csv")]
            rows = [row for file in files for row in csv.DictReader(file.open())]
            return sum(row["reference"] == step.reference for row in rows)
        case "legal":
            return len(list(outbox.rglob(f"{step.reference}.zip")))
        case other:
            raise ValueError(other)


def assert_made_once(books: Books, account_id: str, rung: str) -> models.Step:
    """The first attempt at `rung` is done, once, in the ledger and in the world, and the case goes on."""
    step, case = step_and_case(books, account_id, rung)
    assert step.status == "done", f"{step.status}: {step.reason}"
    assert step.proof
    there = effects_of(books, step)
    assert there == 1, f"the effect is there {there} times"
    with books.ledger.read() as session:
        _rows_match(session, books.outbox, step)
    told = told_of(books, step)
    assert told["done"] == 1
    assert told["intended"] == 1 + told["put back"]
    assert not list(books.outbox.rglob("*.part"))
    if case.status == "closed":
        assert case.outcome in ("referred", "paid", "cured")
    else:
        assert step.at is not None
        assert case.next_due_at is not None
        assert case.next_due_at > step.at
        assert case.retry_at is None
    if books.texts is not None:
        assert [text["sid"] for text in books.texts if f"Ref {step.reference}" in text["body"]] == [step.proof]
    return step


def step_and_case(books: Books, account_id: str, rung: str) -> tuple[models.Step, models.Case]:
    """The one row of the first attempt at `rung`, and its case."""
    with books.ledger.read() as session:
        file = read_case_file(session, account_id)
    [step] = [s for s in file.steps if (s.rung, s.attempt) == (rung, 1)]
    return step, file.case


def told_of(books: Books, step: models.Step) -> Counter[str]:
    """The events of one step, counted by what they tell."""
    with books.ledger.read() as session:
        events = session.exec(select(models.Event).order_by(col(models.Event.id))).all()
    return Counter(event.what for event in events if event.data.get("reference") == step.reference)


def _rows_match(session: Session, outbox: Path, step: models.Step) -> None:
    """The rows that stand for the effect agree with the files, byte for byte."""
    match step.channel:
        case "letter" | "legal":
            table: Any = models.Letter if step.channel == "letter" else models.Referral
            [row] = session.exec(
                select(table).where(table.account_id == step.account_id, table.reference == step.reference)
            )
            content = (outbox / row.path).read_bytes()
            assert sha256(content).hexdigest() == row.sha256
            if step.channel == "legal":
                assert zipfile.ZipFile(outbox / row.path).testzip() is None
        case "agency":
            placement = session.get(models.Placement, step.reference)
            assert placement is not None
            assert_batch_is_whole(session, outbox, placement.agency, placement.day)


def assert_batch_is_whole(session: Session, outbox: Path, agency: str, day: Any) -> None:
    """The day's file, its manifest, the batch row and the placement rows tell the same."""
    batch = session.get(models.PlacementBatch, (agency, day))
    assert batch is not None
    assert not batch.unwritten
    content = (outbox / batch.path).read_bytes()
    manifest = json.loads((outbox / batch.path).with_suffix(".manifest.json").read_text())
    assert sha256(content).hexdigest() == manifest["sha256"] == batch.sha256
    rows = session.exec(
        select(models.Placement).where(models.Placement.agency == agency, models.Placement.day == day)
    ).all()
    listed = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
    assert sorted(row["placement_id"] for row in listed) == sorted(row.reference for row in rows)
    assert len(rows) == manifest["count"] == batch.count


# A whole ledger ---------------------------------------------------------------------------------------------------


def assert_each_once(books: Books) -> int:
    """Every step that is done is in the world once, and nothing is in the world that no step accounts for.

    Nothing is left under way, unknown or half written. How many effects there are.
    """
    with books.ledger.read() as session:
        steps = session.exec(select(models.Step)).all()
        batches = session.exec(select(models.PlacementBatch)).all()
        for batch in batches:
            assert_batch_is_whole(session, books.outbox, batch.agency, batch.day)
    undecided = [(s.account_id, s.rung, s.status, s.reason) for s in steps if s.status in ("intended", "unknown")]
    assert not undecided
    assert all(step.proof for step in steps if step.status == "done")
    # What was told within another account's contact is in the world as that one; a call withdrawn keeps its proof.
    expected = Counter(_mark(step) for step in steps if step.proof and not step.carried_by)
    there = _inventory(books)
    assert there == expected, f"too often: {there - expected}; missing: {expected - there}"
    assert not list(books.outbox.rglob("*.part"))
    return there.total()


def _mark(step: models.Step) -> tuple[str, ...]:
    if step.channel == "call":
        return "call", step.account_id, step.rung, str(step.attempt)
    return step.channel, step.reference


def _inventory(books: Books) -> Counter[tuple[str, ...]]:
    """Everything that has left, by what it bears."""
    assert books.texts is not None
    outbox = books.outbox
    found: Counter[tuple[str, ...]] = Counter()
    found.update(("sms", _printed(text["body"])) for text in books.texts)
    found.update(("letter", path.stem) for path in outbox.glob("letters/**/*.pdf"))
    found.update(("legal", path.stem) for path in outbox.glob("legal/**/*.zip"))
    for path in outbox.glob("agency/*/*.csv"):
        if not path.name.endswith(".recalls.csv"):
            found.update(("agency", row["reference"]) for row in csv.DictReader(path.open(encoding="utf-8-sig")))
    with books.ledger.read() as session:
        for task in session.exec(select(models.CallTask)):
            found["call", task.account_id, task.rung, str(task.attempt)] += 1
    return found


def _printed(body: str) -> str:
    match = re.search(r"Ref (\w+)", body)
    assert match, "a text without its reference"
    return match[1]


def interruptions(ledger: Ledger) -> int:
    """How many steps were cut short, looked up, or put back."""
    with ledger.read() as session:
        events = session.exec(select(models.Event)).all()
    cut_short = (e for e in events if e.what in ("in doubt", "put back") or e.why == "found after an interruption")
    return len({event.data["reference"] for event in cut_short})


def life_of(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """What became of each account, less what no two runs share: references, real times, tries, and who did it."""
    lives: dict[str, list[tuple[Any, ...]]] = {}
    with ledger.read() as session:
        for a in session.exec(select(models.Account)):
            lives[a.id] = [("owes", a.amount_due, a.balance, a.due_date, *a.phones)]
        for c in session.exec(select(models.Case)):
            stands = (c.status, c.stage, c.outcome, c.next_rung, c.next_due_at, c.opened_at, c.closed_at)
            lives[c.account_id].append(("case", *stands))
        for s in session.exec(select(models.Step)):
            # What confirms an opt-out is sent at once or, where the provider will not have it then, not at all.
            status = "done or skipped" if s.rung == "opt-out-confirmation" else s.status
            made = (s.rung, s.attempt, status, s.due_at, s.at, s.number, s.actor, s.disposition)
            lives[s.account_id].append(("step", *made, bool(s.carried_by), s.needs_person, tuple(s.rules)))
        for t in session.exec(select(models.CallTask)):
            lives[t.account_id].append(("call task", t.rung, t.attempt, t.status))
        for p in session.exec(select(models.Placement)):
            lives[p.account_id].append(("placement", p.agency, p.day, p.balance, p.status))
        for letter in session.exec(select(models.Letter)):
            lives[letter.account_id].append(("letter", letter.template, letter.locale, letter.at))
        for referral in session.exec(select(models.Referral)):
            lives[referral.account_id].append(("referral", referral.firm, referral.at))
        for e in session.exec(select(models.LifeEvent)):
            # What the provider reports is known by the reference of its text, in which no two runs agree.
            known_as = e.external_id if e.account_id in e.external_id else ""
            lives[e.account_id].append(("event", e.kind, known_as, e.happened_at, e.received_at))
        for h in session.exec(select(models.Hold)):
            lives[h.account_id].append(("hold", h.kind, h.channel, h.since, h.until, h.released_at))
        for w in session.exec(select(models.WorkItem)):
            if w.account_id:
                lives[w.account_id].append(("work", w.kind, w.at))
    return {account_id: sorted(life, key=str) for account_id, life in lives.items()}
