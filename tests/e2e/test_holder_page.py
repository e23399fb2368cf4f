"""The holder's page in a real browser: telephone width, a screen reader's view (axe), and without JavaScript."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from arrears.operations.links import Purpose, make_mark
from arrears.operations.services import Services, ledger_clock
from arrears.operations.show import show
from tests.integration.stories import Portfolio, last, take_in, until
from tests.support.desk_server import serving
from tests.support.ledgers import sqlite_ledger

# The telephones of people who are behind: small ones too.
WIDTHS = (320, 390)
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("ARREARS_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs a browser: install Debian's chromium, or set ARREARS_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return sqlite_ledger(tmp_path / "ledger.db")


@pytest.fixture
def link(services: Services, portfolio: Portfolio) -> Iterator[str]:
    take_in(services, portfolio())
    until(services, 2)
    with serving(services) as (house, address):
        expires = ledger_clock(house).now() + timedelta(days=9)
        mark = make_mark(house.settings, Purpose.HOLDER, last(house, "sms-1")["reference"], expires=expires)
        yield f"{address}/a/{mark}"


def a_page(chromium: Browser, width: int, *, scripts: bool) -> Page:
    context = chromium.new_context(
        viewport={"width": width, "height": 740}, java_script_enabled=scripts, has_touch=True, locale="en-US"
    )
    return context.new_page()


def must_fit(page: Page) -> None:
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider == 0, f"{wider} pixels have to be scrolled to sideways"
    touched = "button, summary, a.button, fieldset label, input:not([type=hidden], [type=checkbox])"
    small = page.evaluate(
        "touched => [...document.querySelectorAll(touched)]"
        ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)",
        touched,
    )
    assert small == [], "too small for a thumb"


def must_be_accessible(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_page_fits_a_telephone_and_is_read_aloud_without_complaint(
    chromium: Browser, link: str, services: Services
) -> None:
    # The page's own policy forbids scripts; axe is one, so it comes by the browser's own way around it.
    for width in WIDTHS:
        context = chromium.new_context(viewport={"width": width, "height": 740}, bypass_csp=True, locale="en-US")
        page = context.new_page()
        page.goto(link)
        for fold in page.locator("summary").all():
            fold.click()
        must_fit(page)
        must_be_accessible(page)
        if shots := os.environ.get("ARREARS_TEST_SCREENSHOTS"):
            page.screenshot(path=f"{shots}/holder-{width}.png", full_page=True)
        page.get_by_label("Day by which you will pay").fill("2026-08-20")
        page.get_by_label("Amount (USD)").fill("lots")
        page.get_by_role("button", name="Promise to pay").click()
        assert page.get_by_role("alert").inner_text() == (
            "We could not read the amount. Please enter it as a number, such as 50.00."
        )
        must_fit(page)
        must_be_accessible(page)
        page.goto(f"{link}x")
        must_be_accessible(page)
        context.close()
    assert show(services, "A-1")["arrangements"] == []


def test_everything_works_without_javascript(chromium: Browser, link: str, services: Services) -> None:
    page = a_page(chromium, 390, scripts=False)
    page.goto(link)
    page.get_by_text("Pay on a later day").click()
    page.get_by_label("Amount (USD)").fill("50.00")
    page.get_by_label("Day by which you will pay").fill("2026-08-20")
    page.get_by_role("button", name="Promise to pay").click()
    assert "Your promise is recorded" in page.get_by_role("status").inner_text()
    page.reload()
    page.get_by_text("Stop contacting me").click()
    page.get_by_label("Text messages").check()
    page.get_by_role("button", name="Stop", exact=True).click()
    assert "You will not hear from us that way" in page.get_by_role("status").inner_text()
    page.get_by_text("I need more time").click()
    page.get_by_label("What should we know?").fill("I am ill")
    page.get_by_role("button", name="Ask for time").click()
    page.get_by_text("This debt is wrong").click()
    page.get_by_label("What is wrong with it?").fill("Not mine")
    page.get_by_role("button", name="Dispute it").click()
    assert "while a person looks into what you told us" in page.get_by_role("status").inner_text()
    page.get_by_text("A person is looking into it").wait_for()
    shown = show(services, "A-1")
    assert [each["amount"] for each in shown["arrangements"]] == ["50.00"]
    assert {hold["kind"] for hold in shown["holds"]} == {"CHANNEL_OPTOUT", "HARDSHIP", "DISPUTE_OPEN"}


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing(chromium: Browser, link: str) -> None:
    page = a_page(chromium, 390, scripts=True)
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(link)
    assert asked == [link]
    assert said == [], "the browser has no complaint about the policy"
