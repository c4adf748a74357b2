"""The live page, as people follow it: rows come, wait while it is paused, and it says when the line is broken.

Holds: `web.pages.live`.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests import servers
from tests.browser.looking import PATIENCE_MS, looking
from tests.payloads import alert, webhook
from tests.processes import Server

_PATH = "dashboard/history/live"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("live")
    with servers.service({"DATABASE_URL": f"sqlite:///{folder / 'alert_history.db'}"}) as server:
        yield server


def fire(server: Server, *names: str, severity: str = "critical") -> None:
    body = webhook(*(alert(1, alertname=name, severity=severity) for name in names))
    headers = {"content-type": "application/json"}
    httpx.post(f"{server.url}/webhook", content=body, headers=headers, trust_env=False).raise_for_status()


def shown(page: Page) -> list[str]:
    """The alerts in the table, the newest first."""
    return page.locator("tbody tr[data-row] a").all_inner_texts()


def say(page: Page, words: str) -> None:
    """Wait until the bar says that."""
    expect(page.locator("[data-live-words]")).to_have_text(words, timeout=PATIENCE_MS)


def test_rows_come_by_themselves_and_wait_while_paused(browser: Browser, own: Server) -> None:
    with looking(browser, f"{own.url}/{_PATH}?query=severity=critical") as page:
        say(page, "Live")
        fire(own, "First")
        fire(own, "Unasked", severity="info")
        expect(page.locator("tbody tr")).to_have_count(1, timeout=PATIENCE_MS)
        page.get_by_role("button", name="Pause").click()
        fire(own, "Second", "Third")
        say(page, "Paused: 2 new wait")
        assert shown(page) == ["First"]
        page.get_by_role("button", name="Go on").click()
        say(page, "Live")
        assert shown(page)[-1] == "First"
        assert sorted(shown(page)) == ["First", "Second", "Third"]


def test_it_says_live_however_late_each_script_comes(browser: Browser, own: Server) -> None:
    def late(route: Route) -> None:
        route.request.frame.page.wait_for_timeout(500)
        route.continue_()

    with browser.new_context() as context:
        page = context.new_page()
        page.route("**/*.js*", late)
        page.goto(f"{own.url}/{_PATH}?query=namespace=late", wait_until="commit")
        expect(page.locator("[data-live-words]")).to_have_text("Live", timeout=8_000)


def test_page_says_that_the_line_is_broken_and_misses_nothing(browser: Browser, own: Server) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{own.url}/{_PATH}?query=namespace=broken")
        say(page, "Live")
        own.kill()
        expect(page.locator(".live.is-broken")).to_be_visible(timeout=PATIENCE_MS)
        own.start()
        body = webhook(alert(1, alertname="Meanwhile", namespace="broken"))
        headers = {"content-type": "application/json"}
        httpx.post(f"{own.url}/webhook", content=body, headers=headers, trust_env=False).raise_for_status()
        expect(page.locator("tbody tr[data-row] a")).to_have_text(["Meanwhile"], timeout=60_000)
        say(page, "Live")


def test_without_script_it_shows_what_happened_last(browser: Browser, own: Server) -> None:
    fire(own, "Earlier")
    with looking(browser, f"{own.url}/{_PATH}", java_script_enabled=False) as page:
        expect(page.locator("noscript")).to_be_visible()
        assert not page.locator("[data-live-bar]").is_visible()
