"""A partner's file that cannot be used says what is wrong, where, and what was expected; all of it at once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pysequoia
import pytest
from pysequoia.packet import PacketPile, Tag

from arrears.engine.commission import AgeOf, ByAge, ByTarget, Commission, Step
from arrears.engine.partners import AgeKey, HandOff, Layout, OpenPgpKey, PartnerKind, Takes
from arrears.policies.partners import load_partner, load_partners
from arrears.policies.problems import PolicyError
from arrears.settings import ROOT
from tests.builders import POLICIES
from tests.unit.policies.mistakes import mistakes

AGE = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
GOOD = f"""\
partner: northside
kind: agency
layout: latitude-aim
takes:
  countries: [US]
  regions: [US-NY, US-NJ]
  balance: {{least: {{USD: "100.00"}}, most: {{USD: "25000"}}}}
  dpd: {{least: 90, most: 365}}
share: 60
capacity: 5000
encrypt:
  age: {AGE}
hand_off:
  to: sftp://bank@sftp.example:2222/inbox
  from: file:///srv/northside
commission:
  by_age: {{of: debt, bands: [{{from: 0, percent: 18}}, {{from: 180, percent: 22.5}}]}}
  further: {{by_target: {{tiers: [{{from: 0, percent: "30"}}, {{from: 12.5, percent: "35"}}]}}}}
  tolerance: 1
answers_within_days: 7
"""


def load(text: str, policies: Path):
    path = policies / "partners" / "northside.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return load_partner(path)


def problems_of(text: str, policies: Path) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        load(text, policies)
    return [str(problem).replace(f"{policies}/", "") for problem in caught.value.problems]


def test_a_good_file_says_everything(tmp_path: Path):
    partner = load(GOOD, tmp_path)
    assert (partner.name, partner.kind, partner.layout) == ("northside", PartnerKind.AGENCY, Layout.LATITUDE_AIM)
    assert partner.takes == Takes(
        frozenset({"US"}), frozenset({"US-NY", "US-NJ"}), {"USD": 10_000}, {"USD": 2_500_000}, 90, 365
    )
    assert (partner.share, partner.capacity, partner.never_again) == (60, 5000, True)
    assert partner.key == AgeKey(AGE)
    assert partner.hand_off == HandOff("sftp://bank@sftp.example:2222/inbox", "file:///srv/northside")
    assert partner.commission == Commission(
        ByAge(AgeOf.DEBT, (Step(0, 1800), Step(180, 2250))), ByTarget((Step(0, 3000), Step(1250, 3500))), tolerance=1
    )
    assert partner.answers_within == 7


@pytest.mark.parametrize(("good", "bad", "message"), mistakes("partner_mistakes.txt"))
def test_each_mistake_is_told_with_its_line(good: str, bad: str, message: str, tmp_path: Path):
    assert GOOD.count(good) == 1
    assert problems_of(GOOD.replace(good, bad), tmp_path) == [message]


def test_an_openpgp_certificate_is_read_from_the_folder_of_policies(tmp_path: Path):
    certificate = pysequoia.Tsk.generate(user_id="Northside <files@northside.example>").extract_certificate()
    (tmp_path / "northside.asc").write_text(str(certificate))
    partner = load(GOOD.replace(f"age: {AGE}", "openpgp: northside.asc"), tmp_path)
    assert isinstance(partner.key, OpenPgpKey)
    assert partner.key.fingerprint == certificate.fingerprint


@pytest.mark.parametrize("armored", [True, False])
def test_a_private_key_is_no_key_for_us(armored: bool, tmp_path: Path):
    key = pysequoia.Tsk.generate(user_id="Northside <files@northside.example>")
    (tmp_path / "northside.asc").write_bytes(str(key).encode() if armored else bytes(key))
    [problem] = problems_of(GOOD.replace(f"age: {AGE}", "openpgp: northside.asc"), tmp_path)
    assert problem.startswith("partners/northside.yaml:12: key file northside.asc holds a private key;")


def test_a_private_key_of_age_is_not_repeated(tmp_path: Path):
    secret = str(pyrage.x25519.Identity.generate())
    [problem] = problems_of(GOOD.replace(AGE, secret), tmp_path)
    assert problem.startswith("partners/northside.yaml:12: is a private key of age;")
    assert secret not in problem


def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path):
    [problem] = problems_of(GOOD.replace("bank@sftp", "bank:sesame@sftp"), tmp_path)
    assert problem.startswith("partners/northside.yaml:14: to holds a password; leave it out")
    assert "sesame" not in problem


def test_a_file_is_named_after_its_partner(tmp_path: Path):
    load(GOOD, tmp_path)
    (tmp_path / "partners" / "northside.yaml").rename(tmp_path / "partners" / "southbank.yaml")
    with pytest.raises(PolicyError, match=r"southbank\.yaml: holds northside; expected northside\.yaml"):
        load_partners(tmp_path / "partners")


def test_the_partners_that_come_with_the_program_load_and_none_is_needed(tmp_path: Path):
    assert "northside" in load_partners(POLICIES / "partners").by_name
    nobody = load_partners(tmp_path / "partners")
    assert nobody.named("northside").layout is Layout.ARREARS_CSV


def test_a_key_that_has_run_out_stops_nothing_but_its_files(tmp_path: Path):
    (tmp_path / "northside.asc").write_bytes((ROOT / "tests" / "data" / "expired_key.asc").read_bytes())
    partner = load(GOOD.replace(f"age: {AGE}", "openpgp: northside.asc"), tmp_path)
    assert isinstance(partner.key, OpenPgpKey)
    assert partner.key.expires == datetime(2021, 12, 31, tzinfo=UTC)


def test_a_certificate_that_only_signs_is_refused(tmp_path: Path):
    packets = list(PacketPile.from_file(str(ROOT / "tests" / "data" / "expired_key.asc")))
    subkey = next(number for number, packet in enumerate(packets) if packet.tag == Tag.PublicSubkey)
    (tmp_path / "northside.asc").write_bytes(bytes(pysequoia.Cert.from_packets(packets[:subkey])))
    [problem] = problems_of(GOOD.replace(f"age: {AGE}", "openpgp: northside.asc"), tmp_path)
    assert problem.startswith("partners/northside.yaml:12: key file northside.asc holds no key for encryption")
