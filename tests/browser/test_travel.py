"""Travelling to last night and back: the mark is plain, links stay, and a picky reader finds nothing wrong.

Holds: `web.pages.travel`.
"""

from playwright.sync_api import Browser, expect

from tests.browser.looking import check_axe, check_fit, looking
from tests.processes import Server


def test_a_reader_looks_at_last_night_on_several_pages_and_goes_back(browser: Browser, demo: Server) -> None:
    with looking(browser, f"{demo.url}/dashboard/rules", width=390, scheme="dark") as page:
        page.get_by_text("Travel to…").click()
        check_fit(page)
        page.get_by_role("link", name="last night, 03:00").click()
        mark = page.get_by_role("region", name="You look at the past")
        expect(mark).to_contain_text("03:00 UTC")
        check_axe(page)
        check_fit(page)
        page.locator(".pages").get_by_role("link", name="Then").click()
        expect(page.locator("#firing")).to_contain_text("Fired at 03:00")
        expect(mark).to_be_visible()
        check_fit(page)
        mark.get_by_role("link", name="Back to now").click()
        expect(page.locator("#firing")).to_contain_text("Firing now")
        expect(mark).to_have_count(0)
        assert page.url == f"{demo.url}/dashboard"
