"""HTML from templates: every value escaped, nothing from elsewhere, nothing that runs."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from arrears.operations.holder import OPTIONAL_CHANNELS, HolderView
from arrears.rendering import formats
from arrears.rendering.formats import DEFAULT_LOCALE
from arrears.settings import Settings

_FOLDER: Final = "pages"


class Page:
    """The pages under `root`/pages, in the holder's language where there is one."""

    def __init__(self, root: Path, settings: Settings) -> None:
        self._root = root / _FOLDER
        self._settings = settings

    def account(self, view: HolderView, *, status: int, **more: Any) -> HTMLResponse:
        """What is owed and what can be done."""
        facts = {"view": view, "channels": OPTIONAL_CHANNELS, **more}
        return self._render("account", view.locale, status, **facts)

    def gone(self, *, expired: bool) -> HTMLResponse:
        """A link that opens nothing."""
        settings = self._settings
        facts = {"expired": expired, "creditor": settings.creditor, "creditor_phone": settings.creditor_phone}
        return self._render("gone", DEFAULT_LOCALE, 410 if expired else 404, **facts)

    def _render(self, name: str, locale: str, status: int, **facts: Any) -> HTMLResponse:
        folder = locale if (self._root / locale / f"{name}.html.j2").exists() else DEFAULT_LOCALE
        environment, style = _pages(self._root)
        written_in = locale if formats.language_of(locale) == formats.language_of(folder) else folder
        html = environment.get_template(f"{folder}/{name}.html.j2").render(
            **facts,
            style=style,
            language=folder,
            money=partial(formats.money, locale=written_in),
            day=partial(formats.day, locale=written_in),
        )
        digest = b64encode(sha256(style.encode()).digest()).decode()
        policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
        )
        headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
        return HTMLResponse(html, status, headers)


@lru_cache(maxsize=4)
def _pages(root: Path) -> tuple[Environment, str]:
    environment = Environment(
        loader=FileSystemLoader(root), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment, (root / "style.css").read_text("utf-8")
