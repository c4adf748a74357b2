"""The questions of 3 am, from the first page, in at most four clicks: also on a phone, and without JavaScript.

What fired last night, who was told, what else broke, and does it always do that?

Holds: `web.pages.night`, `web.pages.story`, `web.pages.rules`.
"""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.looking import looking
from tests.processes import Server

_TOLD = re.compile(r"notified|told|passed on", re.IGNORECASE)


@pytest.mark.parametrize("width, options", [(1440, {}), (390, {}), (390, {"java_script_enabled": False})])
def test_three_clicks_answer_what_on_call_asks(
    browser: Browser, demo: Server, width: int, options: dict[str, Any]
) -> None:
    with looking(browser, demo.url, width=width, **options) as page:
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Night").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("night of")
        rule = _first_alert(page)
        expect(page.get_by_role("heading", level=1)).to_have_text(rule)
        expect(page.get_by_role("main")).to_contain_text(_TOLD)
        expect(page.get_by_role("heading", name="Around it")).to_be_visible()
        page.get_by_role("link", name="Does this rule always do that?").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(rule)
        assert "/dashboard/rules" in page.url


def _first_alert(page: Page) -> str:
    """Open the first alert that a hand-over names; its rule."""
    link = page.locator("main a[href*='alerts/']").first
    rule = link.inner_text()
    link.click()
    return rule
