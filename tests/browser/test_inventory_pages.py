"""Silences and sources on a phone, without script: from what somebody silenced to the alert that was muted.

Holds: `web.pages.silences`, `web.pages.sources`.
"""

import re

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.looking import check_axe, check_fit, looking
from tests.processes import Server, wait_until


@pytest.fixture
def told(demo: Server) -> Server:
    """The demo, once the recorder has told of its last silence."""
    url = f"{demo.url}/dashboard/silences"
    wait_until(
        lambda: "Active 1<" in httpx.get(url, trust_env=False, timeout=20).text, "the demo is told", timeout_seconds=60
    )
    return demo


def test_an_expired_silence_leads_to_what_it_muted(browser: Browser, told: Server) -> None:
    with looking(browser, f"{told.url}/dashboard/silences", width=360, java_script_enabled=False) as page:
        page.get_by_role("link", name="Expired 1").click()
        silence = page.get_by_role("article")
        expect(silence).to_contain_text("The settlement worker moves to new machines")
        expect(silence).to_contain_text(re.compile(r"Muted [5-9] alerts"))  # by the weekday of today
        muted = silence.get_by_role("link", name="SettlementBacklogGrowing")
        assert "/dashboard/alerts/" in str(muted.get_attribute("href"))
        silence.get_by_role("link", name="its history").click()
        expect(page.locator(".change")).to_contain_text("Created by mara@example.com")
        expect(page.get_by_role("region", name="What it muted", exact=True).first).to_contain_text(
            "Alertmanager told it"
        )
        check_fit(page)


def test_axe_finds_nothing_wrong_in_the_history_of_a_silence(browser: Browser, told: Server) -> None:
    with looking(browser, f"{told.url}/dashboard/silences?show=expired") as page:
        page.get_by_role("link", name="its history").click()
        expect(page.locator(".change")).to_have_count(1)
        check_axe(page)


def test_each_sender_of_the_demo_has_a_state(browser: Browser, told: Server) -> None:
    with looking(browser, f"{told.url}/dashboard/sources", width=360) as page:
        rows = page.locator(".senders tbody tr")
        assert rows.count() > 5
        assert page.locator(".senders tbody .state").count() == rows.count()
