"""The page "Now and lately" in a real browser: its timeline is brushed, what fires stays true; all without script, too.

Holds: `web.pages.now`, `web.pages.lately`.
"""

import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.looking import PATIENCE_MS, looking
from tests.processes import Server, wait_until

QUARTER = "/dashboard?since=-90d"


@pytest.fixture(scope="module")
def past(demo: Server) -> Server:
    """The demo, with some of its past."""

    def began() -> int:
        url = f"{demo.url}/api/v1/stats/series?since=-90d"
        return int(httpx.get(url, trust_env=False, timeout=20).raise_for_status().json()["total"])

    wait_until(began, "the demo has a past")
    return demo


def span_of(page: Page) -> tuple[str, str]:
    asked = parse_qs(urlsplit(page.url).query)
    return asked["since"][0], asked["until"][0]


def test_a_drag_over_the_timeline_looks_into_that_span(browser: Browser, past: Server) -> None:
    with looking(browser, f"{past.url}{QUARTER}&count=begun") as page:
        over = page.locator(".timeline .u-over")
        over.scroll_into_view_if_needed()
        box = over.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40, steps=3)
        page.mouse.up()
        page.wait_for_url(re.compile("until="))
        since, until = span_of(page)
        assert since < until
        assert parse_qs(urlsplit(page.url).query)["count"] == ["begun"]
        expect(page.locator(".timeline .u-over")).to_be_visible()


def test_without_script_the_page_shows_all_and_its_bars_lead_into_their_spans(browser: Browser, past: Server) -> None:
    with browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 800}) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{past.url}/")
        for heading in (
            "Firing now",
            "Alerts over time",
            "Most frequent rules",
            "Deliveries",
            "What changed",
            "Flapping",
        ):
            expect(page.get_by_role("heading", name=heading)).to_be_visible()
        page.get_by_role("link", name="90 d").click()
        page.locator("#over-time a .mark").first.click()
        since, until = span_of(page)
        assert since < until
        page.get_by_role("link", name="open", exact=True).click()
        assert span_of(page) == (since, until)
        expect(page.locator("#over-time")).to_be_visible(timeout=PATIENCE_MS)


def test_a_tap_on_a_phone_hits_a_finger_wide_piece_and_stays_at_the_chart(browser: Browser, past: Server) -> None:
    phone: ViewportSize = {"width": 360, "height": 780}
    with browser.new_context(viewport=phone, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{past.url}{QUARTER}")
        reach = page.locator("#over-time a.reach rect").nth(4)
        reach.scroll_into_view_if_needed()
        box = reach.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 23.5
        reach.tap()
        page.wait_for_url(re.compile("until=.*#lately$"))
        expect(page.locator("#lately")).to_be_in_viewport()
        since, until = span_of(page)
        assert since < until
        last = page.locator(".span-picker a", has_text="last night").bounding_box()
        assert last is not None
        assert last["x"] + last["width"] <= phone["width"]


def test_on_a_phone_the_strip_shows_where_the_page_stands(browser: Browser, bare: Server) -> None:
    with browser.new_context(viewport={"width": 360, "height": 780}, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        for path in ("dashboard/settings", "dashboard"):
            page.goto(f"{bare.url}/{path}")
            expect(page.locator(".pages a[aria-current]")).to_be_in_viewport(ratio=0.99)


def test_what_fires_is_asked_for_anew_and_the_title_follows(browser: Browser, bare: Server) -> None:
    with looking(browser, f"{bare.url}/dashboard") as page:
        page.clock.install()
        page.reload()
        assert page.title() == "Now and lately · Alert History"
        page.route("**part=firing**", lambda route: route.fulfill(body='<p data-firing="3" data-worst="warning">3</p>'))
        page.clock.fast_forward(21_000)
        expect(page.locator("#firing")).to_have_text("3")
        assert page.title() == "(3) Now and lately · Alert History"
        assert "warning" in (page.locator("#icon").get_attribute("href") or "")


def test_a_wrong_span_is_said_and_not_guessed(demo: Server) -> None:
    answer = httpx.get(f"{demo.url}/dashboard?since=yesterday", trust_env=False, timeout=20)
    assert answer.status_code == 400
    assert "yesterday" in answer.text
