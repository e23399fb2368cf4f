"""Batches for the print house: every letter in exactly one, and files that are what the ledger says."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from sqlmodel import col, select

import models
from arrears.operations.brakes import stop
from arrears.operations.letter_batches import Batched, BatchRefused, batch_letters
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services
from tests.conftest import START, a_row
from tests.integration.stories import Portfolio, dump, take_in, until

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def written(services: Services, portfolio: Portfolio) -> Services:
    """Three letters have gone out, on one day."""
    rows = [a_row(f"A-{n}", phone=f"+1518555010{n}", due_date="2026-06-17") for n in (1, 2, 3)]
    take_in(services, portfolio(*rows))
    until(services, 1)
    return services


def batched(services: Services, *, one_file: bool = False, most: int = 100, **other: bool) -> Batched:
    return batch_letters(services, one_file=one_file, duplex=True, most=most, who="test", **other)


def letters_of(services: Services) -> list[models.Letter]:
    with services.ledger.read() as session:
        return list(session.exec(select(models.Letter).order_by(col(models.Letter.reference))))


def manifest(services: Services, batch: models.PrintBatch) -> dict[str, Any]:
    return json.loads((services.settings.outbox / batch.path / "manifest.json").read_text())


def test_every_letter_is_in_exactly_one_batch_and_the_manifest_adds_up(written: Services) -> None:
    before = dump(written)
    assert batched(written, dry_run=True).waiting == 3
    assert dump(written) == before
    result = batched(written, most=2)
    assert [each.letters for each in result.batches] == [2, 1]
    assert (result.problems, result.left_out) == ([], {})
    seen: list[str] = []
    for batch in result.batches:
        folder = written.settings.outbox / batch.path
        told = manifest(written, batch)
        assert sha256((folder / "manifest.json").read_bytes()).hexdigest() == batch.sha256
        assert {path.name for path in folder.iterdir()} == {"manifest.json", *(each["name"] for each in told["files"])}
        for line in told["letters"]:
            content = (folder / line["file"]).read_bytes()
            assert sha256(content).hexdigest() == line["sha256"]
            assert (line["pages"], line["sheets"], line["country"]) == (1, 1, "US")
            seen.append(line["reference"])
        assert told["totals"]["letters"] == len(told["letters"]) == batch.letters
        assert told["totals"]["bytes"] == sum(each["bytes"] for each in told["files"])
        assert told["totals"]["by_country"] == {"US": batch.letters}
        assert told["pdf_a"] is True
    letters = letters_of(written)
    assert sorted(seen) == [letter.reference for letter in letters]
    assert {letter.batch for letter in letters} == {batch.id for batch in result.batches}
    assert batched(written).batches == [], "none is left"


@on_sqlite
def test_all_letters_in_one_file_each_beginning_on_a_front_side(written: Services) -> None:
    [batch] = batched(written, one_file=True).batches
    told = manifest(written, batch)
    content = (written.settings.outbox / batch.path / "letters.pdf").read_bytes()
    pages = PdfReader(io.BytesIO(content)).pages
    assert [line["first_page"] for line in told["letters"]] == [1, 3, 5]
    assert len(pages) == 6
    for line in told["letters"]:
        assert line["reference"] in pages[line["first_page"] - 1].extract_text()
    assert told["pdf_a"] is False, "said plainly: many letters in one file are no PDF/A"


@on_sqlite
def test_a_letter_whose_file_is_gone_is_made_again_and_one_that_cannot_be_is_left_out(written: Services) -> None:
    first, second, third = letters_of(written)
    outbox = written.settings.outbox
    (outbox / first.path).unlink()
    (outbox / second.path).write_bytes(b"%PDF something else")
    with written.ledger.write() as session:
        step = session.exec(select(models.Step).where(models.Step.reference == third.reference)).one()
        step.payload = {**step.payload, "template": "gone"}
        session.add(step)
    (outbox / third.path).unlink()
    result = batched(written)
    assert list(result.left_out) == [third.reference]
    [batch] = result.batches
    assert {line["sha256"] for line in manifest(written, batch)["letters"]} == {first.sha256, second.sha256}
    [item] = waiting_for_people(written)
    assert "is not the file that was sent, and cannot be made again" in item.reason
    assert third.path in item.reason


def test_a_folder_that_cannot_be_written_loses_nothing_and_the_next_run_goes_on(written: Services) -> None:
    outbox = written.settings.outbox
    (outbox / "print").write_text("in the way")
    result = batched(written)
    assert result.batches == []
    [problem] = result.problems
    assert problem.startswith("batch 1 could not be written to print/")
    assert "run `arrears letters batch` again when that is mended, nothing is lost" in problem
    assert {letter.batch for letter in letters_of(written)} == {1}
    [waits] = waiting_for_people(written)
    assert (waits.reason, waits.do) == ("batch 1 of letters is begun and not written", "arrears letters batch")
    (outbox / "print").unlink()
    assert [(each.id, each.letters) for each in batched(written).batches] == [(1, 3)]
    assert waiting_for_people(written) == []


@on_sqlite
def test_nothing_leaves_while_everything_is_stopped(written: Services) -> None:
    stop(written.ledger, why="drill", who="test", at=START + timedelta(days=1), wall=START)
    with pytest.raises(BatchRefused, match="stopped: drill"):
        batched(written)
    assert not (written.settings.outbox / "print").exists()


@on_sqlite
def test_the_same_letters_give_the_same_bytes(written: Services) -> None:
    [batch] = batched(written, one_file=True).batches
    folder = written.settings.outbox / batch.path
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with written.ledger.write() as session:
        row = session.get_one(models.PrintBatch, batch.id)
        row.unwritten = True
        session.add(row)
    for path in Path(folder).iterdir():
        path.unlink()
    batched(written)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
