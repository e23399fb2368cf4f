"""Everything about one account in one zip, for a dispute or a court."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlmodel import Session, SQLModel, col, or_, select

import models
from arrears.channels.files import write_atomically
from arrears.clock import iso
from arrears.engine.money import Money
from arrears.engine.vocabulary import ChannelName, StepStatus
from arrears.ledger.cases import UnknownAccount
from arrears.operations.explain import cited, explained
from arrears.operations.services import Services, ledger_clock
from arrears.operations.show import show
from arrears.rendering.pack import index_of, zip_bytes
from arrears.rendering.stored import to_json
from arrears.rendering.table import csv_bytes, text_cell

FORMAT = "arrears-evidence/1"
_README = """\
Evidence on account {account}, put together {now} by arrears.

  account.json      where the account stands
  chronology.csv    every event: when (the ledger's time and the machine's), who, what, why
  verdicts.json     every contact: what the rules said when it was made or withheld, the facts they saw, citations
  texts/            each text exactly as it was sent
  calls/            the script of each call; calls.csv has their outcomes
  letters/          each letter exactly as it was sent
  life-events.csv   what happened outside: payments, reversals, charges, promises, plans, each as it was recorded
  payments.csv, holds.csv, consents.csv, contacts.csv
  rules.json        the version of the rules, with what each rule that decided says and where it is written
  index.json        every file with its size and SHA-256

{missing}"""


class EvidenceUnusable(Exception):
    """The file could not be written; the message says where and why."""


def write_evidence(services: Services, account_id: str, path: Path) -> dict[str, Any]:
    """Write the zip to `path`: the same bytes for the same ledger and outbox. Returns its index.

    A letter that is not in the outbox any more, or is not the one that was sent, is named in the index
    and the README instead of being left out silently. Raises UnknownAccount and EvidenceUnusable.
    """
    now = ledger_clock(services).now()
    members, missing = gather(services, account_id, now=now)
    index = {
        "format": FORMAT,
        "account_id": account_id,
        "at": iso(now),
        "rulebook": services.rulebook.version,
        "missing": missing,
        "members": to_json(index_of(members)),
    }
    members["index.json"] = _json(index)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, zip_bytes(members, now.date()))
    except OSError as error:
        raise EvidenceUnusable(f"{path} could not be written: {error.strerror or error}") from None
    return index


def gather(services: Services, account_id: str, *, now: datetime) -> tuple[dict[str, bytes], list[str]]:
    """The members of the zip by name, and what should be there and is not."""
    with services.ledger.read() as session:
        account = session.get(models.Account, account_id)
        if account is None:
            raise UnknownAccount(account_id)
        steps = _rows(session, models.Step, account_id, models.Step.id)
        life = _rows(session, models.LifeEvent, account_id, models.LifeEvent.happened_at)
        members = {
            "account.json": _json(show(services, account_id)),
            "chronology.csv": _events(_rows(session, models.Event, account_id, models.Event.id)),
            "payments.csv": _payments(life, account.currency),
            "life-events.csv": _life(life),
            "holds.csv": _holds(session, account),
            "consents.csv": _table(
                ("channel", "at", "evidence", "recorded_by", "withdrawn_at", "withdrawn_how"),
                _rows(session, models.Consent, account_id, models.Consent.id),
            ),
            "contacts.csv": _table(
                ("at", "channel", "direction", "outcome", "actor", "notice", "note", "recorded_by"),
                _rows(session, models.Contact, account_id, models.Contact.id),
            ),
            "calls.csv": _table(
                ("created_at", "rung", "attempt", "status", "disposition", "worked_at", "worked_by", "note"),
                _rows(session, models.CallTask, account_id, models.CallTask.created_at),
            ),
        }
    zone = account.zones[0] if account.zones else ""
    members["verdicts.json"] = _json([explained(step, services.rulebook, zone) for step in steps])
    used = sorted({rule for step in steps for rule in step.rules})
    members["rules.json"] = _json({"version": services.rulebook.version, "rules": cited(used, services.rulebook)})
    missing: list[str] = []
    for step in steps:
        _as_sent(services, step, members, missing)
    absent = "".join(f"Missing: {what}\n" for what in missing)
    members["README.txt"] = _README.format(account=account_id, now=iso(now), missing=absent).encode()
    return members, missing


def _as_sent(services: Services, step: models.Step, members: dict[str, bytes], missing: list[str]) -> None:
    if step.status not in (StepStatus.DONE, StepStatus.UNKNOWN):
        return
    name = f"{step.reference}-{step.rung}-{step.attempt}"
    match ChannelName(step.channel):
        case ChannelName.SMS:
            head = f"to: {step.payload['to']}\nat: {iso(step.at) if step.at else ''}\nproof: {step.proof}\n\n"
            members[f"texts/{name}.txt"] = f"{head}{step.payload['body']}\n".encode()
        case ChannelName.CALL:
            members[f"calls/{name}.txt"] = f"{step.payload['script']}\n".encode()
        case ChannelName.LETTER | ChannelName.LEGAL as channel:
            relative, digest = str(step.payload["path"]), str(step.payload["sha256"])
            folder = "letters" if channel is ChannelName.LETTER else "referral"
            try:
                content = (services.settings.outbox / relative).read_bytes()
            except OSError as error:
                missing.append(f"{step.rung}: {relative} ({error.strerror})")
                return
            if sha256(content).hexdigest() != digest:
                missing.append(f"{step.rung}: {relative} is not the file that was sent (its digest differs)")
                return
            members[f"{folder}/{name}{Path(relative).suffix}"] = content
        case ChannelName.AGENCY:
            members[f"placement/{name}.json"] = _json(step.payload["row"])


def _rows(session: Session, kind: Any, account_id: str, order: Any) -> list[Any]:
    return list(session.exec(select(kind).where(kind.account_id == account_id).order_by(col(order))))


def _holds(session: Session, account: models.Account) -> bytes:
    """Every hold that ever bore on the account. Whose other account it was set for is not this file's to say."""
    columns = ("kind", "channel", "since", "until", "set_by", "released_at", "released_by")
    of_the_number = (col(models.Hold.number).in_(account.phones)) & (col(models.Hold.number) != "")
    rows = session.exec(
        select(models.Hold)
        .where(or_(models.Hold.holder_id == account.holder_id, of_the_number))
        .order_by(col(models.Hold.id))
    ).all()

    def set_for(hold: models.Hold) -> str:
        if hold.account_id == account.id:
            return "this account"
        return "another of the holder's" if hold.holder_id == account.holder_id else "the same number"

    return csv_bytes(
        (*columns, "set_for"),
        ([*(_cell(getattr(hold, column)) for column in columns), set_for(hold)] for hold in rows),
    )


def _events(rows: list[models.Event]) -> bytes:
    columns = ("at", "wall", "who", "what", "why", "data")
    return csv_bytes(
        columns,
        (
            [iso(r.at), iso(r.wall), text_cell(r.who), r.what, text_cell(r.why), text_cell(json.dumps(r.data))]
            for r in rows
        ),
    )


def _life(rows: list[models.LifeEvent]) -> bytes:
    columns = ("happened_at", "received_at", "kind", "source", "reference", "data", "via", "recorded_by")
    return csv_bytes(
        columns,
        (
            [
                iso(r.happened_at),
                iso(r.received_at),
                r.kind,
                r.source,
                text_cell(r.external_id),
                text_cell(json.dumps(r.data)),
                text_cell(r.via),
                text_cell(r.recorded_by),
            ]
            for r in rows
        ),
    )


def _payments(rows: list[models.LifeEvent], currency: str) -> bytes:
    columns = ("paid_at", "received_at", "reference", "amount", "currency", "source")
    return csv_bytes(
        columns,
        (
            [
                iso(r.happened_at),
                iso(r.received_at),
                text_cell(r.external_id),
                Money(r.data["amount"], currency).decimal_text(),
                currency,
                text_cell(r.via),
            ]
            for r in rows
            if r.kind == "payment"
        ),
    )


def _table(columns: Sequence[str], rows: Iterable[SQLModel]) -> bytes:
    return csv_bytes(columns, ([_cell(getattr(row, column)) for column in columns] for row in rows))


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return iso(value)
        case _:
            return text_cell(str(value))


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
