"""All that a step of ours does, by bare SQL on our own tables, for rivals that do it one by one.

A step reads its account, case, steps and consents under a lock, decides, asks the contact rules and fills in the text
by the same functions as the sweep, commits the intent with its verdict and the log, makes the effect, and commits the
outcome, the log and what the case waits for. Left out are what the sweep reads besides (life events, holds, contacts
entered by hand, approvals), its last look before the effect, its turn among a person's accounts, and the effect's sync.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from sqlmodel import Session

import models
from arrears.clock import machine_time
from arrears.engine.contact.facts import Consent, ContactChannel, PastContact, contact_channel
from arrears.engine.contact.gate import gate
from arrears.engine.contact.verdict import Allow
from arrears.engine.decide import Perform, Wait, decide
from arrears.engine.delinquency import days_past_due
from arrears.engine.vocabulary import ChannelName, Party
from arrears.ledger.cases import CaseFile
from arrears.ledger.references import step_reference
from arrears.operations.facts import proposal_of
from arrears.operations.prepare import prepare
from arrears.operations.standstill import snapshot_of
from arrears.operations.verdicts import recorded
from benchmarks.sides import ledger, ours
from benchmarks.sides.common import RUNGS, Effects

Row = dict[str, Any]
_LEASED = "UPDATE cases SET retry_at = %(lease)s, next_reason = 'intended' WHERE id = %(case)s"
_SETTLED = "UPDATE steps SET status = 'done', proof = %(reference)s WHERE reference = %(reference)s"
_WAITS = (
    "UPDATE cases SET retry_at = NULL, stage = 'sms', next_due_at = %(until)s, next_rung = %(rung)s,"
    " next_reason = %(reason)s WHERE id = %(case)s"
)


def lay(url: str, folder: Path, accounts: int) -> None:
    """Our ledger of so many accounts, with what the rivals' own scheduling needs besides."""
    ours.enrolled(url, folder, accounts)
    with psycopg.connect(ledger.plain(url)) as connection:
        connection.execute("ALTER TABLE accounts ADD next_due timestamptz, ADD queued boolean NOT NULL DEFAULT false")


class Steps:
    """Makes steps whole, in any number of threads with a connection each."""

    def __init__(self, url: str, folder: Path) -> None:
        self._services = ours.opened(url, folder)
        self._effects = Effects(folder / "effects")

    def make(self, connection: psycopg.Connection[Any], account_id: str, name: str) -> None:
        """One step, in two transactions of `connection`, which commits by itself otherwise."""
        now = ours.MOMENTS[RUNGS.index(name)]
        wall = machine_time()
        with connection.transaction(), connection.cursor(row_factory=dict_row) as run:
            file = _read(run, account_id)
            step = self._intended(file, name, _consents(run, account_id), now, wall)
            if step is None:
                return
            _insert(run, "steps", vars(step))
            run.execute(_LEASED, {"lease": step.lease_until, "case": step.case_id})
            _log(run, step, "intended", now, wall)
        self._effects.make(account_id, name)
        with connection.transaction(), connection.cursor(row_factory=dict_row) as run:
            file = _read(run, account_id)
            run.execute(_SETTLED, {"reference": step.reference})
            for row in file.steps:
                if row.reference == step.reference:
                    row.status = "done"
            waits = decide(snapshot_of(self._services, file, now=now), self._ladder(file), now=now)
            until, rung, reason = (waits.until, waits.rung, waits.reason) if isinstance(waits, Wait) else (None,) * 3
            run.execute(_WAITS, {"until": until, "rung": rung, "reason": reason or "", "case": step.case_id})
            _log(run, step, "done", now, machine_time())

    def _ladder(self, file: CaseFile) -> Any:
        own = self._services.ladder(file.case.ladder, file.case.ladder_version)
        return self._services.lawful_ladder(own, file.facts(), ours.DUE.date())

    def _intended(
        self, file: CaseFile, name: str, consents: tuple[Consent, ...], now: datetime, wall: datetime
    ) -> models.Step | None:
        """The intent, or None where the step has been made before."""
        services, case = self._services, file.case
        if file.step(name, 1) is not None:
            return None
        perform = decide(snapshot_of(services, file, now=now), self._ladder(file), now=now)
        assert isinstance(perform, Perform), perform
        rung = perform.rung
        assert rung.name == name
        proposal = proposal_of(file, rung)
        history, ends = tuple(map(_contact, file.steps)), services.limitation_ends(file)
        facts = file.facts(
            history=history,
            consents=consents,
            limitation_ends=ends,
            days_past_due=days_past_due(case.due_date, now, file.zone),
            accelerated=False,
        )
        verdict = gate(proposal, services.rulebook, facts, now=now)
        assert isinstance(verdict, Allow), verdict
        step = models.Step(
            case_id=case.id, account_id=file.account.id, rung=name, attempt=1, stage=rung.stage, channel=rung.channel,
            status="intended", reference=step_reference(case.id, name, 1), due_at=perform.due_at, at=now,
            intended_wall=wall, lease_until=wall + timedelta(minutes=5), owner=str(os.getpid()),
            rules=list(verdict.rules), verdict=recorded(verdict, proposal, facts, services.rulebook.version, now),
            actor=proposal.actor, number=proposal.number,
        )  # fmt: skip
        step.payload = prepare(services, Session(), file, step, rung, facts, now=now)
        return step


def _read(run: psycopg.Cursor[Row], account_id: str) -> CaseFile:
    [case] = run.execute("SELECT * FROM cases WHERE account_id = %s FOR UPDATE", (account_id,)).fetchall()
    [account] = run.execute("SELECT * FROM accounts WHERE id = %s", (account_id,)).fetchall()
    del account["next_due"], account["queued"]
    steps = run.execute("SELECT * FROM steps WHERE case_id = %s ORDER BY id", (case["id"],)).fetchall()
    rows = [models.Step(**row) for row in steps]
    return CaseFile(models.Account(**account), models.Case(**case), rows, {}, [], [], [])


def _consents(run: psycopg.Cursor[Row], account_id: str) -> tuple[Consent, ...]:
    query = "SELECT channel, at FROM consents WHERE account_id = %s AND withdrawn_at IS NULL"
    return tuple(Consent(ContactChannel(row["channel"]), row["at"]) for row in run.execute(query, (account_id,)))


def _contact(step: models.Step) -> PastContact:
    assert step.at is not None
    channel, actor = contact_channel(ChannelName(step.channel)), Party(step.actor)
    return PastContact(channel, step.at, number=step.number, debt=step.account_id, actor=actor)


def _insert(run: psycopg.Cursor[Row], table: str, row: Row) -> None:
    given = {name: value for name, value in row.items() if name not in ("id", "_sa_instance_state")}
    run.execute(ledger.inserting(table, tuple(given)), ledger.told(given))


def _log(run: psycopg.Cursor[Row], step: models.Step, what: str, now: datetime, wall: datetime) -> None:
    data = {"rung": step.rung, "attempt": step.attempt, "reference": step.reference}
    row = {"account_id": step.account_id, "case_id": step.case_id, "at": now, "wall": wall, "who": "benchmark"}
    _insert(run, "events", row | {"what": what, "why": "", "data": data})


def seconds(url: str) -> float:
    """From the first intent to the last outcome."""
    query = "SELECT extract(epoch FROM max(wall) - min(wall)) FROM events WHERE what IN ('intended', 'done')"
    return float(ledger.answer(url, query))
