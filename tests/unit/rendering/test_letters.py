"""Letters as pages: what they say, what cannot get into them, and that they are the same every time."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from arrears.engine.money import Money
from arrears.rendering.catalog import Catalog, Kind
from arrears.rendering.context import OtherAccount
from arrears.rendering.environment import typst_literal
from arrears.rendering.errors import RenderError
from arrears.rendering.letters import page_count, render_pdf
from arrears.settings import ROOT
from tests.unit.rendering.facts import HOSTILE, a_context, a_hostile_context, a_long_context, the_catalog

LETTERS = sorted(the_catalog().names(Kind.LETTERS))
LOCALES = ["en-US", "en-GB"]
DAY = date(2026, 9, 1)


def letter(name: str, context=None, **changes) -> bytes:
    return render_pdf(the_catalog(), Kind.LETTERS, name, context or a_context(**changes))


def words(pdf: bytes) -> str:
    """The text of all pages without white space, invisible break points and ligatures."""
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    for ligature, letters in {"ﬁ": "fi", "ﬂ": "fl", "ﬀ": "ff", "ﬃ": "ffi", "ﬄ": "ffl"}.items():
        text = text.replace(ligature, letters)
    return squeezed(text)


def squeezed(text: str) -> str:
    return re.sub(r"[\s\u200b]", "", text)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", LETTERS)
def test_a_letter_says_who_how_much_since_when_and_how_to_answer(name: str, locale: str):
    pdf = letter(name, locale=locale)
    text = words(pdf)
    day = "October 12, 2026" if locale == "en-US" else "12 October 2026"
    amount = "$120.00" if locale == "en-US" else "US$120.00"
    for part in ("Maria Gonzalez", "12 Main Street Apt 4", "Example Bank", amount, day, "7K3M9QXZ", "+1 800 555 0100"):
        assert squeezed(part) in text
    assert "Page1of1" in text
    assert page_count(pdf) == 1


@pytest.mark.parametrize("name", LETTERS)
def test_every_letter_has_a_payment_slip_with_the_reference(name: str):
    slip = words(letter(name)).split("Returnthisslipwithyourpayment")[1]
    for part in ("Maria Gonzalez", "7K3M9QXZ", "$120.00", "https://pay.example.com"):
        assert squeezed(part) in slip


@pytest.mark.parametrize("locale", LOCALES)
def test_a_reminder_lists_the_other_cards_it_is_about_and_only_a_reminder_does(locale: str):
    others = (OtherAccount("1002", Money(4500, "EUR"), date(2026, 10, 13)), OtherAccount("#1", Money(1, "USD"), DAY))
    listed = words(letter("reminder", a_context(locale=locale, others=others)))
    day = "October 13, 2026" if locale == "en-US" else "13 October 2026"
    assert squeezed(f"Account ending in 1002 {day} €45.00") in listed
    assert squeezed("Account ending in #1") in listed
    catalog = the_catalog()
    assert [name for name in LETTERS if catalog.tells_of_others(Kind.LETTERS, name, locale)] == ["reminder"]


def test_a_placement_notice_names_the_agency_if_it_is_known():
    assert "agency,NorthlineRecovery,whichwouldthen" in words(letter("placement-notice"))
    assert "collectionagency,whichwouldthen" in words(letter("placement-notice", agency=""))


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", LETTERS)
def test_a_hostile_value_prints_as_plain_text(name: str, value: str):
    assert squeezed(f"Dear {value},") in words(letter(name, a_hostile_context(value)))


@given(st.text(alphabet=st.characters(min_codepoint=1, max_codepoint=0x24F)))
def test_no_text_can_close_the_literal_it_is_in(text: str):
    literal = typst_literal(text)
    assert literal[0] == literal[-1] == '"'
    inner = re.sub(r"\\u\{[0-9a-f]+\}", "", literal[1:-1])
    assert all(c.isalnum() or c in " ," for c in inner)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", LETTERS)
def test_long_values_flow_on_and_stay_whole(name: str, locale: str):
    context = replace(a_long_context(), locale=locale)
    pdf = letter(name, context)
    assert squeezed(context.holder_name) in words(pdf)
    assert squeezed(context.address.city) in words(pdf)
    assert f"Page{page_count(pdf)}of{page_count(pdf)}" in words(pdf)


@pytest.mark.parametrize("name", LETTERS)
def test_a_letter_is_an_archivable_and_accessible_document_with_title_and_language(name: str):
    reader = PdfReader(io.BytesIO(letter(name)))
    xmp = reader.trailer["/Root"]["/Metadata"].get_data().decode()  # pyright: ignore
    assert "<pdfaid:part>2</pdfaid:part>" in xmp
    assert "<pdfaid:conformance>A</pdfaid:conformance>" in xmp
    assert "<pdfuaid:part>1</pdfuaid:part>" in xmp
    spoken = the_catalog().find(Kind.LETTERS, name, "en-US").split("/")[1]
    assert reader.trailer["/Root"]["/Lang"] == spoken  # pyright: ignore
    assert reader.metadata is not None
    assert reader.metadata.title
    assert str(reader.metadata.creation_date) == "2026-12-23 00:00:00+00:00"


def test_a_letters_fonts_are_embedded_and_come_with_typst():
    reader = PdfReader(io.BytesIO(letter("lawyer")))
    fonts = [font.get_object() for page in reader.pages for font in page["/Resources"]["/Font"].values()]  # pyright: ignore
    assert {re.sub(r"^.{6}\+|-.*$", "", font["/BaseFont"][1:]) for font in fonts} == {"LibertinusSerif"}


_IN_ANOTHER_PROCESS = """
from hashlib import sha256
from tests.unit.rendering.test_letters import letter
print(sha256(letter("lawyer")).hexdigest())
"""


def test_two_processes_make_the_same_bytes(tmp_path: Path):
    made = [
        subprocess.run(
            [sys.executable, "-c", _IN_ANOTHER_PROCESS],
            env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "TZ": zone},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed, zone in (("1", "Asia/Tokyo"), ("2", "America/Los_Angeles"))
    ]
    assert made == [sha256(letter("lawyer")).hexdigest()] * 2


_MANY_LETTERS = """
import resource
from tests.unit.rendering.test_letters import letter

def grown(first, last):
    for number in range(first, last):
        letter("lawyer", holder_name=f"Holder {number}")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

print(grown(0, 200) - grown(200, 500))
"""


def test_three_hundred_letters_later_no_more_memory_is_held():
    made = subprocess.run(
        [sys.executable, "-c", _MANY_LETTERS], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert -int(made) < 10_000, "kilobytes; a letter that is kept costs about 100"


def test_threads_do_not_mix_letters_up():
    names = [f"Holder Number {number}" for number in range(24)]
    with ThreadPoolExecutor(4) as pool:
        pdfs = list(pool.map(lambda name: letter("reminder", holder_name=name), names))
    for name, pdf in zip(names, pdfs, strict=True):
        assert squeezed(f"Dear {name},") in words(pdf)


@pytest.mark.parametrize("name", ["Zoë Łukaszewska", "Nguyễn Thị Ánh", "Ελένη", "Жанна Д'Арк", "O’Brien-Þórsdóttir"])
def test_latin_greek_and_cyrillic_names_print(name: str):
    assert squeezed(name) in words(letter("reminder", holder_name=name))


@pytest.mark.parametrize("name", ["😀 Smith", "สมชาย"])
def test_a_character_no_font_has_is_an_error_without_the_name_in_it(name: str):
    with pytest.raises(RenderError) as refused:
        letter("reminder", holder_name=name)
    assert refused.value.code == "missing_glyph"
    where = r"templates/letters/en-US/_letter\.typ\.j2:\d+"
    assert re.fullmatch(rf"account A-1001: a value in {where} has a character its fonts lack", str(refused.value))


def test_a_template_that_is_no_typst_is_an_error_without_the_values_in_it(tmp_path: Path):
    path = tmp_path / "letters" / "en-US" / "x.typ.j2"
    path.parent.mkdir(parents=True)
    path.write_text("#set document(title: [x])\n#(a: 1).at({{ holder_name }})")
    with pytest.raises(RenderError) as refused:
        render_pdf(Catalog(tmp_path), Kind.LETTERS, "x", a_context(holder_name='Ann "Maria" Gonzalez'))
    assert refused.value.code == "typst"
    assert "x.typ.j2:2 is no valid Typst: dictionary does not contain key" in str(refused.value)
    assert not re.search("Ann|Maria|Gonzalez", str(refused.value))


def test_a_letter_abroad_names_the_country():
    context = a_context()
    assert "10001US" not in words(letter("reminder", context))
    assert "10001CA" in words(
        letter("reminder", address=type(context.address)("1 King St", "Toronto", "ON", "10001", "CA"))
    )


@pytest.mark.parametrize(
    ("money", "printed"), [(Money(120_050, "JPY"), "¥120,050"), (Money(1_234_567, "KWD"), "KWD1,234.567")]
)
def test_amounts_have_their_currencys_own_decimals(money: Money, printed: str):
    assert printed in words(letter("reminder", amount_due=money))


@pytest.mark.parametrize(
    ("currency", "sign"),
    [("INR", "₹"), ("KRW", "₩"), ("ILS", "₪"), ("VND", "₫"), ("PHP", "₱"), ("EUR", "€"), ("GBP", "£"), ("CNY", "CN¥")],
)
def test_the_sign_of_a_currency_prints_in_bold_as_well(currency: str, sign: str):
    due, balance = Money(94_000, currency), Money(940_000, currency)
    assert sign in words(letter("reminder", amount_due=due, balance=balance))
