"""Agencies, law firms and print houses: one file each in `policies/partners/`."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from arrears.engine.partners import Codes, HandOff, Layout, Partner, PartnerKind, Partners, PublicKey, Takes
from arrears.policies.amounts import read_amounts
from arrears.policies.check import Row, check
from arrears.policies.commission import CommissionRow
from arrears.policies.document import Document
from arrears.policies.fields import Days, Name, Text, matching, one_of, wrong_block
from arrears.policies.keys import KeyUnusable, read_age_key, read_openpgp_key
from arrears.policies.problems import PolicyError, Problem
from arrears.policies.source import read_document

_ANSWERS_WITHIN: Final = 5
_COUNTRY: Final = matching(re.compile(r"[A-Z]{2}"), "country", "two capital letters, such as US")
# Characters of a recall's reason.
_CODE_LENGTH: Final = {Layout.LATITUDE_AIM: 3, Layout.YGC: 8}
_REGION: Final = matching(re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}"), "region", "country and region, such as US-NY")


class DpdRow(Row):
    """`{least: 90, most: 365}`, both included."""

    least: Days | None = None
    most: Days | None = None


class BalanceRow(Row):
    """`{least: {USD: "100.00"}, most: {USD: "25000"}}`, both included."""

    least: Annotated[dict[str, Text], Field(default_factory=dict)]
    most: Annotated[dict[str, Text], Field(default_factory=dict)]


class TakesRow(Row):
    """Which accounts the partner works; every key may be left out."""

    countries: Annotated[list[Annotated[str, _COUNTRY]], Field(default_factory=list)]
    regions: Annotated[list[Annotated[str, _REGION]], Field(default_factory=list)]
    balance: Annotated[BalanceRow, Field(default_factory=lambda: BalanceRow.model_validate({}))]
    dpd: DpdRow = DpdRow()


class EncryptRow(Row):
    """`{age: age1…}` or `{openpgp: FILE}`."""

    age: Text | None = None
    openpgp: Text | None = None

    @model_validator(mode="after")
    def _one_way(self) -> EncryptRow:
        if (self.age is None) == (self.openpgp is None):
            raise wrong_block("encrypt needs one of age or openpgp")
        return self


class HandOffRow(Row):
    """`{to: "sftp://user@host:22/inbox", from: "sftp://user@host:22/outbox"}`; every key may be left out."""

    to: Text | None = None
    since: date | None = None
    takes_from: Annotated[str | None, Field(alias="from", min_length=1)] = None


class CodesRow(Row):
    """`{ours: NJ750, theirs: OZ12, recall: {paid: PIF}}`."""

    ours: Annotated[str, Field(min_length=1, max_length=10)] | None = None
    theirs: Annotated[str, Field(min_length=1, max_length=30)] | None = None
    recall: Annotated[dict[str, Text], Field(default_factory=dict)]


class PartnerRow(Row):
    """The head of a partner's file."""

    partner: Name
    kind: Annotated[PartnerKind, one_of(PartnerKind, "kind of partner")]
    layout: Annotated[Layout, one_of(Layout, "layout")] = Layout.ARREARS_CSV
    description: str = ""
    takes: Annotated[TakesRow, Field(default_factory=lambda: TakesRow.model_validate({}))]
    share: Annotated[int, Field(ge=1, le=1000)] = 1
    capacity: Annotated[int | None, Field(ge=0, le=100_000_000)] = None
    never_again: bool = True
    encrypt: EncryptRow | None = None
    hand_off: HandOffRow | None = None
    codes: CodesRow | None = None
    commission: CommissionRow | None = None
    answers_within_days: Annotated[int | None, Field(ge=1, le=365)] = None


def load_partner(path: Path) -> Partner:
    """The partner in one file. Raises PolicyError with every problem of the file, each with its line."""
    document = read_document(path)
    row = check(document, (), PartnerRow)
    if row is None:
        document.settle()
    assert row is not None, "what is not reported is there"
    partner = Partner(
        name=row.partner,
        kind=row.kind,
        layout=row.layout,
        takes=_takes(document, row.takes),
        share=row.share,
        capacity=row.capacity,
        never_again=row.never_again,
        key=_key(document, row.encrypt, path.parent.parent),
        hand_off=_hand_off(document, row.hand_off),
        codes=_codes(document, row),
        commission=row.commission.commission() if row.commission is not None else None,
        answers_within=_answers_within(row),
    )
    document.settle()
    return partner


def _answers_within(row: PartnerRow) -> int | None:
    """Whoever leaves files for us answers within five days, unless its file says otherwise."""
    if row.answers_within_days is None and row.hand_off is not None and row.hand_off.takes_from is not None:
        return _ANSWERS_WITHIN
    return row.answers_within_days


def load_partners(folder: Path) -> Partners:
    """All partners of `folder`, which may be missing. Raises PolicyError with every problem of every file."""
    problems: list[Problem] = []
    partners: dict[str, Partner] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            partner = load_partner(path)
        except PolicyError as error:
            problems.extend(error.problems)
            continue
        if path.stem != partner.name:
            problems.append(Problem(str(path), 0, f"holds {partner.name}; expected {partner.name}.yaml"))
        partners[partner.name] = partner
    if problems:
        raise PolicyError(problems)
    return Partners(partners)


def _takes(document: Document, row: TakesRow) -> Takes:
    least = read_amounts(document, ("takes", "balance", "least"), row.balance.least)
    most = read_amounts(document, ("takes", "balance", "most"), row.balance.most)
    for currency in least.keys() & most.keys():
        if least[currency] > most[currency]:
            document.report(("takes", "balance", "most", currency), f"the most in {currency} is below the least")
    if row.dpd.least is not None and row.dpd.most is not None and row.dpd.least > row.dpd.most:
        document.report(("takes", "dpd", "most"), f"most {row.dpd.most} is below least {row.dpd.least}")
    return Takes(frozenset(row.countries), frozenset(row.regions), least, most, row.dpd.least, row.dpd.most)


def _key(document: Document, row: EncryptRow | None, policies: Path) -> PublicKey | None:
    """The partner's key; a file is looked for from the folder of policies."""
    if row is None:
        return None
    try:
        return read_age_key(row.age) if row.age is not None else read_openpgp_key(policies / str(row.openpgp))
    except KeyUnusable as error:
        document.report(("encrypt", "openpgp" if row.age is None else "age"), str(error))
        return None


def _hand_off(document: Document, row: HandOffRow | None) -> HandOff:
    if row is None:
        return HandOff()
    for key, url in (("to", row.to), ("from", row.takes_from)):
        fault = _fault(url) if url is not None else ""
        if fault:
            document.report(("hand_off", key), f"{key} {fault}")
    return HandOff(row.to or "", row.takes_from or "", row.since)


def _codes(document: Document, row: PartnerRow) -> Codes:
    codes = row.codes
    if row.layout is Layout.YGC and (codes is None or not codes.ours or not codes.theirs):
        document.report(("layout",), "layout ygc needs codes: {ours: FORW_ID, theirs: FIRM_ID}")
    if codes is None:
        return Codes()
    longest = _CODE_LENGTH.get(row.layout, 0)
    for reason, code in codes.recall.items():
        if len(code) > longest:
            document.report(("codes", "recall", reason), f"{code!r} is too long; {row.layout} has room for {longest}")
    return Codes(codes.ours or "", codes.theirs or "", codes.recall)


def _fault(url: str) -> str:
    """What is wrong with a folder's address, which is not shown: a secret may stand in it."""
    # Only who hands files over pays for the import.
    from fsspec.registry import available_protocols  # pyright: ignore[reportMissingTypeStubs]

    expected = "expected one such as sftp://user@host:22/inbox or file:///srv/inbox"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return f"is no address; {expected}"
    if parts.password is not None:
        return "holds a password; leave it out, and use a key of the ssh agent or of ~/.ssh/config"
    if not parts.scheme or not parts.path:
        return f"is no address of a folder; {expected}"
    if parts.scheme not in available_protocols():
        return f"has the unknown scheme {parts.scheme!r}; {expected}"
    if parts.scheme in ("sftp", "ssh") and not parts.hostname:
        return f"names no host; {expected}"
    return ""
