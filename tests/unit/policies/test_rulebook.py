"""The contact rules as shipped, and what a broken rules folder says."""

from __future__ import annotations

import shutil
from datetime import date, time, timedelta
from pathlib import Path

import pytest

from arrears.engine.contact.facts import ContactChannel
from arrears.engine.contact.gate import gate
from arrears.engine.contact.rules import Cap, Cooldown
from arrears.engine.contact.verdict import Allow, Defer, Deny, Review
from arrears.engine.vocabulary import Party
from arrears.policies.calendars import CALENDAR_NAMES, calendar
from arrears.policies.contact_rules import load_rulebook
from arrears.policies.hold_kinds import HoldKind
from arrears.policies.problems import PolicyError
from arrears.settings import ROOT
from tests.builders import NOW, POLICIES, a_contact, a_hold, facts, shipped_rules
from tests.unit.policies.mistakes import mistakes

RULES = shipped_rules()
BY_ID = {rule.id: rule for pack in RULES.packs.values() for rule in pack.rules()}
RESEARCH = (ROOT / "tests" / "data" / "research_rule_ids.txt").read_text().split()

GOOD = """\
jurisdiction: US
name: United States
quiet_hours:
  - id: US-QH
    applies_to: [first_party]
    channels: [call]
    opens: "08:00"
    closes: "21:00"
    strength: hard
    evidence: primary
    verified: true
    source: a statute
closed_days:
  - id: US-DAY
    applies_to: [first_party]
    channels: [call]
    closed: {weekdays: [sunday]}
    strength: hard
    evidence: primary
    verified: true
    source: a statute
holds:
  - id: US-HOLD
    applies_to: [first_party]
    hold: BANKRUPTCY_STAY
    blocks: everything
    strength: hard
    evidence: primary
    verified: true
    source: a statute
"""


# The sections with more to get wrong, each with its own head; `mistakes` names a table for them.
MORE = """\
jurisdiction: US
name: United States
caps:
  - id: US-CAP
    applies_to: [first_party]
    channels: [call, sms]
    most: 2
    within: {days: 7}
    per: debt
    strength: hard
    evidence: primary
    verified: true
    source: a statute
counting:
  - id: US-COUNTING
    applies_to: [first_party]
    of: [US-CAP]
    uncounted: [busy]
    strength: hard
    evidence: primary
    verified: true
    source: a statute
notices:
  - id: US-NOTICE
    applies_to: [first_party]
    notice: default_notice
    before: [referral]
    calendar_days: 14
    template: default-notice
    strength: hard
    evidence: primary
    verified: true
    source: a statute
stage_gates:
  - id: US-GATE
    applies_to: [first_party]
    before: [referral]
    needs: [approval]
    strength: hard
    evidence: primary
    verified: true
    source: a statute
keywords:
  - id: US-WORDS
    applies_to: [first_party]
    channels: [sms]
    stop: [STOP]
    strength: hard
    evidence: primary
    verified: true
    source: a statute
retention:
  - id: US-RET
    applies_to: [first_party]
    records: calls
    years: 3
    strength: hard
    evidence: primary
    verified: true
    source: a statute
"""


def a_folder(folder: Path, **packs: str) -> Path:
    shutil.copy(POLICIES / "contact-rules" / "HOUSE.yaml", folder)
    for name, text in packs.items():
        (folder / f"{name.replace('_', '-')}.yaml").write_text(text)
    return folder


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        load_rulebook(folder)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_every_jurisdiction_of_the_research_has_a_pack():
    assert sorted(RULES.packs) == [
        "CN", "DE", "EU", "GB", "HOUSE", "IN", "US", "US-CA", "US-DC", "US-FL", "US-MA", "US-MD", "US-NH", "US-NV",
        "US-NY", "US-NY-NYC", "US-OK", "US-WA", "US-WV",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "opens", "closes"),
    [
        ("US-REGF-QH-1", 8, 21), ("US-FP-QH-POLICY", 8, 21), ("MA-QH-1", 8, 21), ("FL-QH-1", 8, 21),
        ("WV-QH-1", 8, 21), ("CA-QH-1", 8, 21), ("NH-QH-1", 8, 21), ("GB-QH-POLICY", 8, 21), ("CN-QH-CBA", 8, 22),
        ("CN-QH-GBT", 8, 22), ("IN-QH-RBI", 8, 19), ("HOUSE-QH", 8, 22),
    ],
)  # fmt: skip
def test_hours_are_those_of_the_research(rule: str, opens: int, closes: int):
    assert (BY_ID[rule].opens, BY_ID[rule].closes) == (time(opens), time(closes))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("rule", "most", "days", "per"),
    [
        ("US-REGF-FC-7IN7", 7, 7, "debt"), ("MA-FC-RES", 2, 7, "debt"), ("MA-FC-OTHER", 2, 30, "debt"),
        ("NYC-FC-OLD", 2, 7, "debt"), ("DC-FC-CALL", 4, 7, "debt"), ("DC-FC-EMSG", 5, 7, "debt"),
        ("WA-FC-1", 3, 7, "person"), ("WV-FC-CALL", 30, 7, "person"), ("WV-FC-CONV", 10, 7, "person"),
        ("NH-FC-WORK", 1, 30, "person"), ("FL-FC-SOLICIT", 3, 1, "person"), ("GB-FC-POLICY", 3, 7, "person"),
        ("CN-FC-3EFF", 3, 1, "person"), ("CN-FC-6TRY", 6, 1, "number"),
    ],
)  # fmt: skip
def test_caps_are_those_of_the_research(rule: str, most: int, days: int, per: str):
    cap = BY_ID[rule]
    assert isinstance(cap, Cap)
    assert (cap.most, cap.length, cap.per) == (most, timedelta(days=days), per)
    assert cap.uncounted == {"busy", "not_in_service", "not_connected"}


def test_every_rule_of_the_research_is_here():
    # A rule that counts nothing itself qualifies others; limitation periods stand in a file of their own.
    qualifying = {"US-REGF-FC-EXCL"}
    assert [rule for rule in RESEARCH if rule not in BY_ID and rule not in qualifying] == []
    assert len(RESEARCH) == len(set(RESEARCH)) == 151


def test_only_the_calls_of_regulation_f_are_freed_by_a_request_to_be_called():
    freed = {rule.id for rule in BY_ID.values() if isinstance(rule, Cap | Cooldown) and rule.consent_days}
    assert freed == {"US-REGF-FC-7IN7", "US-REGF-CD-CONV"}


def test_a_rule_that_is_judged_says_when_it_must_be_read_again():
    judged = [rule for pack in RULES.packs.values() for rule in pack.judged()]
    assert [rule.id for rule in judged if rule.review_by is None] == []


def test_what_nobody_has_read_is_never_law():
    assert [rule.id for rule in BY_ID.values() if not rule.verified and rule.strength != "policy"] == []


def test_house_hours_are_never_stricter_than_a_law_that_knows_better():
    house = next(iter(RULES.packs["HOUSE"].windows))
    assert all(w.opens >= house.opens and w.closes <= house.closes for w in RULES.packs["CN"].windows)
    assert not house.channels & {ContactChannel.LETTER, ContactChannel.PLACEMENT, ContactChannel.REFERRAL}


@pytest.mark.parametrize("channel", ["letter", "placement", "referral"])
@pytest.mark.parametrize("place", sorted(set(RULES.packs) - {"HOUSE"}))
def test_letters_placement_and_referral_have_no_clock_anywhere(place: str, channel: str):
    packs = RULES.matching((place,)) or ()
    timed = [rule for pack in packs for rule in (*pack.windows, *pack.closed_days)]
    assert not any(ContactChannel(channel) in rule.channels for rule in timed)


def test_one_rule_with_hours_and_closed_days_keeps_one_id():
    germany = RULES.packs["DE"]
    assert [rule.id for rule in (*germany.windows, *germany.closed_days)] == ["DE-QH-POLICY", "DE-QH-POLICY"]


def test_british_bank_holidays_are_those_of_england_and_wales():
    days = calendar("gb_bank_holidays")
    assert {date(2026, 12, 25), date(2026, 12, 28), date(2026, 4, 6), date(2026, 8, 31)} <= days
    assert date(2026, 11, 30) not in days  # St Andrew's Day, Scotland's
    assert all(isinstance(calendar(name), frozenset) for name in CALENDAR_NAMES)


@pytest.mark.parametrize("party", list(Party))
@pytest.mark.parametrize("kind", list(HoldKind))
def test_a_recorded_hold_always_blocks_something_even_where_no_law_is_known(kind: HoldKind, party: Party):
    about = facts(a_hold(kind), places=("XX",))
    verdicts = {
        channel: gate(a_contact(channel, by=party), RULES, about, now=NOW) for channel in ContactChannel
    }  # fmt: skip
    denials = [verdict for verdict in verdicts.values() if isinstance(verdict, Deny)]
    assert denials
    assert {rule for verdict in denials for rule in verdict.rules} == {f"HOUSE-HOLD-{kind}"}


@pytest.mark.parametrize("kind", ["BANKRUPTCY_STAY", "CEASE_WRITTEN", "DISPUTE_OPEN", "VULNERABLE", "DECEASED"])
@pytest.mark.parametrize("channel", list(ContactChannel))
def test_the_gravest_holds_stop_everything(kind: str, channel: ContactChannel):
    assert isinstance(gate(a_contact(channel), RULES, facts(a_hold(kind)), now=NOW), Deny)


def test_breathing_space_ends_after_sixty_days():
    london = {"places": ("GB",), "zones": ("Europe/London",)}
    over = facts(a_hold("BREATHING_SPACE", days_ago=60), **london)  # type: ignore[arg-type]
    still = facts(a_hold("BREATHING_SPACE", days_ago=59), **london)  # type: ignore[arg-type]
    assert not isinstance(gate(a_contact("letter"), RULES, over, now=NOW), Deny)
    assert isinstance(gate(a_contact("letter"), RULES, still, now=NOW), Deny)


def test_the_version_follows_the_content_and_not_the_folder(tmp_path: Path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(POLICIES / "contact-rules", copy)
    assert load_rulebook(copy).version == RULES.version
    (copy / "US-OK.yaml").write_text((copy / "US-OK.yaml").read_text() + "# a remark\n")
    assert load_rulebook(copy).version != RULES.version


@pytest.mark.parametrize(("good", "bad", "message"), mistakes("rule_mistakes.txt"))
def test_each_mistake_is_named_with_its_line(tmp_path: Path, good: str, bad: str, message: str):
    assert good in GOOD
    assert problems_of(a_folder(tmp_path, US=GOOD.replace(good, bad, 1))) == [message]


@pytest.mark.parametrize(("good", "bad", "message"), mistakes("more_rule_mistakes.txt"))
def test_each_mistake_in_the_other_sections_is_named_with_its_line(tmp_path: Path, good: str, bad: str, message: str):
    assert good in MORE
    assert problems_of(a_folder(tmp_path, US=MORE.replace(good, bad, 1))) == [message]


def switched_off(folder: Path, *rules: str) -> Path:
    house = folder / "HOUSE.yaml"
    house.write_text(
        house.read_text().replace("quiet_hours:", f"switched_off: [{', '.join(rules)}]\n\nquiet_hours:", 1)
    )
    return folder


def test_the_lender_can_switch_its_own_policies_off(tmp_path: Path):
    copy = tmp_path / "rules"
    shutil.copytree(POLICIES / "contact-rules", copy)
    book = load_rulebook(switched_off(copy, "HOUSE-QH", "US-FP-QH-POLICY"))
    assert book.rule("HOUSE-QH") is None
    night = facts(zones=("America/New_York",))
    three = NOW.replace(hour=8)
    assert isinstance(gate(a_contact("call"), RULES, night, now=three), Defer)
    assert isinstance(gate(a_contact("call"), book, night, now=three), Allow)


def test_law_cannot_be_switched_off_nor_can_what_is_not_there(tmp_path: Path):
    folder = switched_off(a_folder(tmp_path, US=MORE), "US-CAP", "US-NOWHERE")
    line = next(n for n, text in enumerate((folder / "HOUSE.yaml").read_text().splitlines(), 1) if "switched" in text)
    assert problems_of(folder) == [
        f"HOUSE.yaml:{line}: US-CAP is law (hard); only house policies can be switched off",
        f"HOUSE.yaml:{line}: switched_off names US-NOWHERE, which is no rule",
    ]


def test_only_the_house_switches_off(tmp_path: Path):
    text = MORE.replace("name: United States\n", "name: United States\nswitched_off: [US-CAP]\n")
    said = "US.yaml:3: switched_off belongs in HOUSE.yaml, the lender's own rules"
    assert problems_of(a_folder(tmp_path, US=text)) == [said]


def test_a_subdivision_without_rules_can_be_made_to_go_to_a_person(tmp_path: Path):
    copy = tmp_path / "rules"
    shutil.copytree(POLICIES / "contact-rules", copy)
    house = copy / "HOUSE.yaml"
    house.write_text(house.read_text().replace("quiet_hours:", "unreviewed_subdivisions: review\n\nquiet_hours:", 1))
    texas = facts(places=("US", "US-TX"))
    assert isinstance(gate(a_contact("call"), RULES, texas, now=NOW), Allow)
    assert isinstance(gate(a_contact("call"), load_rulebook(copy), texas, now=NOW), Review)


def test_mistakes_of_all_files_are_reported_at_once(tmp_path: Path):
    bad = GOOD.replace('opens: "08:00"', "opens: early").replace("blocks: everything", "blocks: all")
    text = bad.replace("jurisdiction: US", "jurisdiction: US-MA\ninherits: US-MA").replace("id: US", "id: MA")
    assert [problem.split(" ")[0] for problem in problems_of(a_folder(tmp_path, US=bad, US_MA=text, GB="{"))] == [
        "GB.yaml:2:", "US-MA.yaml:2:", "US-MA.yaml:8:", "US-MA.yaml:27:", "US.yaml:7:", "US.yaml:26:",
    ]  # fmt: skip


def test_packs_that_inherit_in_a_circle_are_named(tmp_path: Path):
    head = "jurisdiction: {}\nname: x\ninherits: {}\n"
    folder = a_folder(tmp_path, US=head.format("US", "US-MA"), US_MA=head.format("US-MA", "US"))
    assert problems_of(folder) == [
        "US-MA.yaml:3: inherits itself: US-MA from US from US-MA",
        "US.yaml:3: inherits itself: US from US-MA from US",
    ]


def test_a_house_that_forgets_a_hold_is_refused(tmp_path: Path):
    folder = a_folder(tmp_path, US=GOOD)
    house = (folder / "HOUSE.yaml").read_text()
    (folder / "HOUSE.yaml").write_text(house.replace("hold: DECEASED", "hold: WRONG_PARTY"))
    assert problems_of(folder) == [
        f"HOUSE.yaml: has no rule for hold DECEASED and {party}; recorded, it would block nothing" for party in Party
    ]


def test_a_folder_without_a_house_is_refused(tmp_path: Path):
    (tmp_path / "US.yaml").write_text(GOOD)
    assert problems_of(tmp_path) == ["HOUSE.yaml: no such file; the lender's own rules stand there"]
