"""Templates, checked before they are used."""

from __future__ import annotations

from typing import Annotated

import typer

from arrears.cli.accounts import Json
from arrears.cli.output import note, print_json, print_table, say
from arrears.operations.check_templates import check_templates
from arrears.settings import read_settings

app = typer.Typer(help="The words of texts, scripts and letters.", no_args_is_help=True)


@app.callback()
def _group() -> None:  # pyright: ignore[reportUnusedFunction]
    """The words of texts, scripts and letters."""


@app.command()
def check(
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    json: Json = False,
) -> None:
    """Check every template: variables, required words, locales, lengths and layout; exit 1 with file and line."""
    result = check_templates(read_settings())
    failed = bool(result.errors or (strict and result.warnings))
    if json:
        print_json(result.to_json())
    else:
        columns = ["text", "encoding", "units", "segments", "at most"]
        print_table("", columns, [tuple(each.values()) for each in result.texts])
        print_table("", ["letter", "pages", "at most"], [tuple(each.values()) for each in result.letters])
        for finding in result.warnings:
            say(f"warning: {finding.place}: {finding.says}")
        for finding in result.errors:
            note(f"{finding.place}: {finding.says}")
        count = sum(len(locales) for locales in result.locales.values())
        say(f"{count} templates: {len(result.errors)} errors, {len(result.warnings)} warnings")
    if failed:
        raise typer.Exit(1)
