"""Imports in a browser: a bar that moves by itself, each state of an import on a phone in the dark, and without script.

Holds: `web.pages.imports`, `web.pages.import_progress`.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests import servers
from tests.browser.looking import check_axe, check_fit, looking
from tests.gated_origin import Gate
from tests.processes import Server, wait_until


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="module")
def server(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("imports")
    env = {"DATABASE_URL": f"sqlite:///{folder}/alert_history.db", "AUTH_MODE": "none", **gate.environment}
    with servers.service(env) as running:
        yield running


def _fill_in(page: Page, button: str, **fields: str) -> None:
    for name, value in fields.items():
        page.locator(f'[name="{name}"], [name="option.{name}"]').first.fill(value)
    page.get_by_role("button", name=button).click()


def _await_state(server: Server, id_: str, state: str) -> None:
    url = f"{server.url}/api/v1/imports/{id_}"
    wait_until(lambda: httpx.get(url, trust_env=False).json()["state"] == state, f"the import is {state}")


def test_the_bar_moves_by_itself_and_the_page_turns_when_it_is_over(
    browser: Browser, server: Server, gate: Gate
) -> None:
    gate.close()
    with looking(browser, f"{server.url}/dashboard/imports", width=360, scheme="dark") as page:
        page.get_by_role("link", name="Gated system").click()
        _fill_in(page, "Bring it in", url="http://old:9")
        expect(page.get_by_role("progressbar")).to_have_attribute("value", "50")
        expect(page.locator("#running")).to_contain_text("201 read")
        check_fit(page)
        check_axe(page)
        gate.open()
        expect(page.locator(".state")).to_have_text("done")
        expect(page.get_by_role("main")).to_contain_text("400")
        check_fit(page)
        check_axe(page)


@pytest.mark.parametrize(
    "mood, button, words", [("good", "Try it first", "Nothing was written."), ("bad", "Bring it in", "It failed.")]
)
def test_each_end_fits_a_phone(
    browser: Browser, server: Server, gate: Gate, mood: str, button: str, words: str
) -> None:
    gate.open()
    with looking(browser, f"{server.url}/dashboard/imports/gated", width=360) as page:
        page.get_by_text("More options").click()
        page.locator('[name="option.mood"]').select_option(mood)
        _fill_in(page, button, url="http://old:9", key="s3cret", scope=mood)
        expect(page.get_by_role("main")).to_contain_text(words)
        check_fit(page)
        check_axe(page)
    with looking(browser, f"{server.url}/dashboard/imports", width=360, scheme="dark") as page:
        expect(page.locator("tr[data-row]")).not_to_have_count(0)
        check_fit(page)
        check_axe(page)


def test_without_script_it_is_started_followed_and_taken_back(browser: Browser, server: Server, gate: Gate) -> None:
    gate.close()
    url = f"{server.url}/dashboard/imports/gated"
    with looking(browser, url, width=360, java_script_enabled=False) as page:
        _fill_in(page, "Bring it in", url="http://old:10")
        id_ = page.url.rpartition("/")[2]
        expect(page.locator(".state")).to_have_text("running")
        gate.open()
        _await_state(server, id_, "done")
        page.goto(f"{url}/{id_}")
        page.get_by_text("Take it back", exact=True).click()
        page.get_by_role("button", name="Yes, take it back").click()
        _await_state(server, id_, "undone")
        page.goto(f"{url}/{id_}")
        expect(page.get_by_role("main")).to_contain_text("It was taken back")
