"""The folder of contact rules to a rulebook: one file a jurisdiction, and `HOUSE.yaml` for the lender's own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from arrears.engine.contact.rules import HOUSE, Pack, Rulebook
from arrears.engine.vocabulary import Party
from arrears.policies.calendars import calendar
from arrears.policies.check import Row, check
from arrears.policies.document import Document, Place
from arrears.policies.fields import Text
from arrears.policies.hold_kinds import HoldKind
from arrears.policies.problems import PolicyError, Problem
from arrears.policies.rule_rows import ClosedDaysRow, HoldRow, Jurisdiction, WindowRow
from arrears.policies.source import read_document

_Rows = Annotated[list[object], Field(default_factory=list)]


class PackRow(Row):
    """The head of a rules file; its rules are judged one by one, so that each shows its own faults."""

    jurisdiction: Jurisdiction
    name: Text
    inherits: Jurisdiction | None = None
    scope: str = ""
    quiet_hours: _Rows
    closed_days: _Rows
    holds: _Rows


@dataclass(frozen=True)
class _Read:
    """One file: its head if that could be read, and the rules that could."""

    path: Path
    document: Document
    head: PackRow | None
    windows: list[WindowRow]
    closed_days: list[ClosedDaysRow]
    holds: list[HoldRow]


def load_rulebook(folder: Path) -> Rulebook:
    """All rules of `folder`; `version` is a digest of the files, the same wherever they lie.

    Raises PolicyError with every problem of every file. Rule ids are unique across files, a pack inherits
    from one that is there, and HOUSE gives every kind of hold force over both parties.
    """
    problems: list[Problem] = []
    files: list[_Read] = []
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.yaml")):
        try:
            files.append(_read(path))
        except PolicyError as error:
            problems.extend(error.problems)
            continue
        content = files[-1].document.text.encode()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    _check_ids(files)
    _check_inheritance(files, {path.stem for path in folder.glob("*.yaml")})
    problems.extend(problem for file in files for problem in file.document.problems)
    if not (folder / f"{HOUSE}.yaml").exists():
        problems.append(Problem(str(folder / f"{HOUSE}.yaml"), 0, "no such file; the lender's own rules stand there"))
    problems.extend(problem for file in files for problem in _forceless_holds(file))
    if problems:
        raise PolicyError(problems)
    packs = {pack.jurisdiction: pack for pack in map(_pack, files)}
    named = {name for pack in packs.values() for rule in pack.closed_days for name in rule.calendars}
    return Rulebook(digest.hexdigest()[:12], packs, {name: calendar(name) for name in sorted(named)})


def _read(path: Path) -> _Read:
    document = read_document(path)
    document.subject = lambda place: _subject(document, place)
    head = check(document, (), PackRow)
    if head is not None and head.jurisdiction != path.stem:
        document.report(("jurisdiction",), f"jurisdiction {head.jurisdiction} belongs in {head.jurisdiction}.yaml")
    windows = [check(document, place, WindowRow) for place in document.blocks("quiet_hours")]
    closed = [check(document, place, ClosedDaysRow) for place in document.blocks("closed_days")]
    holds = [check(document, place, HoldRow) for place in document.blocks("holds")]
    return _Read(
        path,
        document,
        head,
        [row for row in windows if row],
        [row for row in closed if row],
        [row for row in holds if row],
    )


def _pack(file: _Read) -> Pack:
    assert file.head is not None
    beside = (row.closed_days() for row in file.windows)
    return Pack(
        file.head.jurisdiction,
        file.head.inherits,
        windows=tuple(row.window() for row in file.windows),
        closed_days=(*(rule for rule in beside if rule), *(row.closed_days() for row in file.closed_days)),
        holds=tuple(row.hold_rule() for row in file.holds),
    )


def _check_ids(files: list[_Read]) -> None:
    first: dict[str, tuple[_Read, Place]] = {}
    for file in files:
        for section in ("quiet_hours", "closed_days", "holds"):
            for block in file.document.blocks(section):
                place = (*block, "id")
                rule_id = file.document.at(place)
                if not isinstance(rule_id, str):
                    continue
                if rule_id in first:
                    other, where = first[rule_id]
                    line = f"{other.document.file}:{other.document.line(where)}"
                    file.document.report(place, f"the id stands twice; first in {line}")
                first.setdefault(rule_id, (file, place))


def _check_inheritance(files: list[_Read], present: set[str]) -> None:
    parents: Mapping[str, str | None] = {file.path.stem: file.head.inherits for file in files if file.head}
    for file in files:
        if file.head is None or file.head.inherits is None:
            continue
        if file.head.inherits not in present:
            message = f"inherits {file.head.inherits}, but there is no {file.head.inherits}.yaml"
            file.document.report(("inherits",), message)
            continue
        line = [file.path.stem]
        while (parent := parents.get(line[-1])) is not None and parent not in line:
            line.append(parent)
        if parent == line[0]:
            file.document.report(("inherits",), f"inherits itself: {' from '.join([*line, line[0]])}")


def _forceless_holds(file: _Read) -> list[Problem]:
    if file.path.stem != HOUSE or file.document.problems:
        return []
    given = {(row.hold, party) for row in file.holds for party in row.applies_to}
    return [
        Problem(file.document.file, 0, f"has no rule for hold {kind} and {party}; recorded, it would block nothing")
        for kind in HoldKind
        for party in Party
        if (kind, party) not in given
    ]


def _subject(document: Document, place: Place) -> str:
    match place:
        case (str(section), int(number), *_):
            name = document.at((section, number, "id"))
            return f"rule {name!r}: " if isinstance(name, str) else f"{section} {number + 1}: "
        case _:
            return ""
