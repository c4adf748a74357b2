"""The history in a real browser: a person searches, narrows, groups and turns pages; once without script.

Holds: `web.pages.history`, `web.pages.history_rows`.
"""

import re
from urllib.parse import quote

from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.looking import check_axe, check_fit, looking
from tests.processes import Server

MONTHS = "since=-90d"


def listed(page: Page) -> list[str]:
    ids: list[str] = page.locator(".alerts [data-row]").evaluate_all("rows => rows.map(row => row.id)")
    return ids


def total(page: Page) -> int:
    text = page.locator(".total").inner_text()
    return int(re.sub(r"\D", "", text.partition(" alert")[0]))


def test_a_query_is_completed_by_keyboard_with_counts(browser: Browser, demo: Server) -> None:
    with looking(browser, f"{demo.url}/dashboard/history") as page:
        box = page.get_by_role("combobox", name="Query")
        options = page.get_by_role("option")
        page.keyboard.press("/")
        expect(box).to_be_focused()
        box.press_sequentially("seve")
        expect(options.first).to_have_text(re.compile(r"severity[\d\u2009]+"))
        expect(box).to_have_attribute("aria-expanded", "true")
        box.press("ArrowDown")
        active = box.get_attribute("aria-activedescendant")
        assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
        box.press("Enter")
        expect(box).to_have_value("{severity=")
        expect(options.filter(has_text="critical")).to_be_visible()
        box.press_sequentially('"cri')
        expect(options).to_have_count(1)
        box.press("ArrowDown")
        box.press("Tab")
        expect(box).to_have_value('{severity="critical"}')
        box.press("ArrowLeft")
        box.press_sequentially(",alertn")
        expect(options).to_have_text([re.compile("alertname")])
        box.press("ArrowDown")
        box.press("Enter")
        expect(options.first).to_be_visible()
        box.press("Escape")
        expect(box).to_have_attribute("aria-expanded", "false")
        box.press("Backspace")
        box.press_sequentially("!")
        expect(options).to_have_count(2)
        check_axe(page)


def test_a_late_answer_does_not_replace_a_newer_one(browser: Browser, demo: Server) -> None:
    with looking(browser, f"{demo.url}/dashboard/history") as page:
        slow: list[Route] = []
        page.route("**/values?prefix=w&*", lambda route: slow.append(route))  # noqa: PLW0108  # Playwright wants one of Python
        box = page.get_by_role("combobox", name="Query")
        with page.expect_request("**/values?prefix=w&*"):
            box.press_sequentially("{severity=w")
        box.press("Backspace")
        box.press_sequentially("c")
        options = page.get_by_role("option")
        expect(options).to_have_text([re.compile("critical")])
        with page.expect_response("**/values?prefix=w&*"):
            slow[0].continue_()
        box.press("ArrowDown")
        expect(options).to_have_text([re.compile("critical")])


def test_a_facet_adds_and_excludes_and_every_state_is_in_the_url(browser: Browser, demo: Server) -> None:
    with looking(browser, f"{demo.url}/dashboard/history?{MONTHS}&sort=alertname") as page:
        everything = total(page)
        severity = page.locator(".facet", has=page.get_by_role("heading", name="severity"))
        critical = severity.locator("li").filter(has_text="critical")
        count = int(re.sub(r"\D", "", critical.locator(".number").inner_text()))
        critical.locator("a.add").click()
        expect(page.get_by_role("combobox", name="Query")).to_have_value('{severity="critical"}')
        expect(severity.locator(".is-chosen")).to_have_text(re.compile("critical"))
        assert total(page) == count < everything
        assert "sort=alertname" in page.url
        page.reload()
        assert total(page) == count
        name = page.locator(".facet", has=page.get_by_role("heading", name="alertname"))
        name.get_by_title("Without these").first.click()
        expect(page.get_by_role("combobox", name="Query")).to_have_value(re.compile('alertname!="'))
        assert total(page) < count
        page.go_back()
        expect(page.get_by_role("combobox", name="Query")).to_have_value('{severity="critical"}')
        severity.locator(".is-chosen a.add").click()
        expect(page.get_by_role("combobox", name="Query")).to_have_value("")
        assert total(page) == everything


def test_the_fault_of_a_query_stands_under_its_character(browser: Browser, demo: Server) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 800})
    query = '{namespace="shop",severity=~"crit("} x'
    page.goto(f"{demo.url}/dashboard/history?query={quote(query)}")
    mark = page.locator(".query-echo mark")
    assert mark.inner_text() == "("
    assert page.locator(".query-echo").inner_text() == query
    assert "missing )" in page.get_by_role("alert").inner_text()
    assert page.get_by_role("combobox", name="Query").get_attribute("aria-invalid") == "true"
    check_fit(page)
    check_axe(page)
    page.context.close()


def test_pages_are_turned_there_and_back(browser: Browser, demo: Server) -> None:
    with looking(browser, f"{demo.url}/dashboard/history?{MONTHS}") as page:
        first = listed(page)
        page.get_by_role("link", name="Older").click()
        expect(page.locator(f"[id='{first[0]}']")).to_have_count(0)
        second = listed(page)
        assert len(second) == 25
        assert not {*first} & {*second}
        page.get_by_role("link", name="Older").click()
        expect(page.locator(f"[id='{second[0]}']")).to_have_count(0)
        page.get_by_role("link", name="Newer").click()
        expect(page.locator(f"[id='{second[0]}']")).to_have_count(1)
        assert listed(page) == second
        page.reload()
        assert listed(page) == second
        page.get_by_role("link", name="Newer").click()
        expect(page.locator(f"[id='{first[-1]}']")).to_have_count(1)
        page.keyboard.press("j")
        assert page.locator("[data-row].is-chosen a").first.evaluate("link => link === document.activeElement")


def test_rules_open_to_their_alerts_and_lanes_are_drawn(browser: Browser, demo: Server) -> None:
    with looking(browser, f"{demo.url}/dashboard/history?since=-7d", width=360, scheme="dark") as page:
        page.get_by_role("link", name="By rule").click()
        rule = page.locator(".by-rule [data-row]").first
        name = rule.get_by_role("link").inner_text().strip()
        assert int(rule.locator(".number").first.inner_text()) > 1
        rule.get_by_role("link").click()
        inside = page.locator(".inside .alerts [data-row]")
        expect(inside.first).to_contain_text(name.split()[-1])
        assert "open=" in page.url
        assert "group=rule" in page.url
        check_fit(page)
        check_axe(page)
        page.get_by_role("link", name="Lanes").click()
        expect(page.locator("#lanes-chart .lane").first).to_be_visible()
        page.get_by_role("link", name="namespace", exact=True).click()
        expect(page.get_by_role("link", name="namespace", exact=True)).to_have_attribute("aria-current", "true")
        check_fit(page)


def test_all_of_it_works_without_script(browser: Browser, demo: Server) -> None:
    with looking(browser, f"{demo.url}/dashboard/history?{MONTHS}", java_script_enabled=False) as page:
        box = page.get_by_label("Query")
        box.fill('{severity="warning"}')
        page.get_by_role("button", name="Search").click()
        assert total(page) > 0
        assert MONTHS in page.url
        page.locator(".facet").nth(1).locator("a.add").first.click()
        assert 'alertname="' in box.input_value()
        page.goto(f"{demo.url}/dashboard/history{page.locator('.stacked svg a:has(.mark)').last.get_attribute('href')}")
        page.get_by_label("Shown as").get_by_role("link", name="Lanes").click()
        page.get_by_label("Shown as").get_by_role("link", name="Table").click()
        with page.expect_download() as file:
            page.get_by_role("link", name="CSV").click()
        assert file.value.suggested_filename.endswith(".csv")
        assert file.value.path().read_text().count("\n") >= total(page)
        page.get_by_text("Save this view").first.click()
        page.locator(".manage").get_by_label("Name", exact=True).fill('Night <b> "shop"')
        page.get_by_role("button", name="Save this view").click()
        saved = page.get_by_label("Saved views").get_by_role("link")
        assert saved.inner_text() == 'Night <b> "shop"'
        assert saved.get_attribute("aria-current") == "true"
        page.get_by_text("Save or manage views").click()
        page.get_by_role("button", name="Delete").click()
        assert page.get_by_label("Saved views").count() == 0
