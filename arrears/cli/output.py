"""How commands print: one JSON document, or a table for people; notes and errors on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

# Account ids, references and reasons are told as they are: none of them is markup or an emoji's name.
_PLAIN: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
# What is piped has no width: a table keeps its lines whole unless COLUMNS says otherwise.
_PIPED = 200

err = Console(stderr=True, **_PLAIN)
out = Console(**_PLAIN)
if not out.is_terminal and "COLUMNS" not in os.environ:
    out = Console(width=_PIPED, **_PLAIN)


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> None:
    """A table; None prints as nothing."""
    table = Table(title=title or None, caption=caption or None, title_justify="left", caption_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    out.print(table)


def say(text: str, *, style: str | None = None) -> None:
    """One line on stdout."""
    out.print(text, style=style, soft_wrap=True)


def note(text: str) -> None:
    """One line for the person at the terminal, out of the way of stdout."""
    err.print(text, soft_wrap=True)


def progress() -> Progress:
    """A bar on stderr for long work; invisible when stderr is no terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[says]}"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
