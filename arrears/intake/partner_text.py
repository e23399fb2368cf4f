"""The text of a file whose layout is fixed columns."""

from __future__ import annotations

from datetime import UTC, datetime

from arrears.engine.partner_files import Wrong


def text_of(content: bytes) -> str | Wrong:
    """The file as text; else what is wrong with it, and where."""
    if not content.strip():
        return Wrong(0, "the file is empty")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Wrong(content.count(b"\n", 0, error.start) + 1, "not UTF-8 text; expected plain text")
    return Wrong(0, "NUL bytes are in the file; expected plain text") if "\0" in text else text


def ccyymmdd(text: str) -> datetime | None:
    """Midnight UTC of a day written `20261123`; None when it is none."""
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC) if len(text) == 8 and text.isdigit() else None
    except ValueError:
        return None
