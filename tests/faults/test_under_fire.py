"""Lives under fire end where undisturbed ones end, fact for fact, and every effect of them is there once.

Short by default; ARREARS_FULL_FAULTS=1 (`make faults`) takes more people through more fires.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import select

import models
from arrears.operations.services import Services
from tests.support.audit import assert_each_once, books_of, interruptions, life_of
from tests.support.campaign import (
    POISONED,
    Crew,
    Deployment,
    FaultAt,
    Fire,
    faults_of_postgresql,
    faults_of_twilio,
    live,
)
from tests.support.cluster import Cluster
from tests.support.ledgers import ledger_on
from tests.support.mortals import Mortals
from tests.support.policies import policies_with
from tests.support.twilio_stand_in import TwilioStandIn

FULL = os.environ.get("ARREARS_FULL_FAULTS") == "1"
pytestmark = [pytest.mark.faults]
pytestmark += [pytest.mark.timeout(3600)] if FULL else []
# At length they take as long as each other, and an undisturbed life more is soon made up for.
_POSTGRESQL = pytest.mark.xdist_group("faults-postgresql")
_SQLITE = pytest.mark.xdist_group("fires-sqlite") if FULL else _POSTGRESQL
# How many accounts, whose payments fell due on how many days.
ACCOUNTS, DAYS = (200, 3) if FULL else (20, 1)
SEEDS = range(1, 6) if FULL else (1,)
# Seconds from one fault to the next, on the average, and how many there are for each moment at which something is due.
PAUSE, FAULTS = 0.3, 3
Faults = Iterable[FaultAt]
Lives = dict[str, list[tuple[object, ...]]]


@dataclass(frozen=True)
class Lived:
    """What became of everybody, and how many steps were cut short on the way."""

    lives: Lives
    interrupted: int


@dataclass(frozen=True)
class Stage:
    """Where a campaign takes place."""

    policies: Path
    mortals: Mortals

    def play(
        self, folder: Path, url: str, *, seed: int | None = None, faults: Callable[[Crew], Faults] = lambda _: ()
    ) -> Lived:
        """Thirty days on the ledger at `url`; every effect is there once, or this fails."""
        with TwilioStandIn() as twilio:
            # Undisturbed, no machine is so slow that a step is taken for lost.
            lease = 4 if seed else 60
            deployment = Deployment(url, folder, self.policies, ACCOUNTS, DAYS, twilio, lease)
            deployment.enroll()
            crew = Crew(self.mortals, deployment)
            # Kills twice: they are what cuts steps short, and a seventh of all that there is.
            all_faults = [*crew.faults, *crew.faults, *faults_of_twilio(twilio), *faults(crew)]
            fire = Fire(seed or 0, PAUSE, all_faults if seed else ())
            with fire.burning():
                live(deployment, fire, faults=FAULTS)
            deployment.bulletin.end()
            crew.end()
            books = books_of(deployment.services, twilio.accepted())
            made = assert_each_once(books)
            assert_it_is_shown(deployment.services, POISONED)
            assert not fire.untried, f"{fire.untried} of {len(all_faults)} faults never came: it was over too soon"
            lived = Lived(life_of(books.ledger), interruptions(books.ledger))
            print(f"{made} effects, {lived.interrupted} of them cut short, {len(fire.log)} faults")
            deployment.close()
            return lived


def assert_it_is_shown(services: Services, account_id: str) -> None:
    """That this account failed until it was paid, and as what."""
    with services.ledger.read() as session:
        logged = session.exec(
            select(models.Event.why).where(models.Event.account_id == account_id, models.Event.what == "failure")
        ).all()
    assert logged
    assert all(why.startswith("UnknownLadder") for why in logged)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, mortals: Mortals) -> Stage:
    policies = policies_with(Path(__file__).parent / "thirty_days.yaml", tmp_path_factory.mktemp("policies"))
    return Stage(policies, mortals)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, stage: Stage) -> Lives:
    """The same lives with nothing in their way."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with ledger_on("sqlite", folder) as url:
        lived = stage.play(folder / "world", url)
    assert not lived.interrupted
    return lived.lives


def assert_the_same(lives: Lives, undisturbed: Lives) -> None:
    """Fact for fact, account for account."""
    assert lives.keys() == undisturbed.keys()
    for account_id, life in undisturbed.items():
        facts, others = Counter(map(str, life)), Counter(map(str, lives[account_id]))
        assert facts == others, f"{account_id} lacks {facts - others} and has {others - facts}"


@_SQLITE
@pytest.mark.parametrize("seed", SEEDS)
def test_on_sqlite_with_processes_killed(seed: int, undisturbed: Lives, tmp_path: Path, stage: Stage) -> None:
    with ledger_on("sqlite", tmp_path) as url:
        lived = stage.play(tmp_path / "world", url, seed=seed)
    assert lived.interrupted
    assert_the_same(lived.lives, undisturbed)


@_POSTGRESQL
@pytest.mark.parametrize("seed", SEEDS)
def test_on_postgresql_with_all_that_can_happen_to_it_and_clocks_apart(
    seed: int, undisturbed: Lives, tmp_path: Path, stage: Stage, cluster: Cluster
) -> None:
    cluster.new_database()

    def faults(crew: Crew) -> Faults:
        return [*crew.clocks, *faults_of_postgresql(cluster)]

    lived = stage.play(tmp_path / "world", cluster.url, seed=seed, faults=faults)
    assert lived.interrupted
    assert_the_same(lived.lives, undisturbed)
