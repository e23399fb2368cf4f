"""The folder of contact rules to a rulebook: one file a jurisdiction, and `HOUSE.yaml` for the lender's own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field

from arrears.engine.contact.rules import HOUSE, Cap, Cooldown, Pack, Rule, Rulebook
from arrears.engine.vocabulary import Party
from arrears.policies.calendars import calendar
from arrears.policies.check import Row, check
from arrears.policies.document import Document, Place
from arrears.policies.fields import Text, one_of
from arrears.policies.hold_kinds import HoldKind
from arrears.policies.problems import PolicyError, Problem
from arrears.policies.rule_rows import (
    CapRow,
    ClosedDaysRow,
    ConsentRow,
    CooldownRow,
    CountingRow,
    DisclosureRow,
    DutyRow,
    HoldRow,
    Jurisdiction,
    KeywordsRow,
    MilestoneRow,
    NoticeRow,
    RetentionRow,
    RuleId,
    RuleRow,
    StageGateRow,
    Strength,
    WindowRow,
)
from arrears.policies.source import read_document

R = TypeVar("R", bound=RuleRow)
_Rows = Annotated[list[object], Field(default_factory=list)]

# The sections of a rules file. Each row stands for one or more of the engine's shapes.
SECTIONS: Mapping[str, type[RuleRow]] = {
    "quiet_hours": WindowRow,
    "closed_days": ClosedDaysRow,
    "caps": CapRow,
    "cooldowns": CooldownRow,
    "counting": CountingRow,
    "consent": ConsentRow,
    "notices": NoticeRow,
    "stage_gates": StageGateRow,
    "holds": HoldRow,
    "disclosures": DisclosureRow,
    "keywords": KeywordsRow,
    "retention": RetentionRow,
    "milestones": MilestoneRow,
    "duties": DutyRow,
}


class Unreviewed(StrEnum):
    """How to judge a subdivision that has no rules of its own."""

    COUNTRY_RULES = "country_rules"
    REVIEW = "review"


class PackRow(Row):
    """The head of a rules file; its rules are judged one by one, so that each shows its own faults."""

    jurisdiction: Jurisdiction
    name: Text
    inherits: Jurisdiction | None = None
    scope: str = ""
    switched_off: Annotated[list[RuleId], Field(default_factory=list)]
    unreviewed_subdivisions: Annotated[Unreviewed, one_of(Unreviewed, "way to judge")] = Unreviewed.COUNTRY_RULES
    quiet_hours: _Rows
    closed_days: _Rows
    caps: _Rows
    cooldowns: _Rows
    counting: _Rows
    consent: _Rows
    notices: _Rows
    stage_gates: _Rows
    holds: _Rows
    disclosures: _Rows
    keywords: _Rows
    retention: _Rows
    milestones: _Rows
    duties: _Rows


@dataclass(frozen=True)
class _Read:
    """One file: its head if that could be read, and the rules that could, with where they stand."""

    path: Path
    document: Document
    head: PackRow | None
    rows: list[tuple[Place, RuleRow]]

    def of(self, kind: type[R]) -> list[R]:
        return [row for _, row in self.rows if isinstance(row, kind)]


def load_rulebook(folder: Path) -> Rulebook:
    """All rules of `folder`; `version` is a digest of the files, the same wherever they lie.

    Raises PolicyError with every problem of every file. Rule ids are unique across files, a pack inherits
    from one that is there, and HOUSE gives every kind of hold force over both parties. Files that this process has
    read before, and that are as they were, are not checked again.
    """
    return _rulebook(folder, tuple((path.name, _content(path)) for path in sorted(folder.glob("*.yaml"))))


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None  # told in full when it is read for its rules


@lru_cache(maxsize=8)
def _rulebook(folder: Path, _contents: tuple[tuple[str, bytes | None], ...]) -> Rulebook:
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
    _check_references(files)
    problems.extend(problem for file in files for problem in file.document.problems)
    if not (folder / f"{HOUSE}.yaml").exists():
        problems.append(Problem(str(folder / f"{HOUSE}.yaml"), 0, "no such file; the lender's own rules stand there"))
    problems.extend(problem for file in files for problem in _forceless_holds(file))
    if problems:
        raise PolicyError(problems)
    house = next(file.head for file in files if file.path.stem == HOUSE)
    assert house is not None
    off = frozenset(house.switched_off)
    counting = [(row, file.path.stem == HOUSE) for file in files for row in file.of(CountingRow) if row.id not in off]
    packs = {pack.jurisdiction: pack for pack in (_pack(file, counting, off) for file in files)}
    named = {name for pack in packs.values() for rule in pack.closed_days for name in rule.calendars}
    named |= {rule.calendar for pack in packs.values() for rule in pack.notices if rule.calendar}
    return Rulebook(
        digest.hexdigest()[:12],
        packs,
        {name: calendar(name) for name in sorted(named)},
        fail_closed=house.unreviewed_subdivisions is Unreviewed.REVIEW,
    )


def _read(path: Path) -> _Read:
    document = read_document(path)
    document.subject = lambda place: _subject(document, place)
    head = check(document, (), PackRow)
    if head is not None and head.jurisdiction != path.stem:
        document.report(("jurisdiction",), f"jurisdiction {head.jurisdiction} belongs in {head.jurisdiction}.yaml")
    if path.stem != HOUSE:
        for key in ("switched_off", "unreviewed_subdivisions"):
            if document.at((key,)) is not None:
                document.report((key,), f"{key} belongs in {HOUSE}.yaml, the lender's own rules", of_key=True)
    rows = [
        (place, row)
        for section, kind in SECTIONS.items()
        for place in document.blocks(section)
        if (row := check(document, place, kind)) is not None
    ]
    return _Read(path, document, head, rows)


def _pack(file: _Read, counting: list[tuple[CountingRow, bool]], off: frozenset[str]) -> Pack:
    assert file.head is not None
    rules = [_counted(rule, counting) for _, row in file.rows if row.id not in off for rule in row.rules()]
    return Pack.of(file.head.jurisdiction, rules, inherits=file.head.inherits, name=file.head.name)


def _counted(rule: Rule, counting: list[tuple[CountingRow, bool]]) -> Rule:
    """A cap or cooldown that knows what it leaves uncounted."""
    if not isinstance(rule, Cap | Cooldown):
        return rule
    of_it = [row for row, of_the_house in counting if rule.id in row.of or (of_the_house and not row.of)]
    uncounted = frozenset(word for row in of_it for word in row.uncounted)
    return replace(rule, uncounted=uncounted, consent_days=max((row.consent_days for row in of_it), default=0))


def _ids(document: Document) -> Iterator[object]:
    return (document.at((*place, "id")) for section in SECTIONS for place in document.blocks(section))


def _check_references(files: list[_Read]) -> None:
    """Ids that rules name must exist; what is switched off must be the lender's own to switch off."""
    known = {row.id: row for file in files for _, row in file.rows}
    # A rule with a fault of its own is told of once.
    faulty = {name for file in files for name in _ids(file.document)} - known.keys()
    for file in files:
        for number, name in enumerate(file.head.switched_off if file.head and file.path.stem == HOUSE else ()):
            place = ("switched_off", number)
            if name in faulty:
                continue
            if name not in known:
                file.document.report(place, f"switched_off names {name}, which is no rule")
            elif known[name].strength is not Strength.POLICY:
                message = f"{name} is law ({known[name].strength}); only house policies can be switched off"
                file.document.report(place, message)
        for place, row in file.rows:
            if not isinstance(row, CountingRow):
                continue
            if not row.of and file.path.stem != HOUSE:
                file.document.report(place, "needs 'of', the caps and cooldowns it qualifies")
            for number, name in enumerate(row.of):
                if name not in faulty and not isinstance(known.get(name), CapRow | CooldownRow):
                    file.document.report((*place, "of", number), f"of names {name}, which is no cap or cooldown")


def _check_ids(files: list[_Read]) -> None:
    first: dict[str, tuple[_Read, Place]] = {}
    for file in files:
        for section in SECTIONS:
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
    given = {(row.hold, party) for row in file.of(HoldRow) for party in row.applies_to}
    return [
        Problem(file.document.file, 0, f"has no rule for hold {kind} and {party}; recorded, it would block nothing")
        for kind in HoldKind
        for party in Party
        if (kind, party) not in given
    ]


def _subject(document: Document, place: Place) -> str:
    match place:
        case (str(section), int(number), *_) if section in SECTIONS:
            name = document.at((section, number, "id"))
            return f"rule {name!r}: " if isinstance(name, str) else f"{section} {number + 1}: "
        case _:
            return ""
