"""Every page, with 90 days of alerts, with none, and with hostile ones: it fits, asks no other host, can be read.

Holds: `web.pages.frame`, `web.pages.streaming`.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from alert_history.web.pages.frame import NAVIGATION
from tests import servers
from tests.browser.looking import OPEN_ALL, Scheme, check_axe, check_fit, looking
from tests.browser.pages import HOSTILE_PATHS, INNER, PATHS, fill_hostile, find_alerts
from tests.processes import Server

_IDS = [path or "root" for path in PATHS]
_INJECTED = "window.hit || document.querySelectorAll('img[src*=evil], a[href^=\"javascript:\" i]').length"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    with servers.service({"DATABASE_URL": f"sqlite:///{folder / 'alert_history.db'}"}) as server:
        fill_hostile(server)
        yield server


@pytest.mark.parametrize("path", PATHS, ids=_IDS)
@pytest.mark.parametrize("width, scheme", [(1440, "light"), (360, "dark")])
def test_a_page_fits_and_axe_finds_nothing_wrong(
    browser: Browser, demo: Server, path: str, width: int, scheme: Scheme
) -> None:
    with looking(browser, f"{demo.url}/{path}", width=width, scheme=scheme) as page:
        assert page.locator("h1").count() == 1
        check_fit(page)
        check_axe(page)
        check_fit(page)


def test_the_audit_fits_with_entries_too(browser: Browser, demo: Server) -> None:
    cross_site = {"sec-fetch-site": "cross-site"}  # it is refused, so that it changes nothing but the audit
    httpx.post(f"{demo.url}/dashboard/targets/refresh", headers=cross_site, trust_env=False)
    httpx.get(f"{demo.url}/dashboard/history/export?since=-1h&format=csv", trust_env=False)
    with looking(browser, f"{demo.url}/dashboard/audit", width=360, scheme="dark") as page:
        expect(page.locator(".entry")).not_to_have_count(0)
        check_axe(page)
        check_fit(page)


@pytest.mark.parametrize("path", PATHS, ids=_IDS)
def test_an_empty_page_fits_a_phone(browser: Browser, bare: Server, path: str) -> None:
    with looking(browser, f"{bare.url}/{path}", width=360) as page:
        check_fit(page)
        assert len(page.get_by_role("main").inner_text()) > 40, "it says what is lacking"


@pytest.mark.parametrize("path", HOSTILE_PATHS, ids=[path.partition("=")[0] or "root" for path in HOSTILE_PATHS])
def test_what_others_wrote_is_shown_and_not_run(browser: Browser, hostile: Server, path: str) -> None:
    with looking(browser, f"{hostile.url}/{path}", width=360, scheme="dark") as page:
        page.evaluate(OPEN_ALL)
        assert not page.evaluate(_INJECTED)
        check_fit(page)


def test_the_navigation_leads_to_every_page_and_each_marks_itself(demo: Server) -> None:
    with httpx.Client(base_url=demo.url, trust_env=False, timeout=20, follow_redirects=True) as client:
        shown = _navigation(client.get("/classifications").text)
        paths = [entry.path for entry in NAVIGATION if f'href="./{entry.path}"' in shown]
        assert {path for path in PATHS if path} - INNER <= set(paths)
        for path in paths:
            answer = client.get(f"/{path}")
            assert (path, answer.status_code) == (path, 200)
            assert 'aria-current="page"' in _navigation(answer.text)


def _navigation(html: str) -> str:
    return html.split('class="pages"')[1].split("</nav>", maxsplit=1)[0]


def test_the_demo_has_alerts(demo: Server) -> None:
    assert find_alerts(demo, limit="1")
