"""Whole files from partners, what came of the money that was placed, and how we stand with each agency."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from arrears.cli.accounts import At, Json
from arrears.cli.output import note, print_json, print_table, progress, say
from arrears.cli.session import a_day, nudge, opened, when, who
from arrears.engine.liquidation import AGES, DEFINITIONS
from arrears.engine.money import Money
from arrears.operations.liquidation import liquidation_report, receive_from, statements
from arrears.operations.pick_up import PickedUp, manifest_names, pick_up
from arrears.operations.services import Services, instant
from arrears.operations.take_partner_file import QUARANTINED, PartnerFileTaken, take_partner_file

_MOST_SHOWN = 20
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only check: nothing is booked, moved or quarantined.")]
Partner = Annotated[str, typer.Option("--partner", metavar="NAME", help="As its file in policies/partners is called.")]


def add_to(agency: typer.Typer) -> None:
    """Register these commands."""
    agency.command("take")(take)
    agency.command("pick-up")(pick_up_files)
    agency.command("liquidation")(liquidation)
    agency.command("statement")(statement)
    agency.command("received")(received)


def take(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    partner: Partner,
    manifest: Annotated[Path | None, typer.Option("--manifest", help="Default: the one beside the file.")] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take in a file from a partner, the whole of it or nothing."""
    content = file.read_bytes()
    beside = (file.with_name(name) for name in manifest_names(file.name))
    told = manifest or next((path for path in beside if path.exists()), None)
    with opened(live=False) as services:
        taken = take_partner_file(
            services,
            partner,
            file.name,
            content,
            manifest=told.read_bytes() if told is not None else None,
            who=who(),
            dry_run=dry_run,
        )
        _wake(services, taken)
    if json:
        print_json(_document(taken))
    else:
        _say(taken)
    if taken.status == QUARANTINED:
        raise typer.Exit(1)


def pick_up_files(
    partner: Annotated[str, typer.Option("--partner", metavar="NAME", help="Default: every partner.")] = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take in every finished file that partners have left in their folders."""
    results: list[PickedUp] = []
    with opened(live=False) as services, progress() as bar:
        task = bar.add_task("picking up", total=None, says="")
        for result in pick_up(services, partner=partner, who=who(), dry_run=dry_run):
            results.append(result)
            bar.update(task, says=result.partner)
            for taken in result.files:
                _wake(services, taken)
    if json:
        print_json([_folder(result) for result in results])
    else:
        _say_folders(results)
    if any(result.problem or any(f.status == QUARANTINED for f in result.files) for result in results):
        raise typer.Exit(1)


def liquidation(
    by: Annotated[str, typer.Option("--by", help="agency or vintage; default: both.")] = "",
    begins: Annotated[str | None, typer.Option("--from", metavar="DATE", help="Placed on this day or later.")] = None,
    ends: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Placed before this day.")] = None,
    at: At = None,
    json: Json = False,
) -> None:
    """What was collected of what was placed, by agency and month of placement."""
    if by not in ("", "agency", "vintage"):
        raise typer.BadParameter(f"--by {by!r} is not known; expected agency or vintage")
    moment = when(at)
    with opened(live=False) as services:
        lines = liquidation_report(
            services,
            by_agency=by != "vintage",
            by_vintage=by != "agency",
            begins=_day(begins),
            ends=_day(ends),
            now=moment,
        )
    rows = [
        {
            "agency": line.agency,
            "vintage": line.vintage,
            "currency": line.currency,
            "accounts": line.accounts,
            "placed": _text(line.placed, line.currency),
            "collected": _text(line.collected, line.currency),
            "commission": _text(line.commission, line.currency),
            "net": _text(line.net, line.currency),
            **{f"at_{age}": _percent(line.rates[age]) for age in AGES},
        }
        for line in lines
    ]
    if json:
        print_json({"lines": rows, "definitions": list(DEFINITIONS)})
        return
    columns = [
        name for name in (rows[0] if rows else {}) if name != ("vintage" if by == "agency" else "agency") or not by
    ]
    print_table(
        "liquidation", [name.replace("at_", "% at ") for name in columns], [[r[c] for c in columns] for r in rows]
    )
    for definition in DEFINITIONS:
        say(f"  {definition}")


def statement(at: At = None, json: Json = False) -> None:
    """What each agency owes: collected, less its commission, less what was received from it."""
    moment = when(at)
    with opened(live=False) as services:
        lines = statements(services, now=moment)
    rows = [
        {
            "agency": line.agency,
            "currency": line.currency,
            "collected": _text(line.collected, line.currency),
            "commission": _text(line.commission, line.currency),
            "received": _text(line.received, line.currency),
            "owed": _text(line.owed, line.currency),
        }
        for line in lines
    ]
    if json:
        print_json(rows)
        return
    print_table("statement", list(rows[0]) if rows else [], [tuple(row.values()) for row in rows])
    say("  owed: collected less commission less received; below zero it is the agency that has money to come")


def received(
    partner: Annotated[str, typer.Argument(metavar="AGENCY")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Below zero: sent back to it.")],
    currency: Annotated[str, typer.Option("--currency")],
    reference: Annotated[str, typer.Option("--reference", metavar="REF", help="The bank's; taken once.")],
    at: At = None,
) -> None:
    """Record money that arrived from an agency."""
    moment = when(at)
    with opened(live=False) as services:
        new = receive_from(
            services, partner, amount, currency, reference=reference, at=instant(services, moment), who=who()
        )
    say(f"{partner}: receipt {reference} {'recorded' if new else 'was recorded before; nothing changed'}")


def _wake(services: Services, taken: PartnerFileTaken) -> None:
    for account_id in taken.touched:
        nudge(services, account_id)


def _say(taken: PartnerFileTaken) -> None:
    say(f"{taken.name}: {_what(taken)}")
    for each in taken.wrong[:_MOST_SHOWN]:
        note(f"  {f'line {each.line}' if each.line else 'the file'}: {each.what}")
    if len(taken.wrong) > _MOST_SHOWN:
        note(f"  and {len(taken.wrong) - _MOST_SHOWN} more")
    if taken.path:
        note(f"  as it came, and what is wrong with what was expected: {taken.path}.report.txt in the outbox")


def _what(taken: PartnerFileTaken) -> str:
    match taken.status:
        case "taken":
            return f"taken, {taken.lines} facts about {len(taken.touched)} accounts"
        case "checked":
            return f"dry run: right, {taken.lines} facts; nothing was booked"
        case "known":
            return "was taken before; nothing changed"
        case _:
            return f"wrong, nothing of it was booked; {len(taken.wrong)} faults"


def _say_folders(results: list[PickedUp]) -> None:
    for result in results:
        for taken in result.files:
            _say(taken)
        for name in result.waiting:
            say(f"{name}: not finished yet")
        if result.problem:
            note(f"arrears: the folder of {result.partner}: {result.problem}; its files lie where they are, try again")
    if not any(result.files or result.waiting or result.problem for result in results):
        say("no files")


def _folder(result: PickedUp) -> dict[str, Any]:
    return {
        "partner": result.partner,
        "files": [_document(taken) for taken in result.files],
        "waiting": result.waiting,
        "problem": result.problem,
    }


def _document(taken: PartnerFileTaken) -> dict[str, Any]:
    return {
        "partner": taken.partner,
        "file": taken.name,
        "status": taken.status,
        "number": taken.number,
        "sha256": taken.digest,
        "facts": taken.lines,
        "accounts": len(taken.touched),
        "sums": [
            {
                "currency": currency,
                "collected": _text(amount, currency),
                "commission": _text(taken.commissions.get(currency, 0), currency),
            }
            for currency, amount in sorted(taken.collected.items())
        ],
        "wrong": [{"line": each.line or None, "what": each.what} for each in taken.wrong],
        "path": taken.path,
    }


def _day(text: str | None) -> date | None:
    return a_day(text) if text is not None else None


def _text(amount: int, currency: str) -> str:
    return Money(amount, currency).decimal_text()


def _percent(rate: Fraction | None) -> str | None:
    return f"{float(rate * 100):.1f}" if rate is not None else None
