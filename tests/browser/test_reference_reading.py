"""`/docs` can be read by anyone: without JavaScript, at any width, by keyboard, on paper, by a screen reader."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from alert_history.web.pages.page import policy_of
from alert_history.web.pages.reference import render_reference
from tests.browser.looking import OPEN_ALL
from tests.processes import HOST
from tests.reference_document import reference_document


class Docs(BaseHTTPRequestHandler):
    """Serves the page under its policy."""

    def do_GET(self) -> None:
        html = render_reference(reference_document())
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-security-policy", policy_of(html))
        self.end_headers()
        self.wfile.write(html.encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer((HOST, 0), Docs) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_port}/docs"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        yield context.new_page()


def test_the_page_is_styled_and_unfolds_without_javascript(browser: Browser, url: str) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(url)
        box = page.locator("h3 .method-get").first.bounding_box()
        assert box is not None
        assert box["width"] >= 50, "an unstyled badge is as narrow as its letters"
        page.locator("summary", has_text="Fields of").first.click()
        assert page.locator("details[open] table").first.is_visible()


@pytest.mark.parametrize("width", [360, 700, 1024, 1600])
def test_nothing_is_wider_than_the_window(page: Page, url: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(url)
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_navigation_stays_in_sight_and_leads_to_the_operation(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 1400, "height": 800})
    page.emulate_media(reduced_motion="reduce")
    page.goto(url)
    navigation = page.get_by_role("navigation")
    navigation.get_by_role("link", name="/enrichment/mode").click()
    heading, beside = page.locator("#set_enrichment_mode").bounding_box(), navigation.bounding_box()
    assert heading is not None
    assert beside is not None
    assert 0 <= heading["y"] < 800
    assert 0 <= beside["y"] < 800


def test_the_first_tab_offers_to_skip_the_navigation(page: Page, url: str) -> None:
    page.goto(url)
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the operations"
    page.keyboard.press("Enter")
    assert page.locator("main:focus").count() == 1


def test_on_paper_closed_details_are_open_and_the_navigation_is_gone(page: Page, url: str) -> None:
    page.goto(url)
    page.emulate_media(media="print")
    height = page.locator("table[aria-label='Fields of Container']").first.bounding_box()
    assert height is not None
    assert height["height"] > 0
    assert not page.get_by_role("navigation").is_visible()


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(page: Page, url: str, scheme: Literal["light", "dark"], width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(url)
    page.evaluate(OPEN_ALL)
    violations = axe.Axe().run(page).response["violations"]
    assert [(each["impact"], each["id"], [node["html"] for node in each["nodes"]]) for each in violations] == []
