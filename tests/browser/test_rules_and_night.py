"""The pages of rules and of a night in a real browser: they lead on, print, are copied, and need no script."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.looking import OPEN_ALL, PATIENCE_MS, check_axe, check_fit, looking
from tests.browser.pages import HOSTILE
from tests.processes import Server

STAYS = r"/dashboard/night/\d{4}-\d\d-\d\d\?tz=UTC"


def night_with_most(server: Server) -> str:
    """The date of the night of the demo's last weeks in which most began: that of a storm."""
    answer = httpx.get(f"{server.url}/dashboard/night", trust_env=False)
    last = date.fromisoformat(answer.headers["location"][6:16])
    began = {}
    for evening in (last - timedelta(days=number) for number in range(1, 15)):
        report = httpx.get(f"{server.url}/api/v1/report/night?date={evening}", trust_env=False, timeout=20).json()
        began[evening.isoformat()] = report["counts"]["began"]
    return max(began, key=lambda evening: began[evening])


def column(page: Page, number: int) -> list[str]:
    """The texts of a column of the table of rules."""
    return page.locator(f"table.rules tbody tr > :nth-child({number})").all_inner_texts()


def numbers(texts: Sequence[str]) -> list[int]:
    """The first number of each text."""
    return [int(re.match(r"[\d\s]+", text)[0].replace(" ", "")) for text in texts]  # type: ignore[index]  # each begins with one


# --- Night ------------------------------------------------------------------------------------------------------------


def test_last_night_has_an_address_that_stays_and_leads_to_each_alert(browser: Browser, demo: Server) -> None:
    with looking(browser, f"{demo.url}/dashboard/night") as page:
        assert re.search(STAYS, page.url)
        shown = date.fromisoformat(urlsplit(page.url).path[-10:])
        page.get_by_role("link", name="Night before").click()
        page.wait_for_url(f"**/{shown - timedelta(days=1)}?*")
        assert re.search(STAYS, page.url)
        first = page.get_by_role("region", name="Look at first").get_by_role("link").first
        assert re.search(r"dashboard/alerts/[0-9a-f]{16}", first.get_attribute("href") or "")


def test_a_night_prints_on_one_or_two_sheets(browser: Browser, demo: Server) -> None:
    with looking(browser, f"{demo.url}/dashboard/night/{night_with_most(demo)}?tz=UTC", scheme="dark") as page:
        assert page.get_by_role("heading", name="Storms").is_visible()
        assert page.locator(".clock svg a:not(.reach)").count() == 48  # quarters of an hour
        sheets = re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))
        assert 1 <= len(sheets) <= 2
        page.emulate_media(media="print")
        assert not page.get_by_role("navigation").first.is_visible()
        assert page.get_by_role("region", name="Look at first").is_visible()


def test_the_night_that_is_over_is_called_last_night_and_a_bar_leads_to_its_quarter(
    browser: Browser, demo: Server
) -> None:
    with looking(browser, f"{demo.url}/dashboard/night?tz=UTC") as page:
        page.get_by_role("navigation", name="Nights").get_by_role("link", name="Last night").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Last night: the night of")
        assert not page.get_by_text("It goes on.").count()
        page.get_by_text("As a table").click()
        page.locator(".clock").get_by_role("row").nth(1).get_by_role("link").click()
        page.wait_for_url("**/dashboard/history?*")
        asked = parse_qs(urlsplit(page.url).query)
        since, until = (datetime.fromisoformat(asked[name][0]) for name in ("since", "until"))
        assert until - since == timedelta(minutes=15)


def test_a_night_is_copied_as_markdown(browser: Browser, demo: Server) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with looking(browser, f"{demo.url}/dashboard/night", permissions=permissions) as page:
        page.get_by_role("button", name="Copy as Markdown").click()
        page.get_by_role("button", name="Copied").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.startswith("# [The night of ")
        assert copied.splitlines()[0].endswith(f"]({page.url})")
        assert re.search(rf"^- \[\w+\]\({demo.url}/dashboard/alerts/[0-9a-f]{{16}}", copied, re.MULTILINE)
        address = page.get_by_role("link", name="as Markdown").get_attribute("href")
        answer = httpx.get(f"{demo.url}/dashboard/night/{address}", trust_env=False)
        assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
        assert answer.text.splitlines()[0] == copied.splitlines()[0]


def test_another_night_and_another_span_are_chosen_without_script(browser: Browser, demo: Server) -> None:
    with looking(browser, f"{demo.url}/dashboard/night?tz=Asia/Kathmandu", java_script_enabled=False) as page:
        shown = date.fromisoformat(urlsplit(page.url).path[-10:]) - timedelta(days=3)
        page.get_by_label("Night of").fill(shown.isoformat())
        page.get_by_role("button", name="Show").first.click()
        assert page.url.endswith(f"/dashboard/night/{shown}?tz=Asia%2FKathmandu")
        page.get_by_text("Another span").click()
        page.get_by_label("From").fill(f"{shown}T17:00")
        page.get_by_label("to", exact=True).fill(f"{shown + timedelta(days=1)}T09:45")
        page.locator(".span").get_by_role("button", name="Show").click()
        span = parse_qs(urlsplit(page.url).query)
        assert span["since"] == [f"{shown}T11:15Z"]
        assert span["until"] == [f"{shown + timedelta(days=1)}T04:00Z"]
        page.locator(".sum").wait_for()  # it follows the chart
        assert "occurrence" in page.get_by_role("main").inner_text()


def test_a_night_before_all_alerts_says_so_and_a_night_to_come_leads_back(browser: Browser, bare: Server) -> None:
    with looking(browser, f"{bare.url}/dashboard/night", width=360, scheme="dark") as page:
        assert page.get_by_role("heading", name="Nothing is known of this night").is_visible()
        check_fit(page)
        check_axe(page)
    answer = httpx.get(f"{bare.url}/dashboard/night/2999-01-01?tz=UTC", trust_env=False)
    assert answer.status_code == 404
    assert "has not begun" in answer.text
    assert 'href="../../dashboard/night"' in answer.text


# --- Rules ------------------------------------------------------------------------------------------------------------


def test_rules_are_sorted_by_a_click_and_opened_without_script(browser: Browser, demo: Server) -> None:
    with looking(browser, f"{demo.url}/dashboard/rules?since=-30d", java_script_enabled=False) as page:
        begun = numbers(column(page, 2))
        assert len(begun) > 20
        assert begun == sorted(begun, reverse=True)
        page.get_by_role("columnheader", name="Asleep").get_by_role("link").click()
        page.wait_for_url("**sort=-asleep*")
        asleep = numbers(column(page, 8))
        assert asleep == sorted(asleep, reverse=True)
        assert parse_qs(urlsplit(page.url).query) == {"sort": ["-asleep"], "since": ["-30d"]}
        assert page.get_by_role("columnheader", name="Asleep").get_attribute("aria-sort") == "descending"
        name = column(page, 1)[0].split()[0]
        page.locator("table.rules").get_by_role("link", name=name).click()
        assert page.get_by_role("heading", level=1).inner_text() == name
        page.locator(".noise-parts tfoot").wait_for()
        points = [float(text.split()[0]) for text in page.locator(".noise-parts td:last-child").all_inner_texts()]
        assert sum(points[:-1]) == points[-1]


@pytest.mark.parametrize("width, scheme", [(1440, "light"), (360, "dark")])
def test_the_page_of_a_rule_fits_and_axe_finds_nothing_wrong(
    browser: Browser, demo: Server, width: int, scheme: str
) -> None:
    url = f"{demo.url}/dashboard/rules?rule=KubePodNotReady&since=-30d"
    with looking(browser, url, width=width, scheme=scheme) as page:  # type: ignore[arg-type]  # one of two
        assert page.locator(".fault, .empty").all_inner_texts() == []
        page.evaluate(OPEN_ALL)
        check_fit(page)
        check_axe(page)
        evidence = page.get_by_role("table", name="The parts of the score").get_by_role("link").first
        assert "dashboard/history?query=%7Balertname%3D%22KubePodNotReady%22%7D" in str(evidence.get_attribute("href"))


def test_a_filter_that_is_wrong_is_said_beside_it_and_a_right_one_narrows(browser: Browser, demo: Server) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{demo.url}/dashboard/rules")
        page.keyboard.press("/")
        page.keyboard.type('{namespace="checkout"')
        page.keyboard.press("Enter")
        page.get_by_role("alert").wait_for()
        assert page.get_by_label("Only alerts that match").input_value() == '{namespace="checkout"'
        page.get_by_label("Only alerts that match").fill('{namespace="checkout"}')
        page.get_by_role("button", name="Filter").click()
        page.get_by_role("table", name="Rules").wait_for()
        assert "LatencyP99High" in " ".join(column(page, 1))
        assert "NodeClockSkew" not in " ".join(column(page, 1))


def test_a_rule_with_a_hostile_name_is_shown_and_not_run(browser: Browser, demo: Server) -> None:
    query = '"<script>window.hit = 1</script>"'
    url = f"{demo.url}/dashboard/rules?rule={quote(HOSTILE)}&query={quote(query)}"
    with looking(browser, url, width=360) as page:
        assert not page.evaluate("window.hit || document.querySelectorAll('img').length")
        check_fit(page)
