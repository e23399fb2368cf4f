"""Ladder files to ladders: `card-standard.yaml` is current, `card-standard@1.yaml` an older version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from arrears.engine.ladder import Ladder, SeveralAccounts, stand_in_name, with_stand_ins
from arrears.policies.check import Row, check
from arrears.policies.document import Document, Place
from arrears.policies.fields import Name
from arrears.policies.ladder_rows import RungRow, SeveralAccountsRow, TermsRow
from arrears.policies.problems import PolicyError, Problem
from arrears.policies.source import read_document


class LadderRow(Row):
    """The head of a ladder file; its rungs are judged one by one, so that each shows its own faults."""

    ladder: Name
    version: Annotated[int, Field(ge=1)]
    hours_between_contacts: Annotated[int, Field(ge=0, le=720)]
    rungs: Annotated[list[object], Field(min_length=1)]
    description: str = ""
    terms: TermsRow = TermsRow()
    several_accounts: SeveralAccountsRow | None = None


@dataclass(frozen=True)
class LadderShelf:
    """Every ladder of a folder: each name's current version, and all versions that cases may still be on."""

    current: Mapping[str, Ladder]
    versions: Mapping[tuple[str, int], Ladder]

    def find(self, ladder_id: str) -> Ladder | None:
        """The ladder `card-standard@1`, or the current `card-standard`; None when there is no such."""
        name, at, version = ladder_id.partition("@")
        if not at:
            return self.current.get(name)
        return self.versions.get((name, int(version))) if version.isdecimal() else None


def load_ladder(path: Path) -> Ladder:
    """The ladder in one file. Raises PolicyError with every problem of the file, each with its line."""
    document = read_document(path)
    document.subject = lambda place: _subject(document, place)
    head = check(document, (), LadderRow)
    rows = [(place, check(document, place, RungRow)) for place in document.blocks("rungs")]
    _check_order(document, [(place, row) for place, row in rows if row is not None])
    if head is not None and head.terms.after_broken not in (None, *(name for _, name in _names(document))):
        document.report(("terms", "after_broken"), f"{head.terms.after_broken!r} is no rung of this ladder")
    document.settle()
    assert head is not None
    return Ladder(
        name=head.ladder,
        version=head.version,
        hours_between_contacts=head.hours_between_contacts,
        rungs=with_stand_ins(row.as_rung() for _, row in rows if row is not None),
        description=head.description.strip(),
        terms=head.terms.terms(),
        several=head.several_accounts.several() if head.several_accounts else SeveralAccounts(),
    )


def load_ladders(folder: Path) -> LadderShelf:
    """All ladders of `folder`. Raises PolicyError with every problem of every file.

    A file's name must say what is in it: `NAME.yaml` or `NAME@VERSION.yaml`, and the current version
    must be the highest.
    """
    problems: list[Problem] = []
    files: dict[tuple[str, int], Path] = {}
    versions: dict[tuple[str, int], Ladder] = {}
    current: dict[str, Ladder] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            ladder = load_ladder(path)
        except PolicyError as error:
            problems.extend(error.problems)
            continue
        key = (ladder.name, ladder.version)
        if path.stem not in (ladder.name, ladder.id):
            problems.append(
                Problem(str(path), 0, f"holds {ladder.id}; expected {ladder.name}.yaml or {ladder.id}.yaml")
            )
        elif key in files:
            problems.append(Problem(str(path), 0, f"holds {ladder.id}, and so does {files[key]}"))
        files[key] = path
        versions[key] = ladder
        if path.stem == ladder.name:
            current[ladder.name] = ladder
    for (name, version), path in files.items():
        if name in current and version > current[name].version:
            older = f"{name}.yaml, which is current, holds version {current[name].version}"
            problems.append(Problem(str(path), 0, f"holds version {version}, but {older}"))
    if not files and not problems:
        problems.append(Problem(str(folder), 0, "holds no ladder; expected files such as card-standard.yaml"))
    if problems:
        raise PolicyError(problems)
    return LadderShelf(current, versions)


def _check_order(document: Document, rows: list[tuple[Place, RungRow]]) -> None:
    """What holds between rungs: names once, stages upwards, nothing waiting for itself or what comes later."""
    order: dict[str, Place] = {}
    for place, name in _names(document):
        if name in order:
            first = document.line((*order[name], "rung"))
            document.report((*place, "rung"), f"the name stands twice; first on line {first}", of_key=True)
        order.setdefault(name, place)
    highest: RungRow | None = None
    for place, row in rows:
        if highest is not None and row.stage.height < highest.stage.height:
            above = f"{highest.rung!r}, which is of stage {highest.stage}"
            document.report((*place, "stage"), f"stage {row.stage} cannot stand below {above}")
        else:
            highest = row
        if row.otherwise is not None and stand_in_name(row.rung) in order:
            letter = f"{stand_in_name(row.rung)!r}, the name of the letter that stands in for it"
            document.report((*place, "otherwise"), f"another rung is called {letter}")
        if row.due.after is not None:
            _check_named(document, order, place, row.due.after, (*place, "due", "after"), "is due after")
        for number, requirement in enumerate(row.requires):
            for name in requirement.names():
                _check_named(document, order, place, name, (*place, "requires", number), "requires")
        if row.until and row.due.dpd is not None and row.until.dpd <= row.due.dpd:
            document.report((*place, "until"), f"until {row.until.dpd} is not after its due day {row.due.dpd}")


def _check_named(
    document: Document, order: Mapping[str, Place], place: Place, name: str, written: Place, verb: str
) -> None:
    if name not in order:
        document.report(written, f"{verb} {name!r}, which is no rung of this ladder")
    elif order[name] == place:
        document.report(written, f"{verb} itself")
    elif order[name] > place:
        document.report(written, f"{verb} {name!r}, which comes later")


def _names(document: Document) -> Iterator[tuple[Place, str]]:
    """Names as written, also those of rungs with other faults."""
    for place in document.blocks("rungs"):
        name = document.at((*place, "rung"))
        if isinstance(name, str):
            yield place, name


def _subject(document: Document, place: Place) -> str:
    match place:
        case ("rungs", int(number), *_):
            name = document.at(("rungs", number, "rung"))
            return f"rung {name!r}: " if isinstance(name, str) else f"rung {number + 1}: "
        case _:
            return ""
