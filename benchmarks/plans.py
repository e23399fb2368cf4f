"""The queries that a sweep runs, as PostgreSQL carries them out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, event

_TITLES = (
    ("What is due", r"WHERE cases\.next_due_at <=.*ORDER BY cases\.next_due_at"),
    ("Whose recall is due", r"WHERE cases\.recall_at <=.*ORDER BY cases\.next_due_at"),
    ("What went out today, for the day's ceiling", r"count\(\*\).*\s+FROM steps\s+WHERE steps\.at >="),
    ("What an earlier case left open", r"FROM steps JOIN cases .*steps\.carried_by = .*EXISTS"),
    ("Whose intent nobody carries out any more", r"SELECT steps\.account_id, steps\.owner"),
    ("Claiming: those still due, less what another sweep has", r"FOR UPDATE SKIP LOCKED"),
    ("Locking the persons' cases", r"FOR UPDATE OF cases"),
    ("Whether a person's cases are all ours", r"count\(\*\).*GROUP BY accounts\.holder_id"),
    ("Reading ahead: cases and accounts", r"FROM cases JOIN accounts .*\s+WHERE cases\.id = ANY"),
    ("Reading ahead: steps of the cases", r"FROM steps\s+WHERE steps\.case_id"),
    ("Reading ahead: contacts by hand", r"FROM contacts JOIN accounts"),
    ("Reading ahead: holds", r"FROM holds"),
    ("Reading ahead: life events", r"FROM life_events"),
    ("Reading ahead: consents", r"FROM consents"),
    ("Reading ahead: approvals", r"FROM approvals"),
    ("The last look before the effects", r"FROM steps JOIN cases ON .* JOIN accounts"),
    ("Of whom anything was written between intents and outcomes", r"WITH written"),
    ("Texts that the provider is to be asked about", r"FROM deliveries\s+WHERE deliveries\.ask_at"),
    ("Reports that came before the outcome", r"FROM deliveries\s+WHERE deliveries\.reference"),
)
_DULL = re.compile(r"(Planning|Settings|Query Identifier|Buffers: shared hit=\d+$|  Buffers:)")


class Plans:
    """Notes every query while it is open, each kind once."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, Any]] = {}

    def __enter__(self) -> Plans:
        event.listen(Engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "before_cursor_execute", self._note)

    def _note(self, _c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        for title, pattern in _TITLES:
            if title not in self._found and re.search(pattern, statement, re.DOTALL):
                self._found[title] = (statement, parameters)
                return

    def write(self, url: str, path: Path, ledger: str) -> None:
        """Explain each in its own transaction, rolled back, into a Markdown file."""
        parts = [f"# Query plans of a sweep\n\n{_HEAD.format(ledger=ledger)}"]
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            for title, _ in _TITLES:
                if title in self._found:
                    parts.append(f"## {title}\n\n```\n{_explained(connection, *self._found[title])}\n```\n")
        path.write_text("\n".join(parts), encoding="utf-8")


_HEAD = """Made by `benchmarks/bench_growth.py --plans`: a sweep of one batch of 400, {ledger}, each statement explained
(ANALYZE, BUFFERS) on PostgreSQL right after it, so that everything is in memory. Lists of values are cut.
"""


def _explained(connection: psycopg.Connection[Any], statement: str, parameters: Any) -> str:
    try:
        rows = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", parameters).fetchall()  # pyright: ignore
    finally:
        connection.rollback()
    lines = [re.sub(r"'?\{[^{}]{60,}\}'?(::\S+)?", "'{…}'", line) for [line] in rows]
    return "\n".join(line[:180] for line in lines if not re.match(r"\s*(Planning:|Planning Time)", line))
