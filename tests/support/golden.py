"""Pictures of every letter in every locale, as somebody has looked at them: `make golden` accepts new ones.

A letter is made with the facts of nobody (arrears/rendering/specimens.py), a picture a page.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageChops

from arrears.rendering.catalog import Catalog, Kind
from arrears.rendering.letters import render_pictures
from arrears.rendering.specimens import specimen_context
from arrears.settings import ROOT

GOLDEN = ROOT / "tests" / "golden" / "letters"
# Where what differs is put to be looked at.
DIFFERENT = ROOT / "build" / "golden-letters"
# Enough to see that a line has moved, and small enough to keep.
_PPI = 42


def letters(catalog: Catalog) -> list[tuple[str, str]]:
    """Every letter and locale there is a template for."""
    return sorted((name, locale) for name, there in catalog.locales(Kind.LETTERS).items() for locale in there)


def pictures(catalog: Catalog, name: str, locale: str) -> dict[str, bytes]:
    """PNGs by file name."""
    pages = render_pictures(catalog, Kind.LETTERS, name, specimen_context(locale), ppi=_PPI)
    return {f"{locale}-{name}-{number}.png": _small(page) for number, page in enumerate(pages, start=1)}


def _small(page: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(page)).convert("RGB").save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _pixels(picture: bytes | None) -> tuple[tuple[int, int], bytes] | None:
    """What is seen, whatever made the file of it."""
    if picture is None:
        return None
    opened = Image.open(io.BytesIO(picture))
    return opened.size, opened.tobytes()


def accepted(name: str, locale: str) -> dict[str, bytes]:
    """The pictures of a letter that somebody has accepted."""
    return {path.name: path.read_bytes() for path in GOLDEN.glob(f"{locale}-{name}-*.png")}


def differences(before: dict[str, bytes], now: dict[str, bytes], folder: Path) -> list[str]:
    """The pictures that are not the same; each is put into `folder`, with one of what differs, in red, beside it."""
    different = sorted(
        file for file in before.keys() | now.keys() if _pixels(before.get(file)) != _pixels(now.get(file))
    )
    if different:
        folder.mkdir(parents=True, exist_ok=True)
    for file in different:
        if file in now:
            (folder / file).write_bytes(now[file])
        if file in before and file in now:
            _difference(before[file], now[file]).save(folder / f"{Path(file).stem}.diff.png")
    return different


def _difference(before: bytes, now: bytes) -> Image.Image:
    old, new = (Image.open(io.BytesIO(content)).convert("L") for content in (before, now))
    size = (max(old.width, new.width), max(old.height, new.height))
    old, new = (_on_paper(picture, size) for picture in (old, new))
    changed = ImageChops.difference(old, new).point(lambda value: 255 if value else 0)
    shown = Image.merge("RGB", (new, new, new))
    shown.paste((200, 0, 0), mask=changed)
    return shown


def _on_paper(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    paper = Image.new("L", size, 255)
    paper.paste(picture)
    return paper


def main() -> None:
    """Accept the letters as they are now."""
    catalog = Catalog(ROOT / "templates")
    GOLDEN.mkdir(parents=True, exist_ok=True)
    now = {file: page for name, locale in letters(catalog) for file, page in pictures(catalog, name, locale).items()}
    for path in GOLDEN.glob("*.png"):
        if path.name not in now:
            path.unlink()
    for file, page in now.items():
        (GOLDEN / file).write_bytes(page)
    print(f"{len(now)} pictures in {GOLDEN.relative_to(ROOT)}; `git diff --stat` says which have changed")


if __name__ == "__main__":
    main()
