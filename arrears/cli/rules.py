"""Contact rules: a verdict for facts in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arrears.cli.output import print_json
from arrears.operations.check_contact import check_file
from arrears.policies.contact_rules import load_rulebook
from arrears.settings import read_settings


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("check-contact")(check_contact)


def check_contact(file: Annotated[Path, typer.Argument(metavar="FILE", help="One case, or {cases: [...]}.")]) -> None:
    """Facts in, verdict out: may this contact be made, and by which rules?"""
    print_json(check_file(file, load_rulebook(read_settings().policies / "contact-rules")))
