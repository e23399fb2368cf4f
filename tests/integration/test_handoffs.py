"""Files on their way to partners: over a folder and a real OpenSSH server that fails in every way it can."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyrage
import pytest
from sqlmodel import select

import models
from arrears.channels import partner_folder
from arrears.channels.agency import PlacementRow
from arrears.channels.effect import Done, Intent
from arrears.channels.partner_folder import PartnerFolder
from arrears.channels.sealing import HandOffFailed
from arrears.clock import VirtualClock
from arrears.engine.money import Money
from arrears.engine.partners import AgeKey, HandOff, Layout, OpenPgpKey, Partner, PartnerKind, Partners, Takes
from arrears.engine.vocabulary import ChannelName
from arrears.operations.brakes import Budget, start, stop
from arrears.operations.hand_over import hand_over, settle_handoff
from arrears.operations.place import write_agency_files
from arrears.operations.review import waiting_for_people
from arrears.operations.services import Services
from arrears.operations.sweep import sweep
from arrears.policies.keys import read_openpgp_key
from arrears.rendering.context import Address
from tests.conftest import START, a_row
from tests.integration.stories import Portfolio, take_in
from tests.support.ledgers import ledger_on
from tests.support.sftp_server import SftpServer

DAY = date(2026, 11, 1)
PLACED_AT = datetime(2026, 11, 1, 14, tzinfo=UTC)
NAME = f"{DAY}.csv"
CSV = f"agency/northside/{NAME}"


BOTH_DATABASES = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """SQLite; PostgreSQL too where what is committed when is the point."""
    with ledger_on(getattr(request, "param", "sqlite"), tmp_path) as url:
        yield url


class WallClock(VirtualClock):
    """Stands still for everybody: the wall as well as the ledger."""

    def wall(self) -> datetime:
        return self.moment


def place(services: Services, number: int, agency: str = "northside") -> None:
    """What the ladder does on the day an account goes to an agency."""
    reference = f"P-{agency[:2]}-{number}"
    row = PlacementRow(
        placement_id=reference,
        account_id=f"A-{number}",
        reference=reference,
        creditor="Example Bank",
        holder_name="Jörg Müller",
        phone="+15185550100",
        address=Address("12 Main Street", "Albany", "NY", "12207", "US"),
        balance=Money(120_050, "USD"),
        due_date=date(2026, 8, 1),
        days_past_due=92,
        placed_at="2026-11-01T14:00:00Z",
    )
    with services.ledger.read() as session:
        case = session.exec(select(models.Case).where(models.Case.account_id == f"A-{number}")).one()
    payload: dict[str, Any] = {"agency": agency, "case_id": case.id, "row": row.to_json()}
    intent = Intent(f"{number}", f"A-{number}", "agency-1", 1, reference, payload, PLACED_AT, PLACED_AT)
    assert isinstance(services.channels[ChannelName.AGENCY].perform(intent), Done)
    assert write_agency_files(services.ledger, services.placements, services.clock, services.partners) == ()


@pytest.fixture
def placed(services: Services, portfolio: Portfolio) -> Services:
    """Four accounts, the first placed with northside, whose file is written and not handed over."""
    take_in(services, portfolio(*(a_row(f"A-{n}", phone=f"+1518555{n:04}") for n in range(1, 5))))
    at_noon = services.at(WallClock(START + timedelta(days=92, hours=4)))
    place(at_noon, 1)
    return at_noon


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SftpServer]:
    running = SftpServer(tmp_path / "partner")
    monkeypatch.setenv("HOME", str(running.user_home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    running.start()
    yield running
    running.kill()


def to(services: Services, url: str, **more: Any) -> Services:
    partner = Partner("northside", hand_off=HandOff(to=url), **more)
    return replace(services, partners=Partners({"northside": partner}))


def later(services: Services, hours: float = 24) -> Services:
    return services.at(WallClock(services.clock.now() + timedelta(hours=hours)))


def handoffs(services: Services) -> list[tuple[str, str]]:
    with services.ledger.read() as session:
        rows = session.exec(select(models.Handoff).order_by(models.Handoff.id)).all()  # pyright: ignore
        return [(row.name, row.status) for row in rows]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def arrived(services: Services, folder: Path, name: str = NAME) -> dict[str, Any]:
    """The manifest beside a whole file."""
    manifest = json.loads((folder / f"{name}.manifest.json").read_text())
    content = (folder / name).read_bytes()
    assert (manifest["sha256"], manifest["size"]) == (sha256(content).hexdigest(), len(content))
    assert manifest["content_sha256"] == sha256((services.settings.outbox / CSV).read_bytes()).hexdigest()
    return manifest


@BOTH_DATABASES
def test_a_sweep_hands_a_file_over_once_and_what_has_grown_again(placed: Services, server: SftpServer) -> None:
    services = to(placed, server.url)
    swept = sweep(services, who="test", budget=Budget(), accounts=[])
    assert (swept.handed.sent, swept.handed.problems) == ([CSV], [])
    assert names(server.folder) == [NAME, f"{NAME}.manifest.json"]
    assert (arrived(services, server.folder)["count"], handoffs(services)) == (1, [(NAME, "done")])
    server.kill()
    assert hand_over(later(services)).sent == []  # nothing is owed, so nobody is called
    server.start()
    place(services, 2)
    assert hand_over(services).sent == [CSV]
    assert arrived(services, server.folder)["count"] == 2
    assert handoffs(services) == [(NAME, "done"), (NAME, "done")]


def test_nothing_leaves_without_live_or_while_the_kill_switch_is_pulled(placed: Services, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    services = to(placed, folder.as_uri())
    sweep(replace(services, live=False), who="test", budget=Budget(), accounts=[])
    now = services.clock.now()
    stop(services.ledger, why="a drill", who="test", at=now, wall=now)
    assert hand_over(services).sent == []
    assert names(folder) == []
    start(services.ledger, who="test", at=now, wall=now)
    assert hand_over(services).sent == [CSV]


def test_a_partner_that_refuses_half_way_through_gets_the_whole_file_later(
    placed: Services, server: SftpServer
) -> None:
    server.kill()
    server.start(largest_file=100)
    services = to(placed, server.url)
    first = hand_over(services)
    assert (first.sent, first.waiting) == ([], 1)
    assert f"placement file {CSV} for northside: could not be written" in first.problems[0]
    assert "the next after 16:01 UTC, or now with `arrears agency send --partner northside`" in first.problems[0]
    assert names(server.folder) == []
    assert hand_over(services).problems == []  # not before its next try
    server.kill()
    server.start()
    assert hand_over(later(services)).sent == [CSV]
    assert arrived(services, server.folder)["count"] == 1
    assert handoffs(services) == [(NAME, "done")]


def test_a_server_killed_in_the_middle_of_a_file_gets_it_whole_later(
    placed: Services, server: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = to(placed, server.url)
    monkeypatch.setattr(partner_folder, "_BLOCK", 64)
    killed: list[bytes] = []

    class Dying:
        """Reads the file for us, and kills the server after the first block."""

        def __init__(self, path: Path) -> None:
            self._file = path.open("rb")

        def __enter__(self) -> Dying:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def read(self, size: int) -> bytes:
            block = self._file.read(size)
            if killed:
                server.kill()
            killed.append(block)
            return block

    class Path_(type(services.settings.outbox)):
        def open(self, *_: Any, **__: Any) -> Any:
            return Dying(Path(self))

    write = PartnerFolder._write

    def dying_write(self: PartnerFolder, part: str, source: Path) -> str:
        return write(self, part, Path_(source))

    with monkeypatch.context() as patch:
        patch.setattr(PartnerFolder, "_write", dying_write)
        result = hand_over(services)
    assert (len(killed) > 1, result.sent, handoffs(services)) == (True, [], [(NAME, "intended")])
    server.start()
    assert hand_over(later(services)).sent == [CSV]
    assert arrived(services, server.folder)["count"] == 1
    assert names(server.folder) == [NAME, f"{NAME}.manifest.json"]


def test_what_stays_stuck_is_shown_with_what_to_do(placed: Services, server: SftpServer) -> None:
    services = to(placed, server.url)
    server.kill()
    for _ in range(3):
        services = later(services)
        [problem] = hand_over(services).problems
        assert "cannot be reached" in problem
    [waiting] = [each for each in waiting_for_people(services) if not each.account_id]
    assert waiting.reason.startswith(f"placement file {CSV} for northside: cannot be reached")
    assert waiting.do == "arrears agency send --partner northside"
    server.start()
    assert hand_over(services, at_once=True).sent == [CSV]
    assert [each for each in waiting_for_people(services) if not each.account_id] == []


def test_a_folder_we_may_not_write_to_and_a_host_we_do_not_know_are_told(placed: Services, server: SftpServer) -> None:
    services = to(placed, server.url)
    known = server.user_home / ".ssh" / "known_hosts"
    right = known.read_text()
    shutil.copy(server.home / "authorized_keys", server.home / "spare")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", server.home / "other"], check=True)
    other = (server.home / "other.pub").read_text().split()
    known.write_text(f"[127.0.0.1]:{server.port} {other[0]} {other[1]}\n")
    [problem] = hand_over(services, at_once=True).problems
    assert "cannot be reached" in problem
    assert "ost key" in problem
    known.write_text(right)
    (server.home / "authorized_keys").write_text("")
    [problem] = hand_over(services, at_once=True).problems
    assert "cannot be reached: Permission denied" in problem
    shutil.copy(server.home / "spare", server.home / "authorized_keys")
    missing = to(placed, f"{server.url}/nowhere")
    [problem] = hand_over(missing, at_once=True).problems
    assert "cannot be reached: No such file" in problem
    (server.folder / f"{NAME}.part").mkdir()
    [problem] = hand_over(services, at_once=True).problems
    assert "could not be written" in problem
    (server.folder / f"{NAME}.part").rmdir()
    assert hand_over(services, at_once=True).sent == [CSV]
    assert handoffs(services) == [(NAME, "done")]


class Died(BaseException):
    """The process is gone."""


@BOTH_DATABASES
@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_around_the_naming_is_settled_by_what_lies_there(
    placed: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, taken: bool
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    services = to(placed, folder.as_uri())
    name = PartnerFolder.name

    def dying(self: PartnerFolder, *about: Any) -> None:
        if moment == "after":
            name(self, *about)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(PartnerFolder, "name", dying)
        with pytest.raises(Died):
            hand_over(services)
    assert handoffs(services) == [(NAME, "moving")]
    with services.ledger.write() as session:
        session.exec(select(models.Handoff)).one().lease_until = None  # its process is gone
    if taken:
        for path in folder.iterdir():
            path.unlink()
    result = hand_over(services)
    if not taken:
        assert (result.sent, handoffs(services)) == ([CSV], [(NAME, "done")])
        assert arrived(services, folder)["count"] == 1
        return
    # Neither the file nor its beginning is there: a person asks the partner, and nothing goes twice.
    assert (result.sent, handoffs(services)) == ([], [(NAME, "unknown")])
    assert "arrears agency settle-file 1 arrived|again" in result.problems[0]
    assert hand_over(later(services), at_once=True).sent == []
    [waiting] = [each for each in waiting_for_people(services) if not each.account_id]
    assert waiting.do == "arrears agency settle-file 1 arrived|again"
    settle_handoff(services, 1, arrived=False)
    assert hand_over(services).sent == [CSV]


@BOTH_DATABASES
def test_who_is_overtaken_sends_nothing_and_says_nothing(placed: Services, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    services = to(placed, folder.as_uri())

    def overtaken(path: str) -> None:
        """It stood still for longer than its lease; another sent the file, and the partner took it."""
        assert hand_over(later(services, hours=2)).sent == [path]
        (folder / NAME).unlink()

    slow = hand_over(services, progress=overtaken)
    assert (slow.sent, slow.waiting, slow.problems) == ([], 1, [])
    assert NAME not in names(folder)
    assert handoffs(services) == [(NAME, "done")]


@BOTH_DATABASES
def test_who_is_overtaken_and_fails_then_ends_nobody_elses_errand(placed: Services, tmp_path: Path) -> None:
    """It stood still, and when it goes on its connection is dead."""
    folder, moved = tmp_path / "theirs", tmp_path / "moved"
    folder.mkdir()
    services = to(placed, folder.as_uri())

    def overtaken(path: str) -> None:
        assert hand_over(later(services, hours=2)).sent == [path]
        (services.settings.outbox / path).rename(moved)

    slow = hand_over(services, progress=overtaken)
    assert (slow.sent, slow.waiting, slow.problems) == ([], 1, [])
    assert handoffs(services) == [(NAME, "done")]


@BOTH_DATABASES
def test_a_file_that_travels_for_hours_stays_with_who_sends_it(
    placed: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    services = to(placed, folder.as_uri())
    monkeypatch.setattr(partner_folder, "_BLOCK", 16)
    began = services.clock.now()
    others: list[list[str]] = []

    class Slow(WallClock):
        """Ten minutes a look, and another sweep comes by at every one."""

        def wall(self) -> datetime:
            self.moment += timedelta(minutes=10)
            if (folder / f"{NAME}.part").exists():
                others.append(hand_over(services.at(WallClock(self.moment)), at_once=True).sent)
            return self.moment

    assert hand_over(services.at(Slow(began))).sent == [CSV]
    assert len(others) > 8
    assert not any(others)
    assert arrived(services, folder)["count"] == 1


def test_a_drop_box_that_lets_nobody_read_is_held_to_sizes(placed: Services, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    services = to(placed, folder.as_uri())
    opened = PartnerFolder.open(folder.as_uri())
    content = b"a placement file"
    digest = sha256(content).hexdigest()
    (tmp_path / "file").write_bytes(content)
    plain = opened._fs.open

    def write_only(path: str, mode: str = "rb", **more: Any) -> Any:
        if "r" in mode:
            raise PermissionError(13, "Permission denied")
        return plain(path, mode, **more)

    opened._fs.open = write_only
    opened.put("file", tmp_path / "file", digest, len(content), before_naming=lambda: None)
    assert (folder / "file").read_bytes() == content
    with pytest.raises(HandOffFailed, match="does not read back"):
        opened.put("other", tmp_path / "file", digest, len(content) + 1, before_naming=lambda: None)
    assert names(folder) == ["file"]
    assert hand_over(services).sent == [CSV]


@pytest.fixture
def gpg_home() -> Iterator[Path]:
    """Not below the test's own folder: the name of gpg's socket may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp", ignore_cleanup_errors=True) as home:
        yield Path(home)
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


@pytest.mark.skipif(
    not (shutil.which("gpg") and shutil.which("age")), reason="needs gpg and age: install the packages gnupg and age"
)
def test_gpg_and_age_read_what_left_and_nobody_else_does(
    placed: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpg_home: Path
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    plain = (placed.settings.outbox / CSV).read_bytes()
    gpg = ["gpg", "--homedir", str(gpg_home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    who = "Northside <files@northside.example>"
    subprocess.run([*gpg, "--quick-generate-key", who, "future-default", "default", "never"], check=True)
    (tmp_path / "northside.asc").write_bytes(
        subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True).stdout
    )
    key: OpenPgpKey | AgeKey = read_openpgp_key(tmp_path / "northside.asc")
    assert hand_over(to(placed, folder.as_uri(), key=key)).sent == [CSV]
    sealed = folder / f"{NAME}.pgp"
    read = subprocess.run([*gpg, "--decrypt", sealed], check=True, capture_output=True).stdout
    assert read == plain
    arrived(placed, folder, sealed.name)

    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "age.key").write_text(f"{identity}\n")
    place(placed, 2)
    key = AgeKey(str(identity.to_public()))
    assert hand_over(to(placed, folder.as_uri(), key=key)).sent == [CSV]
    read = subprocess.run(
        ["age", "--decrypt", "-i", tmp_path / "age.key", folder / f"{NAME}.age"], check=True, capture_output=True
    ).stdout
    assert read == (placed.settings.outbox / CSV).read_bytes()
    assert b"Albany" not in (folder / f"{NAME}.age").read_bytes() + sealed.read_bytes()
    assert list((placed.settings.outbox / "sealed").rglob("*.age")) == []


def test_an_expired_key_holds_its_own_files_back_and_nothing_else(placed: Services, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    place(placed, 2, agency="southbank")
    key = OpenPgpKey(b"", "B966", datetime(2021, 12, 31, tzinfo=UTC))
    north = Partner("northside", hand_off=HandOff(to=folder.as_uri()), key=key)
    south = Partner("southbank", hand_off=HandOff(to=folder.as_uri()))
    services = replace(placed, partners=Partners({"northside": north, "southbank": south}))
    result = hand_over(services)
    assert result.sent == [f"agency/southbank/{NAME}"]
    assert "the key B966 ran out on 2021-12-31; ask the partner for its new one" in result.problems[0]


@BOTH_DATABASES
def test_a_file_whose_lines_must_not_come_twice_leaves_when_its_day_is_over(placed: Services, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    services = to(placed, folder.as_uri(), layout=Layout.LATITUDE_AIM)
    place(services, 2)
    assert hand_over(services).sent == []
    assert hand_over(later(services)).sent == [f"agency/northside/{DAY}.CPLC.txt"]
    lines = (folder / f"{DAY}.CPLC.txt").read_bytes().split(b"\r\n")
    assert {len(line) for line in lines} == {3000, 0}
    assert [line[:13] for line in lines if line.startswith(b"CACT")] == [b"CACT000000001", b"CACT000000002"]


def test_packs_go_to_the_law_firm_and_letters_to_the_print_house(placed: Services, tmp_path: Path) -> None:
    theirs = {name: tmp_path / name for name in ("lawyers", "printers")}
    for folder in theirs.values():
        folder.mkdir()
    partners = {
        "lawyers": Partner("lawyers", kind=PartnerKind.LAW_FIRM, hand_off=HandOff(to=theirs["lawyers"].as_uri())),
        "printers": Partner("printers", kind=PartnerKind.PRINT_HOUSE, hand_off=HandOff(to=theirs["printers"].as_uri())),
    }
    services = replace(placed, partners=Partners(partners))
    outbox = services.settings.outbox
    (outbox / "legal").mkdir(parents=True, exist_ok=True)
    (outbox / "legal" / "A-1.zip").write_bytes(b"a pack")
    with services.ledger.write() as session:
        case = session.exec(select(models.Case).where(models.Case.account_id == "A-1")).one()
        session.add(
            models.Referral(
                reference="R-1", account_id="A-1", case_id=case.id, path="legal/A-1.zip",
                sha256=sha256(b"a pack").hexdigest(), approved_by="Jo", at=PLACED_AT,
            )
        )  # fmt: skip
    batch = outbox / "print" / "2026-11-01-000001"
    batch.mkdir(parents=True)
    (batch / "letters.pdf").write_bytes(b"%PDF")
    listed = [{"name": "letters.pdf", "sha256": sha256(b"%PDF").hexdigest(), "bytes": 4}]
    (batch / "manifest.json").write_text(json.dumps({"made_at": "2026-11-01T14:00:00Z", "files": listed}))
    elsewhere = replace(partners["lawyers"], takes=Takes(regions=frozenset({"US-NJ"})))
    nowhere = replace(placed, partners=Partners({"lawyers": elsewhere}))
    [problem] = hand_over(nowhere).problems
    assert "legal/A-1.zip: no law firm takes it: nobody of lawyers; lawyers: takes no account in US-NY" in problem
    damaged = outbox / "print" / "2026-10-31-000001" / "manifest.json"
    damaged.parent.mkdir()
    damaged.write_text('{"made_at": "2026-10-')
    assert hand_over(services).problems == [
        f"print/{damaged.parent.name}/manifest.json: this manifest cannot be read: JSONDecodeError"
    ]
    assert names(theirs["lawyers"]) == ["A-1.zip", "A-1.zip.manifest.json"]
    printed = [f"{batch.name}.letters.pdf", f"{batch.name}.manifest.json"]
    assert names(theirs["printers"]) == printed
    assert hand_over(later(services)).sent == []
