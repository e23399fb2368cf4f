"""What is refused at load, and which template serves which locale."""

from __future__ import annotations

from pathlib import Path

import pytest

from arrears.policies.referrals import load_referrals
from arrears.rendering.catalog import Catalog, Kind
from arrears.rendering.errors import TemplateError
from arrears.settings import ROOT
from tests.unit.rendering.facts import TEMPLATES, a_context, the_catalog


def catalog_of(root: Path, files: dict[str, str]) -> Catalog:
    for name, text in files.items():
        path = root / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    catalog = Catalog(root / "templates")
    if catalog.problems:
        raise catalog.problems[0]
    return catalog


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a\nb {{ holder_nmae }}", "2: unknown variable 'holder_nmae'; known: account_id,"),
        ("{% if attempt > 99 %}\n\n{{ secret }}{% endif %}", "3: unknown variable 'secret'"),
        ("{{ address.stret }}", "1: unknown attribute 'stret' of Address; known: street, city"),
        ("{{ holder_name.__class__ }}", "1: unknown attribute '__class__' of str; it has none"),
        ("\n{{ amount_due|dollars }}", "2: unknown filter 'dollars'; known: day, instant, money"),
        ("{{ due_date|money }}", "1: filter 'money' takes Money, got date"),
        ("{{ amount_due }}", "1: Money cannot be printed as it is; use |money"),
        ("{{ due_date }}", "1: date cannot be printed as it is; use |day or |short_day"),
        ("{{ address }}", "1: Address cannot be printed"),
        ("{% for x in holder_name %}{% endfor %}", "1: a loop needs a list, got str"),
        ("{{ address['street'] }}", "1: Getitem is not supported in an expression"),
        ("{{ range(3) }}", "1: Call is not supported in an expression"),
        ("{{ holder_name|safe }}", "1: unknown filter 'safe'"),
        ("x\n{% if %}", "2: Expected an expression"),
        ("{{ holder_name", "1: unexpected end of template"),
        ("{% if attempt is odder %}{% endif %}", "1: unknown test 'odder'"),
        ("{% macro m() %}{% endmacro %}", "1: Macro is not supported"),
        ("\n{% include '_gone.txt.j2' %}", "2: there is no template '_gone.txt.j2'"),
        ("{{ statement }}", "1: unknown variable 'statement'"),
    ],
)
def test_a_template_that_could_fail_is_refused_at_load_by_file_and_line(tmp_path: Path, text: str, complaint: str):
    with pytest.raises(TemplateError) as refused:
        catalog_of(tmp_path, {"sms/en-US/x.txt.j2": text})
    assert str(refused.value).startswith(f"templates/sms/en-US/x.txt.j2:{complaint}")


@pytest.mark.parametrize("tail", [";", "(x)", "[x]", ".pdf"])
def test_a_sign_that_typst_would_swallow_after_a_value_is_refused(tmp_path: Path, tail: str):
    with pytest.raises(TemplateError, match=r"letters/en-US/x\.typ\.j2:2: Typst would read"):
        catalog_of(tmp_path, {"letters/en-US/x.typ.j2": "\n#{{ creditor }}" + tail})


@pytest.mark.parametrize("tail", [".", ". Then", ",", ": x", " (x)"])
def test_ordinary_punctuation_after_a_value_is_fine(tmp_path: Path, tail: str):
    catalog = catalog_of(tmp_path, {"letters/en-US/x.typ.j2": "#{{ creditor }}" + tail})
    assert catalog.names(Kind.LETTERS) == {"x"}


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(TemplateError, match="no templates here"):
        Catalog(tmp_path)


def test_the_shipped_templates_load_and_have_the_ladders_names():
    catalog = the_catalog()
    answers = {"opt-out-confirmation", "opt-in-confirmation", "help"}
    assert catalog.names(Kind.SMS) == {"reminder-1", "reminder-2", "reminder-3"} | answers
    assert catalog.names(Kind.CALLS) == {"first-call"}
    notices = {"transfer-notice", "arrears-notice", "default-notice", "letter-of-claim"}
    assert catalog.names(Kind.LETTERS) == {"reminder", "lawyer", "placement-notice"} | notices
    wanted = {paper for _, _, paper in load_referrals(ROOT / "policies" / "referrals").papers()}
    assert catalog.names(Kind.LEGAL) == wanted | {"index"}


@pytest.mark.parametrize(
    ("locale", "served"),
    [("en-US", "en-US"), ("en-GB", "en-GB"), ("en-AU", "en-US"), ("de-AT", "de-DE"), ("fr-FR", "en-US"), ("", "en-US")],
)
def test_a_locale_falls_back_to_its_language_and_then_to_american_english(tmp_path: Path, locale: str, served: str):
    catalog = catalog_of(tmp_path, {f"sms/{folder}/x.txt.j2": "x" for folder in ("de-DE", "en-GB", "en-US")})
    assert catalog.find(Kind.SMS, "x", locale) == f"sms/{served}/x.txt.j2"


def test_a_part_comes_from_the_nearest_folder(tmp_path: Path):
    catalog = catalog_of(
        tmp_path,
        {
            "sms/en-US/x.txt.j2": "{% include '_p.txt.j2' %}",
            "sms/en-GB/x.txt.j2": "{% include '_p.txt.j2' %}",
            "sms/en-GB/_p.txt.j2": "near",
            "sms/_p.txt.j2": "far",
        },
    )
    assert catalog.render(Kind.SMS, "x", a_context(locale="en-US")) == "far"
    assert catalog.render(Kind.SMS, "x", a_context(locale="en-GB")) == "near"


def test_a_missing_template_is_named_with_those_there_are():
    with pytest.raises(TemplateError, match=r"templates/letters: no template 'lawyr' for en-US.*lawyer, letter"):
        the_catalog().find(Kind.LETTERS, "lawyr", "en-US")
    with pytest.raises(TemplateError, match="no template '_letter'"):
        the_catalog().find(Kind.LETTERS, "_letter", "en-US")


def test_a_holder_with_a_foreign_locale_gets_dates_in_the_letters_language(tmp_path: Path):
    catalog = catalog_of(tmp_path, {"sms/en-US/x.txt.j2": "{{ due_date|day }}"})
    assert catalog.render(Kind.SMS, "x", a_context(locale="de-DE")) == "October 12, 2026"
    assert catalog.render(Kind.SMS, "x", a_context(locale="en-GB")) == "12 October 2026"


def test_every_template_on_disk_is_in_a_folder_the_catalog_or_the_desk_knows():
    folders = {path.relative_to(TEMPLATES).parts[0] for path in TEMPLATES.rglob("*.j2") if path.parent != TEMPLATES}
    assert folders <= {*Kind, "pages", "voice"}


def test_what_a_rung_names_must_be_there():
    catalog = the_catalog()
    shipped = [("sms", "reminder-1"), ("letters", "lawyer"), ("agency", "placement"), ("legal", "referral")]
    for kind, name in shipped:
        catalog.require(kind, name, where="card-standard@1: rung 'x'")
    for kind, name in [("sms", "gone"), ("agency", "gone"), ("legal", "gone"), ("letters", "reminder-1")]:
        with pytest.raises(TemplateError, match=rf"^card-standard@1: rung 'x': templates/{kind}: no template '{name}'"):
            catalog.require(kind, name, where="card-standard@1: rung 'x'")


def test_a_referral_without_one_of_its_papers_is_refused(tmp_path: Path):
    catalog = catalog_of(
        tmp_path, {f"legal/en-US/{name}.typ.j2": "x" for name in ("cover-sheet", "statement", "index")}
    )
    with pytest.raises(TemplateError, match="no template 'chronology'"):
        catalog.require("legal", "referral", where="x")
