"""On the way to court: what a firm gets, what it does not get without, who agrees, and what it reports."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

import models
from arrears.clock import VirtualClock
from arrears.engine.life.placements import ReferralReport
from arrears.engine.referral import DocumentKind
from arrears.operations.agencies import ReportRefused, report_referral
from arrears.operations.documents import DocumentRefused, Supplied, documents_of, supply
from arrears.operations.evidence import gather
from arrears.operations.pay import ChargeKind, charge, pay
from arrears.operations.referred import all_referrals
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services, open_services
from arrears.operations.show import show
from arrears.operations.steer import SteeringRefused, approve, questions
from arrears.policies.problems import PolicyError
from arrears.settings import ROOT, Settings
from tests.conftest import START, a_row
from tests.integration.stories import Portfolio, at, last, take_in, until

LADDER = """\
ladder: card-standard
version: 1
hours_between_contacts: 0
rungs:
  - {rung: letter-1, stage: letter, template: reminder, due: {dpd: 2, at: "09:00"}, late: go}
  - rung: legal-1
    stage: legal
    template: referral
    firm: baker-lynch
    due: {dpd: 5, at: "09:00"}
    late: go
    requires: [{done: letter-1}, approved]
"""
AGREEMENT = b"%PDF-1.7 agreement"
STATEMENTS = b"%PDF-1.7 statements"


@pytest.fixture
def to_court(settings: Settings, clock: VirtualClock, tmp_path: Path, portfolio: Portfolio) -> Iterator[Services]:
    """A New Yorker five days past due, on a ladder of a letter and a referral to a firm, with 12,000.50 to pay."""
    policies = tmp_path / "policies"
    shutil.copytree(ROOT / "policies", policies, ignore=shutil.ignore_patterns("ladders"))
    (policies / "ladders").mkdir()
    (policies / "ladders" / "card-standard.yaml").write_text(LADDER)
    # The law's own notices before suit have their tests elsewhere.
    services = open_services(settings.model_copy(update={"policies": policies})).at(clock)
    take_in(services, portfolio(a_row(balance="12000.50")))
    until(services, 6)
    yield services
    services.close()


def give(services: Services, kind: str, content: bytes, reference: str, **more: Any) -> Supplied:
    return supply(
        services,
        "A-1",
        DocumentKind(kind),
        content,
        name="x.pdf",
        reference=reference,
        at=at(services),
        who="t",
        **more,
    )


def waits(services: Services) -> str:
    return (show(services, "A-1")["next"] or {}).get("reason", "")


def test_nothing_reaches_a_firm_without_its_documents_and_two_names(to_court: Services) -> None:
    wanted = "legal-1 waits for a person's approval; it lacks card_agreement, statements"
    assert waits(to_court) == wanted
    [item] = [w for w in waiting_for_people(to_court) if w.do.startswith("arrears legal documents")]
    assert item.reason == "not on file: legal-1: card_agreement, statements"
    asked = dict(questions(to_court, "A-1", "legal-1", at=at(to_court)))
    assert "3 years from 2026-08-01, first missed due date" in asked["LIMITATION-US-NY"]
    assert asked["DOCUMENTS"] == "not on file: card_agreement, statements"

    first = approve(to_court, "A-1", "legal-1", by="Dana  Whitfield", at=at(to_court))
    assert (first.new, first.missing) == (True, 1)
    with pytest.raises(SteeringRefused, match="the second approval must be another's"):
        approve(to_court, "A-1", "legal-1", by="dana whitfield", at=at(to_court))
    until(to_court, 7)
    assert waits(to_court) == "legal-1 waits for a second person's approval; it lacks card_agreement, statements"
    assert approve(to_court, "A-1", "legal-1", by="Lee Lawyer", at=at(to_court)).missing == 0
    assert approve(to_court, "A-1", "legal-1", by="A. Third", at=at(to_court)).new is False
    until(to_court, 8)
    assert waits(to_court) == "legal-1 must not leave yet: it lacks card_agreement, statements"
    assert not (to_court.settings.outbox / "legal").exists()

    assert give(to_court, "card_agreement", AGREEMENT, "AGR-1").lacks == "statements"
    assert give(to_court, "card_agreement", AGREEMENT, "AGR-1").new is False
    with pytest.raises(DocumentRefused, match="already used for another"):
        give(to_court, "card_agreement", STATEMENTS, "AGR-1")
    with pytest.raises(DocumentRefused, match="is no PDF"):
        give(to_court, "statements", b"PK", "ST-1")
    assert give(to_court, "statements", STATEMENTS, "ST-1").lacks == ""
    assert [w for w in waiting_for_people(to_court) if "documents" in w.do] == [], "answered by what came in"

    until(to_court, 9)
    [referral] = all_referrals(to_court, limit=9)
    assert (referral["firm"], referral["approved_by"]) == ("baker-lynch", "Dana Whitfield, Lee Lawyer")
    path = to_court.settings.outbox / referral["file"]
    manifest = json.loads(path.with_suffix("").with_suffix(".manifest.json").read_text())
    assert (manifest["sha256"], manifest["documents"]) == (referral["sha256"], ["AGR-1", "ST-1"])
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as pack:
        assert pack.read("documents/card_agreement.pdf") == AGREEMENT
        assert pack.read("documents/statements.pdf") == STATEMENTS
        assert {"itemization.pdf", "affidavit-draft.pdf", "letters/letter-1.pdf"} <= set(pack.namelist())
    members, missing = gather(to_court, "A-1", now=at(to_court))
    assert missing == []
    assert json.loads(members["account.json"])["approvals"][0]["by"] == "Dana Whitfield"


def test_approvals_lapse_but_never_once_the_referral_is_made(to_court: Services) -> None:
    give(to_court, "card_agreement", AGREEMENT, "AGR-1")
    give(to_court, "statements", STATEMENTS, "ST-1")
    approve(to_court, "A-1", "legal-1", by="Dana Whitfield", at=at(to_court))
    charge(to_court, "A-1", ChargeKind.FEE, "1500.00", reference="F-1", at=at(to_court), source="test", who="test")
    until(to_court, 7)
    changed = "the balance has changed by more than 10 percent since"
    assert waits(to_court) == f"legal-1 waits for a person's approval again: {changed}"
    assert show(to_court, "A-1")["approvals"][0]["lapsed"] == changed
    approve(to_court, "A-1", "legal-1", by="Dana Whitfield", at=at(to_court))
    until(to_court, 98)
    assert show(to_court, "A-1")["approvals"][1]["lapsed"] == "an approval holds for 90 days"
    assert [
        approve(to_court, "A-1", "legal-1", by=name, at=at(to_court)).missing
        for name in ("Lee Lawyer", "Dana Whitfield")
    ] == [1, 0], "what has lapsed does not count as the first of two"
    until(to_court, 99)
    pay(to_court, "A-1", "6000.00", reference="P-1", at=at(to_court), source="test", who="test")
    until(to_court, 300)
    lapsed = [given["lapsed"] for given in show(to_court, "A-1")["approvals"]]
    assert last(to_court, "legal-1")["status"] == "done"
    assert lapsed == [None] * 4, "what the referral was made on stands"


def test_a_document_changed_on_disk_keeps_the_referral_back_until_it_is_put_right(to_court: Services) -> None:
    give(to_court, "card_agreement", AGREEMENT, "AGR-1")
    give(to_court, "statements", STATEMENTS, "ST-1")
    for name in ("Dana Whitfield", "Lee Lawyer"):
        approve(to_court, "A-1", "legal-1", by=name, at=at(to_court))
    stored = next(path for path in to_court.settings.documents.rglob("*.pdf") if path.read_bytes() == AGREEMENT)
    stored.write_bytes(b"%PDF-1.7 forged")
    until(to_court, 8)
    assert last(to_court, "legal-1")["status"] == "planned"
    assert "its digest differs" in last(to_court, "legal-1")["reason"]
    assert [w.account_id for w in waiting_for_people(to_court) if "its digest differs" in w.reason] == ["A-1"]
    assert not (to_court.settings.outbox / "legal").exists()

    give(to_court, "card_agreement", AGREEMENT, "AGR-1")
    letter = next((to_court.settings.outbox / "letters").rglob("*.pdf"))
    kept = letter.read_bytes()
    letter.unlink()
    until(to_court, 9)
    assert "is not in the outbox" in last(to_court, "legal-1")["reason"]
    letter.write_bytes(kept)
    until(to_court, 11)
    assert last(to_court, "legal-1")["status"] == "done"
    assert len(list((to_court.settings.outbox / "legal").rglob("*.zip"))) == 1


def test_a_firm_reports_back_and_what_needs_a_person_is_on_the_list(to_court: Services) -> None:
    give(to_court, "card_agreement", AGREEMENT, "AGR-1")
    give(to_court, "statements", STATEMENTS, "ST-1")
    for name in ("Dana Whitfield", "Lee Lawyer"):
        approve(to_court, "A-1", "legal-1", by=name, at=at(to_court))
    until(to_court, 8)

    def told(report: str, reference: str, detail: str = "") -> str:
        [referral] = all_referrals(to_court, limit=1)
        report_referral(
            to_court, referral["referral"], ReferralReport(report), detail=detail, reference=reference,
            at=at(to_court), source="test", who="test",
        )  # fmt: skip
        return all_referrals(to_court, limit=1)[0]["status"]

    with pytest.raises(ReportRefused, match="must say which"):
        told("documents_wanted", "C-0")
    assert told("accepted", "C-1") == "accepted"
    assert told("documents_wanted", "C-2", "the statement of May") == "documents_wanted"
    assert all_referrals(to_court, limit=1)[0]["detail"] == "the statement of May"
    assert any(w.reason.endswith("documents wanted") for w in waiting_for_people(to_court))
    assert told("suit_filed", "C-3", "27-CV-1") == "suit_filed"
    assert told("accepted", "C-4") == "suit_filed", "late news takes nothing back"
    assert told("settled", "C-5", "half") == "settled"
    assert told("dismissed", "C-6") == "settled", "it was over"
    assert any(w.reason.endswith("settled") for w in waiting_for_people(to_court))


def test_a_limit_that_comes_near_is_told_once_though_nobody_looks_at_the_case(to_court: Services) -> None:
    shown = show(to_court, "A-1")["limitation"]
    assert (shown["rule"], shown["ends"], shown["time_barred"]) == ("LIMITATION-US-NY", "2029-08-01", False)

    def told() -> list[str]:
        return [w.reason for w in waiting_for_people(to_court) if "time-barred" in w.reason]

    ends = (START + timedelta(days=1096)).date()
    assert ends.isoformat() == shown["ends"]
    until(to_court, 1096 - 182)
    assert told() == []
    until(to_court, 1096 - 170)
    assert told() == ["not in court, and time-barred from 2029-08-01, in 170 days"]
    until(to_court, 1096 - 100)
    assert len(told()) == 1
    until(to_court, 1097)
    assert show(to_court, "A-1")["limitation"]["time_barred"] is True
    # Though the ladder does not ask, and two people agree.
    for name in ("Dana Whitfield", "Lee Lawyer"):
        approve(to_court, "A-1", "legal-1", by=name, at=at(to_court))
    give(to_court, "card_agreement", AGREEMENT, "AGR-1")
    give(to_court, "statements", STATEMENTS, "ST-1")
    until(to_court, 1100)
    assert (last(to_court, "legal-1")["status"], all_referrals(to_court, limit=1)) == ("skipped", [])
    assert last(to_court, "legal-1")["reason"] == "the claim is time-barred since 2029-08-01"


def test_a_sold_debt_needs_a_whole_chain_of_title(to_court: Services) -> None:
    give(to_court, "card_agreement", AGREEMENT, "AGR-1")
    give(to_court, "statements", STATEMENTS, "ST-1")
    day = START.date()
    with pytest.raises(DocumentRefused, match="a bill of sale, and nothing else"):
        give(to_court, "bill_of_sale", AGREEMENT, "BOS-1")
    sold = give(to_court, "bill_of_sale", b"%PDF-1", "BOS-1", sale=("First Bank", "Alpha LLC", day))
    assert sold.lacks == "bill_of_sale for a gap in the chain of title"
    assert documents_of(to_court, "A-1").gaps == (("Alpha LLC", "Example Bank"),)
    assert give(to_court, "bill_of_sale", b"%PDF-2", "BOS-2", sale=("Alpha LLC", "EXAMPLE BANK", day)).lacks == ""
    with to_court.ledger.read() as session:
        assert len(session.exec(select(models.LegalDocument)).all()) == 4


def test_a_referral_policy_that_makes_no_sense_is_refused_by_file_and_line(settings: Settings, tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    shutil.copytree(ROOT / "policies", policies)
    (policies / "referrals" / "US.yaml").unlink()
    (policies / "referrals" / "default.yaml").write_text("place: default\npapers: [cover-sheet]\nlocal: x\n")
    with pytest.raises(PolicyError, match=r"default.yaml:3: .*unknown key 'local'"):
        open_services(settings.model_copy(update={"policies": policies}))
