"""A partner's file goes in whole or not at all, once, in every layout; what is wrong waits for a person."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from threading import Barrier, local
from typing import Any

import pyrage
import pysequoia
import pytest
from pyrage import x25519
from sqlmodel import Session

import models
from arrears.engine.commission import Commission, Flat
from arrears.engine.partners import HandOff, Layout, Partner, Partners
from arrears.ledger.database import Ledger
from arrears.operations.agencies import all_placements, recall_by_hand
from arrears.operations.brakes import Budget
from arrears.operations.liquidation import liquidation_report, receive_from, statements
from arrears.operations.pay import reverse
from arrears.operations.pick_up import SETTLED, pick_up
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services
from arrears.operations.show import show
from arrears.operations.sweep import catch_up
from arrears.operations.take_partner_file import PartnerFileTaken, take_partner_file
from tests.integration.stories import at, dump
from tests.support.landings import Stairs, stairs_on
from tests.support.partner_files import a_fact, a_file, a_manifest, rows

NORTHSIDE = Partner("northside", commission=Commission(Flat(2500)), answers_within=5)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stairs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stairs]:
    yield from stairs_on(request.param, tmp_path_factory.mktemp(f"stairs-{request.param}"))


@pytest.fixture(scope="module")
def policies(stairs: Stairs) -> Iterator[Services]:
    """Opened once: reading the policies takes longer than all else here."""
    with stairs.landing("legal").services() as services:
        yield services


@pytest.fixture
def placed(stairs: Stairs, policies: Services) -> Iterator[Services]:
    """A-1, for a day with the agency northside, which keeps a quarter."""
    ledger = Ledger.open(stairs.landing("legal").url)
    yield with_partner(dataclasses.replace(policies, ledger=ledger), NORTHSIDE)
    ledger.close()


def with_partner(services: Services, *partners: Partner, **settings: Any) -> Services:
    known = Partners({partner.name: partner for partner in partners})
    changed = services.settings.model_copy(update=settings)
    return dataclasses.replace(services, partners=known, settings=changed)


def placement(services: Services) -> models.Placement:
    return all_placements(services, limit=1)[0][0]


def told(services: Services, record: str, reference: str, **cells: str) -> dict[str, str]:
    when = placement(services).at + timedelta(hours=5)
    return a_fact(record, placement(services).reference, reference, **{"at": when.isoformat()} | cells)


def paid(
    services: Services, reference: str = "R-1", amount: str = "50.00", commission: str = "12.50"
) -> dict[str, str]:
    return told(services, "payment", reference, amount=amount, commission=commission, currency="USD")


def take(services: Services, content: bytes, name: str = "file.csv", **more: Any) -> PartnerFileTaken:
    return take_partner_file(services, more.pop("partner", "northside"), name, content, who="test", **more)


def said(services: Services) -> list[str]:
    return [item.reason for item in waiting_for_people(services)]


def test_a_right_file_is_booked_once_under_whatever_name(placed: Services) -> None:
    facts = (
        told(placed, "acknowledged", "K-1", balance="1200.50"),
        paid(placed),
        told(placed, "number", "N-1", number="518 555 0199", good="true", why="skip trace"),
        told(placed, "address", "D-1", street="2 Side Street", city="Troy", region="NY", country="US"),
        told(placed, "note", "O-1", note="asks for a letter"),
    )
    content = a_file(*facts, number="17")
    assert (take(placed, content, dry_run=True).status, show(placed, "A-1")["balance"]["amount"]) == (
        "checked",
        "1200.50",
    )
    taken = take(placed, content)
    assert (taken.status, taken.number, taken.lines, taken.touched) == ("taken", "17", 5, ("A-1",))
    assert (taken.collected, taken.commissions) == ({"USD": 50_00}, {"USD": 12_50})
    shown = show(placed, "A-1")
    assert (shown["balance"]["amount"], shown["placements"][0]["status"]) == ("1150.50", "acknowledged")
    with placed.ledger.read() as session:
        assert session.get_one(models.Account, "A-1").phones == ["+15185550101", "+15185550199"]
    assert said(placed).count("placement") == 2, "a new address moves the law that binds: a person looks at it"
    before = dump(placed)
    assert [take(placed, content, name).status for name in ("file.csv", "again.csv")] == ["known", "known"]
    assert dump(placed) == before


class _Meeting(Ledger):
    """A ledger at which two writers arrive before either goes on."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger._engine, ledger._limits, ledger.machine)
        self._barrier = Barrier(2, timeout=280)
        self._met = local()

    @contextmanager
    def write(self) -> Generator[Session]:
        if not getattr(self._met, "once", False):
            self._met.once = True
            self._barrier.wait()
        with super().write() as session:
            yield session


def test_of_two_who_take_the_same_file_at_once_one_books_it(placed: Services) -> None:
    both = dataclasses.replace(placed, ledger=_Meeting(placed.ledger))
    content = a_file(paid(placed), number="17")
    with ThreadPoolExecutor(2) as pool:
        statuses = [taken.status for taken in pool.map(lambda _: take(both, content), range(2))]
    assert sorted(statuses) == ["known", "taken"]
    assert show(placed, "A-1")["placements"][0]["remitted"] == "50.00"


def test_a_file_that_is_wrong_anywhere_is_quarantined_whole_and_a_corrected_one_goes_in(placed: Services) -> None:
    good = (told(placed, "acknowledged", "K-1"), paid(placed), paid(placed, "R-2", "10.00", "2.50"))

    def last_row(**cells: str) -> bytes:
        return a_file(*good[:2], good[2] | cells)

    def one_more(record: str, **cells: str) -> bytes:
        return a_file(*good, told(placed, record, "X-1", **cells))

    bad: dict[str, tuple[bytes, str]] = {
        "a bad row": (rows(*good[:2], good[2] | {"amount": "ten"}), "line 4: amount is no amount in USD"),
        "the sum": (a_file(*good, amount="60.01"), "not what the rows add up to (expected 60.01; came 60.00)"),
        "the commission's sum": (a_file(*good, commission="14.99"), "total of commission in USD is not what the rows"),
        "the count": (a_file(*good, count="4"), "is not how many there are (expected 4; came 3)"),
        "no totals": (rows(*good), "no control totals came with it"),
        "unknown": (last_row(placement_id="NOTHING"), "line 4: there is no placement 'NOTHING'"),
        "whose": (last_row(account_id="A-2"), "is of another account (expected A-1; came A-2)"),
        "share": (last_row(commission="2.51"), "not what the terms say (expected 2.50; came 2.51)"),
        "currency": (last_row(currency="GBP"), "the currency is not the placement's"),
        "twice": (a_file(*good, good[2]), "line 5: reference 'R-2' was told before"),
        "early": (one_more("acknowledged", at="2026-08-02"), "line 5: it lies before the placement"),
        "late": (one_more("acknowledged", at="2030-08-02"), "lies in the future"),
        "balance": (one_more("acknowledged", balance="1.00"), "the balance is not the one placed"),
        "hold": (one_more("hold", kind="MOOD"), "hold is not known"),
        "of": (
            one_more("reversal", of="R-9", amount="1.00", commission="0.25", currency="USD"),
            "payment 'R-9', which",
        ),
        "no file": (b"PK\x03\x04 something", "this is a zip archive"),
    }
    before = {name: rows for name, rows in dump(placed).items() if name not in ("agency_files", "work_items")}
    for what, (content, expected) in bad.items():
        taken = take(placed, content, f"{what}.csv")
        assert taken.status == "quarantined", what
        report = (placed.settings.outbox / f"{taken.path}.report.txt").read_text()
        assert expected in report, (what, report)
        assert (placed.settings.outbox / taken.path).read_bytes() == content
        assert "What to do next" in report
    after = {name: rows for name, rows in dump(placed).items() if name not in ("agency_files", "work_items")}
    assert after == before, "nothing half-applied"
    assert sum("of northside" in reason for reason in said(placed)) == len(bad)
    assert take(placed, bad["the sum"][0]).status == "quarantined"
    assert sum("of northside" in reason for reason in said(placed)) == len(bad), "the same file is one work"
    assert take(placed, a_file(*good)).status == "taken"
    other = with_partner(placed, NORTHSIDE, Partner("southbank"))
    [wrong] = take(other, a_file(told(placed, "acknowledged", "K-9")), partner="southbank").wrong
    assert wrong.what == f"placement {placement(placed).reference} is another agency's"


def test_a_corrected_file_of_the_same_number_closes_the_work_and_the_number_is_then_taken(placed: Services) -> None:
    assert take(placed, a_file(paid(placed), number="17", count="9")).status == "quarantined"
    assert any("of northside" in reason for reason in said(placed))
    assert take(placed, a_file(paid(placed), number="17")).status == "taken"
    assert not any("of northside" in reason for reason in said(placed))
    [wrong] = take(placed, a_file(paid(placed, "R-2"), number="17")).wrong
    assert wrong.what == "file number '17' was taken before with other content, as file.csv"


def test_money_taken_back_is_owed_again_and_so_is_the_commission(placed: Services) -> None:
    back = told(placed, "reversal", "V-1", of="R-1", amount="20.00", commission="5.00", currency="USD")
    assert take(placed, a_file(paid(placed), back)).status == "taken"
    [state] = show(placed, "A-1")["placements"]
    assert (show(placed, "A-1")["balance"]["amount"], state["remitted"], state["commission"]) == (
        "1170.50",
        "30.00",
        "7.50",
    )
    rest = back | {"reference": "V-2", "amount": "30.01", "commission": "7.50"}
    [wrong] = take(placed, a_file(rest)).wrong
    assert (wrong.what, wrong.expected) == ("more is taken back than is left of payment 'R-1'", "30.00")


@pytest.mark.parametrize("way", ["age", "openpgp"])
def test_an_encrypted_file_is_opened_with_our_own_key(placed: Services, way: str) -> None:
    content = a_file(paid(placed))
    if way == "age":
        ours, theirs = x25519.Identity.generate(), x25519.Identity.generate()
        sealed, keys = pyrage.encrypt(content, [ours.to_public()]), {"age_key": str(ours)}
        wrong_keys = {"age_key": str(theirs)}
    else:
        pair, other = (pysequoia.Tsk.generate(user_id="Bank <files@bank.example>") for _ in range(2))
        sealed = pysequoia.encrypt(content, recipients=[pair.extract_certificate()])
        keys, wrong_keys = {"openpgp_key": str(pair)}, {"openpgp_key": str(other)}
    name = f"file.csv.{'age' if way == 'age' else 'pgp'}"
    [unset] = take(with_partner(placed, NORTHSIDE), sealed, name).wrong
    assert "_KEY is not set" in unset.what
    [not_ours] = take(with_partner(placed, NORTHSIDE, **wrong_keys), sealed, name).wrong
    assert "it is not encrypted to our key" in not_ours.what
    assert (
        take(with_partner(placed, NORTHSIDE, **keys), sealed, name, manifest=a_manifest(sealed, paid(placed))).status
        == "taken"
    )
    assert take(placed, content, "plain.csv").status == "known"


def test_latitudes_files_are_read_record_by_record(placed: Services) -> None:
    aim = with_partner(placed, dataclasses.replace(NORTHSIDE, layout=Layout.LATITUDE_AIM))
    day = f"{placement(placed).at:%Y%m%d}"
    trailer = f"ATRL{'NS':30}{'Northside':50}{{:010d}}{day}\n"
    acknowledged = f"AACK{0:09d}{'A-1':30}{'1200.50':>12}{day}{'1200.50':>12}{'':8}{'':12}{'':31}\n"
    payments = f"APAY{0:09d}{'A-1':30}{'50.00':>12}{day}{'PA':3}{'T-1':30}{'card':30}\n"
    assert take(aim, (acknowledged + payments + trailer.format(2)).encode(), "aim.txt").status == "taken"
    [state] = show(placed, "A-1")["placements"]
    assert (state["status"], state["remitted"], state["commission"]) == ("acknowledged", "50.00", "12.50")
    back = f"APAY|0|A-1|50.00|{day}|PAR|T-1|returned\nATRL|NS|Northside|1|{day}\n"
    assert take(aim, back.encode(), "back.txt").status == "taken"
    assert show(placed, "A-1")["placements"][0]["remitted"] == "0.00"
    closed = f"ACLS{0:09d}{'A-1':30}DEC{day}{'':48}\n"
    [wrong] = take(aim, (closed + trailer.format(2)).encode(), "closed.txt").wrong
    assert wrong.what == "the trailer counts other records than there are"
    assert take(aim, (closed + trailer.format(1)).encode(), "closed.txt").status == "taken"
    shown = show(placed, "A-1")
    assert (shown["placements"][0]["status"], shown["holds"][0]["kind"]) == ("returned", "DECEASED")


def test_ygc_money_and_notes_are_read_by_their_columns(placed: Services) -> None:
    ygc = with_partner(placed, dataclasses.replace(NORTHSIDE, layout=Layout.YGC))
    day = f"{placement(placed).at:%Y%m%d}"
    head = f"{'':10}{'A-1':20}{'NS-77':15}{'NJ750':10}{'VA8':10}"

    def money(code: str, gross: str, fees: str) -> str:
        return f"30{head}{code:>2}{day}{gross:>14}{gross:>14}{'0.00':>14}{'0.00':>14}{fees:>14}\n"

    content = money("1", "50.00", "12.50") + money("33", "0.00", "0.00") + f"39{head}{day}{'*CC:W030':8}charged off\n"
    assert take(ygc, content.encode(), "f.txt").status == "taken"
    assert show(placed, "A-1")["placements"][0]["remitted"] == "50.00"
    assert said(placed).count("placement") == 2, "costs and a state of the firm's own go to a person"
    assert take(ygc, money("1", "-50.00", "-12.50").encode(), "nsf.txt").status == "taken"
    assert show(placed, "A-1")["placements"][0]["remitted"] == "0.00"


def test_a_folder_is_emptied_file_by_file_and_what_is_not_finished_stays(placed: Services, tmp_path: Path) -> None:
    folder = tmp_path / "northside"
    folder.mkdir()
    services = with_partner(placed, dataclasses.replace(NORTHSIDE, hand_off=HandOff(takes_from=folder.as_uri())))
    good, bad = a_file(paid(placed)), a_file(paid(placed, "R-2"), count="7")

    def lay(name: str, content: bytes, manifest: bytes | None = None) -> None:
        (folder / name).write_bytes(content)
        if manifest is not None:
            (folder / f"{name}.manifest.json").write_bytes(manifest)

    lay("good.csv", good, a_manifest(good, paid(placed)))
    lay("bad.csv", bad, a_manifest(bad, paid(placed, "R-2")))
    lay("half.csv.part", b"record,")
    lay("young.csv", a_file(paid(placed, "R-3")))
    [dry] = pick_up(services, who="test", dry_run=True)
    assert [(file.name, file.status) for file in dry.files] == [("bad.csv", "quarantined"), ("good.csv", "checked")]
    assert len(list(folder.iterdir())) == 6
    [result] = pick_up(services, who="test")
    assert [(file.name, file.status) for file in result.files] == [("bad.csv", "quarantined"), ("good.csv", "taken")]
    assert result.waiting == ["half.csv.part", "young.csv"]
    lying = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert lying == [
        *("done/good.csv", "done/good.csv.manifest.json", "half.csv.part"),
        *("refused/bad.csv", "refused/bad.csv.manifest.json", "young.csv"),
    ]
    # A crash between the commit and the move: the file lies there still.
    lay("good.csv", good, a_manifest(good, paid(placed)))
    later = dataclasses.replace(services, clock=_Later(services.clock))
    [again] = pick_up(later, who="test")
    assert [(file.name, file.status) for file in again.files] == [("good.csv", "known"), ("young.csv", "taken")]
    assert show(placed, "A-1")["placements"][0]["remitted"] == "100.00"
    folder.rename(tmp_path / "elsewhere")
    [lost] = pick_up(services, who="test")
    assert "cannot be reached" in lost.problem


class _Later:
    """A quarter of an hour later by the machine's time."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock

    def wall(self) -> Any:
        return self._clock.wall() + SETTLED

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)


def test_liquidation_counts_what_came_back_and_the_statement_what_is_owed(placed: Services) -> None:
    take(placed, a_file(paid(placed), paid(placed, "R-2", "70.00", "17.50")))
    placed_at = placement(placed).at
    [line] = liquidation_report(placed, now=placed_at + timedelta(days=29))
    assert (line.agency, line.vintage, line.accounts, line.placed) == ("northside", f"{placed_at:%Y-%m}", 1, 1200_50)
    assert (line.collected, line.commission, line.net, line.rates[30]) == (120_00, 30_00, 90_00, None)
    bounced = placed_at + timedelta(days=31)
    reverse(placed, "A-1", "remittance/northside/R-2", amount=None, reference="C-1", at=bounced, source="t", who="t")
    [line] = liquidation_report(placed, by_agency=False, now=placed_at + timedelta(days=61))
    assert (line.agency, line.collected, line.commission) == ("", 50_00, 30_00), "the agency has not given it back"
    assert line.rates == {30: Fraction(120_00, 1200_50), 60: Fraction(50_00, 1200_50), 90: None, 180: None}
    assert liquidation_report(placed, begins=(placed_at + timedelta(days=1)).date()) == []
    for _ in range(2):
        receive_from(placed, "northside", "15.00", "USD", reference="BANK-1", at=at(placed), who="t")
    [owed] = statements(placed, now=bounced + timedelta(days=1))
    assert (owed.collected, owed.commission, owed.received, owed.owed) == (50_00, 30_00, 15_00, 5_00)


def test_an_answer_that_does_not_come_is_for_a_person(placed: Services) -> None:
    reference = placement(placed).reference
    missing = f"northside has not acknowledged placement {reference} of {placement(placed).at:%Y-%m-%d}"
    assert missing not in said(placed)
    catch_up(placed, at(placed) + timedelta(days=6), who="t", budget=Budget())
    assert missing in said(placed)
    assert take(placed, a_file(told(placed, "acknowledged", "K-1"))).status == "taken"
    assert missing not in said(placed)
    assert recall_by_hand(placed, reference, why="sold", at=at(placed), who="t")
    assert not any("has not" in reason for reason in said(placed))
    catch_up(placed, at(placed) + timedelta(days=6), who="t", budget=Budget())
    assert any(f"has not closed placement {reference}" in reason for reason in said(placed))
    assert take(placed, a_file(told(placed, "returned", "C-1", reason="PIF")), "closed.csv").status == "taken"
    assert not any("has not" in reason for reason in said(placed))
