"""Letters: looked at before they go, batched for the print house, and those that came back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from arrears.cli.accounts import At, Json
from arrears.cli.output import note, print_json, print_table, progress, say
from arrears.cli.session import nudge, opened, when, who
from arrears.intake.events import AddressDocument, problems
from arrears.intake.rows import rejected_path
from arrears.operations.letter_batches import Batched, batch_letters
from arrears.operations.services import instant
from arrears.operations.specimen import letter_specimen
from arrears.operations.take_file import take_returned_file
from arrears.operations.tell import tell

app = typer.Typer(help="Letters: previews, batches for the print house, returned mail.", no_args_is_help=True)
_PPI = 110
_NOBODY = "specimen"


@app.command()
def preview(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Such as reminder.")],
    account: Annotated[
        str, typer.Option("--account", metavar="ID", help="Whose facts it shows; default: those of nobody.")
    ] = _NOBODY,
    locale: Annotated[str, typer.Option("--locale", help="Default: the account's, or en-US.")] = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Default: TEMPLATE-ACCOUNT.pdf.")] = None,
    png: Annotated[bool, typer.Option("--png", help="A picture of each page instead.")] = False,
    json: Json = False,
) -> None:
    """Write a letter as it would read today, marked as a specimen; nothing is sent and nothing changes."""
    suffix = ".png" if png else ".pdf"
    path = out or Path(f"{template}-{account}{f'-{locale}' if locale else ''}{suffix}")
    with opened(live=False) as services:
        pages = letter_specimen(
            services,
            template,
            account_id=None if account == _NOBODY else account,
            locale=locale,
            now=instant(services, None),
            ppi=_PPI if png else None,
        )
    written = [path if len(pages) == 1 else path.with_name(f"{path.stem}-{n}{path.suffix}") for n in _counted(pages)]
    for target, content in zip(written, pages, strict=True):
        target.write_bytes(content)
    if json:
        print_json({"template": template, "account": account, "files": [str(target) for target in written]})
        return
    for target in written:
        say(str(target))


def _counted(pages: list[bytes]) -> range:
    return range(1, len(pages) + 1)


@app.command()
def batch(
    one_file: Annotated[bool, typer.Option("--one-file", help="All letters in one PDF; default: a PDF each.")] = False,
    simplex: Annotated[bool, typer.Option("--simplex", help="Printed on one side; default: on both.")] = False,
    most: Annotated[int, typer.Option("--most", min=1, max=10_000, help="Letters in one batch.")] = 1_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count; change nothing.")] = False,
    json: Json = False,
) -> None:
    """Give every letter that is in no batch to the print house, in OUTBOX/print; finish what was cut short before."""
    with opened(live=False) as services, progress() as bar:
        task = bar.add_task("letters", total=None, says="")
        result = batch_letters(
            services,
            one_file=one_file,
            duplex=not simplex,
            most=most,
            who=who(),
            dry_run=dry_run,
            progress=lambda count: bar.update(task, says=f"{count:,} of the batch"),
        )
    if json:
        print_json(result.to_json())
    else:
        _say(result, dry_run=dry_run)
    for reference, why in result.left_out.items():
        note(f"left out: letter {reference}: {why}")
    for problem in result.problems:
        note(problem)
    if result.left_out or result.problems:
        raise typer.Exit(1)


def _say(result: Batched, *, dry_run: bool) -> None:
    if dry_run:
        say(f"{result.waiting:,} letters would go to the print house")
        return
    if not result.batches:
        say("no letter waits for the print house")
        return
    rows = [(each.id, each.path, each.letters, each.pages, each.sha256[:16]) for each in result.batches]
    print_table("", ["batch", "folder in the outbox", "letters", "pages", "manifest sha256"], rows)


@app.command()
def returned(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV: reference, returned_on, reason.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and count; change nothing.")] = False,
    json: Json = False,
) -> None:
    """Take in letters that the post brought back. Good rows count once per letter, bad ones go to FILE.rejected.csv."""
    with opened(live=False) as services:
        result = take_returned_file(services, file, who=who(), dry_run=dry_run)
        for account_id in dict.fromkeys(result.touched):
            nudge(services, account_id)
    refused = [{"line": row.line, "reason": row.reason} for row in result.rejected]
    if json:
        taken = len(result.touched)
        print_json({"rows": result.rows, "taken": taken, "already": result.already, "refused": refused})
    else:
        verb = "would be refused" if dry_run else "refused"
        counts = f"{len(result.touched):,} taken, {result.already:,} known already, {len(refused):,} {verb}"
        say(f"{result.rows:,} rows: {counts}")
    for row in result.rejected[:20]:
        note(f"{file.name}:{row.line}: {row.reason}")
    if result.rejected and not dry_run:
        note(f"refused rows: {rejected_path(file)}")


def address(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    street: Annotated[str, typer.Option("--street")],
    city: Annotated[str, typer.Option("--city")],
    postal_code: Annotated[str, typer.Option("--postal-code")],
    country: Annotated[str, typer.Option("--country", help="ISO 3166, such as US.")],
    reference: Annotated[str, typer.Option("--reference", metavar="REF", help="Taken once per reference.")],
    region: Annotated[str, typer.Option("--region", help="Such as NY.")] = "",
    why: Annotated[str, typer.Option("--why", help="How it is known, such as skip trace.")] = "",
    at: At = None,
) -> None:
    """Say where the holder gets mail: letters that waited for an address go there."""
    moment = when(at)
    with opened(live=False) as services:
        place = {"street": street, "city": city, "region": region, "postal_code": postal_code, "country": country}
        try:
            about = {"account_id": account, "reference": reference, "at": instant(services, moment), "why": why}
            told = AddressDocument.model_validate({**about, **place})
        except ValidationError as error:
            raise typer.BadParameter(problems(error.errors())) from None
        posted = tell(services, told, source="cli", who=who())
        if posted.new:
            nudge(services, account)
    say(f"{account}: address {'recorded' if posted.new else 'was recorded before; nothing changed'}")
