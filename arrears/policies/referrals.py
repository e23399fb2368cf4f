"""What a legal referral holds, by place: one file each in `policies/referrals/`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from arrears.engine.approval import ApprovalTerms
from arrears.engine.money import Money, MoneyError
from arrears.engine.referral import DocumentKind, DocumentNeed, Needed
from arrears.policies.check import Row, check
from arrears.policies.document import Document, Place
from arrears.policies.fields import Days, Name, Text, matching, one_of
from arrears.policies.problems import PolicyError, Problem
from arrears.policies.rule_rows import Evidence
from arrears.policies.source import read_document

DEFAULT = "default"
_PLACE = matching(re.compile(r"default|[A-Z]{2}(-[A-Z0-9]{1,3})?"), "place", "default, US or US-NY")
_LOCALE = matching(re.compile(r"[a-z]{2}-[A-Z]{2}"), "locale", "one such as en-US")
KindWord = Annotated[DocumentKind, one_of(DocumentKind, "kind of document")]


class DocumentRow(Row):
    """A document that the lender supplies."""

    document: KindWord
    title: Text
    needed: Annotated[Needed, one_of(Needed, "word for when it is needed")]
    instead: Annotated[list[KindWord], Field(default_factory=list)]
    source: Text
    evidence: Annotated[Evidence, one_of(Evidence, "kind of evidence")]
    verified: bool
    note: str = ""


class AskRow(Row):
    """Something the law wants a claim to say or to show; `found_in`: the paper or document of the pack that has it."""

    ask: Text
    says: Text
    found_in: Text
    source: Text
    evidence: Annotated[Evidence, one_of(Evidence, "kind of evidence")]
    verified: bool
    when: Annotated[Needed, one_of(Needed, "word for when it is needed")] = Needed.ALWAYS
    note: str = ""


class ApprovalRow(Row):
    """What an approval is worth."""

    second_approval_above: dict[str, Text]
    valid_days: Annotated[int, Field(ge=1, le=3650)]
    balance_changed_percent: Annotated[int, Field(ge=0, le=1000)]


class ReferralRow(Row):
    """A file: the default, a country's, or a region's on top of its country's."""

    place: Annotated[str, _PLACE]
    locale: Annotated[str, _LOCALE] | None = None
    papers: Annotated[list[Name], Field(default_factory=list)]
    documents: Annotated[list[DocumentRow], Field(default_factory=list)]
    asks: Annotated[list[AskRow], Field(default_factory=list)]
    approval: ApprovalRow | None = None
    limitation_warning_days: Days | None = None
    without_a_firm: Annotated[str, matching(re.compile("wait|leave"), "word", "wait or leave")] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What the law wants a claim to say, and where the pack says it."""

    id: str
    says: str
    found_in: str
    source: str
    verified: bool
    if_assigned: bool


@dataclass(frozen=True, slots=True)
class ReferralPolicy:
    """What a referral in one place holds. `warning_days`: how near the limitation may come before a person is told.

    `wait_without_a_firm`: also a referral that goes to no named firm waits for its documents.
    """

    locale: str
    papers: tuple[str, ...]
    documents: tuple[DocumentNeed, ...]
    asks: tuple[Ask, ...]
    approval: ApprovalTerms
    warning_days: int
    wait_without_a_firm: bool


@dataclass(frozen=True)
class Referrals:
    """Every place's file, by `default`, `US` or `US-NY`."""

    places: Mapping[str, ReferralRow]
    _merged: dict[tuple[str, str], ReferralPolicy] = field(default_factory=dict[tuple[str, str], ReferralPolicy])

    def policy(self, country: str, region: str) -> ReferralPolicy:
        """The country's (or the default) with the region's on top."""
        key = (country.strip().upper(), region.strip().upper())
        if key not in self._merged:
            self._merged[key] = self._merge(*key)
        return self._merged[key]

    @property
    def warning_days(self) -> int:
        """The most of any place: who is to be told early must be looked for early."""
        return max(row.limitation_warning_days or 0 for row in self.places.values())

    def papers(self) -> list[tuple[str, str, str]]:
        """Every place, the locale its papers are in, and a paper it wants."""
        found: list[tuple[str, str, str]] = []
        for place, row in self.places.items():
            country, _, region = place.partition("-")
            locale = self.policy("" if place == DEFAULT else country, region).locale
            found += [(place, locale, paper) for paper in row.papers]
        return found

    def _merge(self, country: str, region: str) -> ReferralPolicy:
        house = self.places[DEFAULT]
        own = self.places.get(country, house)
        part = self.places.get(f"{country}-{region}")
        rows = [own, part] if part else [own]
        needs = {row.document: _need(row) for file in rows for row in file.documents}
        assert house.approval is not None, "the loader has seen to it"
        approval = next(row.approval for row in (*reversed(rows), house) if row.approval is not None)
        return ReferralPolicy(
            locale=(part.locale if part else None) or own.locale or house.locale or "en-US",
            papers=tuple(dict.fromkeys(paper for file in rows for paper in file.papers)),
            documents=tuple(needs.values()),
            asks=tuple(_ask(row) for file in rows for row in file.asks),
            approval=ApprovalTerms(
                second_above={code: Money.parse(text, code) for code, text in approval.second_approval_above.items()},
                valid_days=approval.valid_days,
                changed_percent=approval.balance_changed_percent,
            ),
            warning_days=_first(rows, house, "limitation_warning_days"),
            wait_without_a_firm=_first(rows, house, "without_a_firm") == "wait",
        )


def _first(rows: list[ReferralRow], house: ReferralRow, key: str) -> Any:
    return next(value for row in (*reversed(rows), house) if (value := getattr(row, key)) is not None)


def _need(row: DocumentRow) -> DocumentNeed:
    return DocumentNeed(row.document, row.title, row.needed, row.source, row.verified, tuple(row.instead))


def _ask(row: AskRow) -> Ask:
    return Ask(row.ask, row.says, row.found_in, row.source, row.verified, row.when is Needed.IF_ASSIGNED)


def load_referrals(folder: Path) -> Referrals:
    """All files of `folder`. Raises PolicyError with every problem of every file, each with its line."""
    problems: list[Problem] = []
    places: dict[str, ReferralRow] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            row = _load(path)
        except PolicyError as error:
            problems.extend(error.problems)
            continue
        places[row.place] = row
    if not problems:
        problems.extend(_between(folder, places))
    if problems:
        raise PolicyError(problems)
    return Referrals(places)


def _load(path: Path) -> ReferralRow:
    document = read_document(path)
    row = check(document, (), ReferralRow)
    if row is not None:
        if path.stem != row.place:
            document.report(("place",), f"holds {row.place}; expected {row.place}.yaml")
        _check_money(document, row)
        _check_once(document, row)
    document.settle()
    assert row is not None, "what is not reported is there"
    return row


def _check_money(document: Document, row: ReferralRow) -> None:
    place: Place = ("approval", "second_approval_above")
    for currency, amount in row.approval.second_approval_above.items() if row.approval else ():
        try:
            Money.parse(amount, currency)
        except MoneyError as error:
            document.report((*place, currency), str(error))


def _check_once(document: Document, row: ReferralRow) -> None:
    for key, names in (("documents", [d.document for d in row.documents]), ("asks", [a.ask for a in row.asks])):
        for number, name in enumerate(names):
            if name in names[:number]:
                document.report((key, number), f"{name} stands twice")


def _between(folder: Path, places: Mapping[str, ReferralRow]) -> list[Problem]:
    """What holds between files: there is a default that says everything, and a region has its country."""
    house = places.get(DEFAULT)
    if house is None:
        return [Problem(str(folder), 0, f"holds no {DEFAULT}.yaml, which every other place falls back on")]
    needed = ("locale", "papers", "approval", "limitation_warning_days", "without_a_firm")
    found = [
        Problem(str(folder / f"{DEFAULT}.yaml"), 0, f"missing key {key!r}") for key in needed if not getattr(house, key)
    ]
    for place, row in places.items():
        country, _, region = place.partition("-")
        if region and country not in places:
            found.append(Problem(str(folder / f"{place}.yaml"), 0, f"has no {country}.yaml to stand on"))
        elif not region and not row.papers:
            found.append(Problem(str(folder / f"{place}.yaml"), 0, "missing key 'papers'"))
    return found
