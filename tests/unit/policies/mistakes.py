"""Tables of mistakes: what is right, what stands there instead, and the exact message; a blank line between."""

from __future__ import annotations

from arrears.settings import ROOT


def mistakes(name: str) -> list[tuple[str, str, str]]:
    r"""The triples in `tests/data/NAME`, where `\n` stands for a line break and `\0` for nothing."""
    table: list[tuple[str, str, str]] = []
    for block in (ROOT / "tests" / "data" / name).read_text().rstrip("\n").split("\n\n"):
        good, bad, message = (line.replace("\\n", "\n").replace("\\0", "") for line in block.split("\n"))
        table.append((good, bad, message))
    return table
