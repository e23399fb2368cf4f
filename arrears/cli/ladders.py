"""Ladders: check a file, draw one with dates, move cases to a new version."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer

from arrears.cli.accounts import Json
from arrears.cli.output import print_json, print_table, say
from arrears.cli.session import opened, when, who
from arrears.engine.contact.facts import Facts
from arrears.engine.contact.notices import with_notices
from arrears.operations.migrate_ladder import migrate_ladder
from arrears.operations.services import find_ladder, instant
from arrears.policies.contact_rules import load_rulebook
from arrears.policies.draw import draw
from arrears.policies.ladders import load_ladder, load_ladders
from arrears.settings import read_settings

app = typer.Typer(help="Ladders: the policy each case climbs.", no_args_is_help=True)


@app.command()
def check(file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Check a ladder file; every problem is named with its line."""
    ladder = load_ladder(file)
    rungs = sum(not rung.stands_in_for for rung in ladder.rungs)
    say(f"{file}: {ladder.id} is sound, {rungs} rungs")


@app.command()
def show(
    ladder: Annotated[str, typer.Argument(metavar="LADDER", help="NAME, NAME@VERSION or a file.")] = "",
    due: Annotated[str | None, typer.Option("--due", metavar="DATE", help="Due date; default today.")] = None,
    zone: Annotated[str, typer.Option("--zone", help="IANA zone of the account.")] = "America/New_York",
    place: Annotated[
        str | None, typer.Option("--place", metavar="GB", help="With the notices and milestones of the law there.")
    ] = None,
    json: Json = False,
) -> None:
    """Draw a ladder with dates for a given due date."""
    settings = read_settings()
    drawn = ladder or settings.ladder
    found = (
        load_ladder(Path(drawn))
        if Path(drawn).is_file()
        else find_ladder(load_ladders(settings.policies / "ladders"), drawn)
    )
    day = _due_date(due)
    milestones: list[dict[str, str]] = []
    if place is not None:
        rulebook = load_rulebook(settings.policies / "contact-rules")
        places = (place.upper(),)
        # Every notice that may be due: whether an email address is known differs from account to account.
        found = with_notices(found, rulebook, Facts(places, (zone,), email_known=True), day=day)
        milestones = [
            {"milestone": rule.milestone, "on": str(day + timedelta(days=rule.dpd)), "rule": rule.id}
            for rule in rulebook.milestones(places)
        ]
    rows = draw(found, day, zone)
    columns = ["rung", "stage", "channel", "template", "when", "attempts", "until", "late", "requires"]
    cells = [[str(getattr(row, column) or "") for column in columns] for row in rows]
    if json:
        print_json(
            {
                "ladder": found.id,
                "due_date": str(day),
                "zone": zone,
                "rungs": [dict(zip(columns, row, strict=True)) for row in cells],
                "milestones": milestones,
            }
        )
        return
    caption = "; ".join(f"{m['milestone'].replace('_', ' ')} on {m['on']} ({m['rule']})" for m in milestones)
    print_table(f"{found.id}, due {day}, {zone}", columns, cells, caption=caption)


def _due_date(text: str | None) -> date:
    moment = when(text)
    if moment is not None:
        return moment.date()
    with opened(live=False) as services:
        return instant(services, None).date()


@app.command()
def migrate(
    name: Annotated[str, typer.Argument(metavar="LADDER")],
    to: Annotated[int | None, typer.Option("--to", metavar="VERSION", help="Default: the current one.")] = None,
    account: Annotated[list[str] | None, typer.Option("--account", help="Only these; repeatable.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
) -> None:
    """Move open cases to another version of their ladder."""
    with opened(live=False) as services:
        result = migrate_ladder(
            services, name, to, accounts=account or [], who=who(), at=instant(services, None), dry_run=dry_run
        )
    moved = ", ".join(f"{count} from {version}" for version, count in result.moved.items()) or "none"
    say(f"{'would move' if dry_run else 'moved'} to {result.to}: {moved}")
