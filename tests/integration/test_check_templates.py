"""Templates are checked before any holder sees one; each mistake is told with its file and line."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from arrears.operations.check_templates import CheckedTemplates, check_templates
from arrears.operations.services import Services
from arrears.operations.specimen import letter_specimen
from arrears.rendering.errors import TemplateError
from arrears.settings import ROOT, Settings
from tests.conftest import START
from tests.integration.stories import Portfolio, dump, take_in

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A copy of the templates as shipped, to spoil."""
    return Path(shutil.copytree(ROOT / "templates", tmp_path / "templates"))


def checked(templates: Path) -> CheckedTemplates:
    return check_templates(Settings(templates=templates))


def told(found: CheckedTemplates) -> list[str]:
    return [f"{each.place}: {each.says}" for each in found.errors]


def test_the_templates_as_shipped_have_no_mistake_and_every_letter_is_one_page() -> None:
    found = checked(ROOT / "templates")
    assert told(found) == []
    assert {each["pages"] for each in found.letters} == {1}
    lacking = [each for each in found.warnings if "lacks" in each.says]
    assert [each.place for each in lacking] == ["templates/calls/first-call"]
    assert "lacks de-DE, es-US, zh-CN" in lacking[0].says


def test_each_kind_of_mistake_is_told_with_its_file_and_line(templates: Path) -> None:
    letters = templates / "letters"

    def spoil(name: str, old: str, new: str) -> None:
        path = letters / name
        assert old in path.read_text(encoding="utf-8")
        path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")

    spoil("en-US/lawyer.typ.j2", "{{ days_past_due }}", "{{ days_past_deu }}")
    spoil("en-GB/lawyer.typ.j2", "#amounts((", "#amuonts((")
    spoil("de-DE/reminder.typ.j2", '{% extends "_letter.typ.j2" %}', '{% extends "_lettre.typ.j2" %}')
    spoil("es-US/_letter.typ.j2", "{% for words in required %}\n#block(above: 1.1em)[#{{ words }}]\n{% endfor %}\n", "")
    (letters / "zh-CN" / "lawyer.typ.j2").unlink()
    (templates / "sms" / "en-US" / "reminder-1.txt.j2").write_text("{{ holder_name }}: " + "x" * 300 + "{{ required }}")
    found = checked(templates)
    errors = told(found)
    assert any(
        e.startswith("templates/letters/en-US/lawyer.typ.j2:4: unknown variable 'days_past_deu'") for e in errors
    )
    assert any(e.startswith("templates/letters/en-GB/lawyer.typ.j2:6: ") and "no valid Typst" in e for e in errors)
    assert any(e.startswith("templates/letters/de-DE/reminder.typ.j2:1: there is no template '_lettre") for e in errors)
    assert any(e.startswith("templates/letters/es-US/") and "lacks the required words" in e for e in errors)
    assert any(e.startswith("templates/sms/en-US/reminder-1.txt.j2:1: ") for e in errors)
    warnings = [f"{each.place}: {each.says}" for each in found.warnings]
    assert "templates/letters/lawyer: lacks zh-CN; templates/letters/en-US/lawyer.typ.j2 stands in" in warnings


def test_a_text_that_spills_and_a_letter_that_runs_over_are_warned_about(templates: Path) -> None:
    path = templates / "sms" / "en-US" / "help.txt.j2"
    path.write_text(path.read_text().strip() + " And more words than a single text of this length can ever carry.")
    letter = templates / "letters" / "en-US" / "reminder.typ.j2"
    letter.write_text(letter.read_text().replace("*What you can do*", "#lorem(600)\n\n*What you can do*"))
    found = checked(templates)
    assert told(found) == []
    says = {each.place: each.says for each in found.warnings}
    assert says["templates/sms/en-US/help.txt.j2:1"].startswith("spills: it takes 2 segments of GSM-7")
    assert says["templates/letters/en-US/reminder.typ.j2:1"] == "runs over: an ordinary letter takes 2 pages"


@on_sqlite
def test_any_letter_may_be_looked_at_for_any_account_or_nobody_and_nothing_changes(
    services: Services, portfolio: Portfolio
) -> None:
    take_in(services, portfolio())
    before = dump(services)
    now = START + timedelta(days=50)
    [pdf] = letter_specimen(services, "lawyer", account_id="A-1", now=now)
    assert pdf.startswith(b"%PDF")
    [picture] = letter_specimen(services, "default-notice", account_id="A-1", locale="en-GB", now=now, ppi=20)
    assert picture.startswith(b"\x89PNG")
    for locale in ("", "de-DE", "zh-CN", "fr-FR"):
        assert letter_specimen(services, "reminder", locale=locale, now=now)
    with pytest.raises(TemplateError, match="no template 'nothing'"):
        letter_specimen(services, "nothing", now=now)
    assert dump(services) == before
    assert not services.settings.outbox.exists()
