"""What can go wrong between a template and a page."""

from __future__ import annotations


class TemplateError(Exception):
    """A template that cannot be used: `templates/letters/en-US/lawyer.typ.j2:12: what is wrong`."""


class RenderError(TemplateError):
    """A good template that makes no page of these facts, such as a name in a script no font here has.

    `code` is `missing_glyph` or `typst`. The text names the account and the template, never the value.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
