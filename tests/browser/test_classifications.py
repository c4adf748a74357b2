"""`/classifications` in a real browser: people read what alerts mean, and correct it, without JavaScript.

Holds: `web.pages.classifications`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests import servers
from tests.browser.looking import OPEN_ALL, PATIENCE_MS, Scheme, check_axe, check_fit, looking
from tests.conftest import StartService
from tests.payloads import alert, webhook
from tests.processes import Server

HOSTILE = """<script>document.title = 'run'</script><img src=//evil.example/x onerror="document.title='run'">"""

pytestmark = pytest.mark.migrated


@pytest.fixture
def empty(sqlite_url: str, service: StartService) -> Server:
    return service({"DATABASE_URL": sqlite_url})


@pytest.fixture
def server(empty: Server) -> Server:
    """One of the test's own that classified some alerts."""
    return classified(empty)


@pytest.fixture(scope="module")
def unclassified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One without alerts. Tests may switch its mode."""
    with lasting(tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that classified some alerts, and that nobody corrected. Tests must leave it so."""
    with lasting(tmp_path_factory) as made:
        yield classified(made)
        assert httpx.get(f"{made.url}/classification/stats", trust_env=False).json()["accuracy"] == []


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Server]:
    """One that classified some alerts, one of which a person corrected. Tests only look at it."""
    with lasting(tmp_path_factory) as made:
        correct_one(browser, classified(made))
        yield made


@contextmanager
def lasting(folders: pytest.TempPathFactory) -> Iterator[Server]:
    """A service for as long as the block runs."""
    with servers.service(
        {"DATABASE_URL": f"sqlite:///{folders.mktemp('classifications') / 'alert_history.db'}"}
    ) as made:
        yield made


def classified(empty: Server) -> Server:
    """The same, when it has classified some alerts by its rules, one of them hostile."""
    shapes = [
        {"alertname": "NodeFilesystemSpaceFillingUp", "severity": "critical", "mountpoint": "/var"},
        {"alertname": "KubePodCrashLooping", "severity": "warning", "pod": "web-1"},
        {"alertname": "Watchdog", "severity": "none"},
        {"alertname": HOSTILE, "severity": "warning", "namespace": HOSTILE},
    ]
    for labels in [*shapes, {**shapes[1], "pod": "web-2"}]:
        post(empty, "/webhook", webhook({**alert(1, **labels), "annotations": {"summary": HOSTILE}}))
    for occurrence in httpx.get(f"{empty.url}/history", trust_env=False).json()["alerts"]:
        post(empty, "/classification/classify", {"fingerprint": occurrence["fingerprint"]})
    return empty


def post(server: Server, path: str, document: Any) -> Any:
    content = document if isinstance(document, bytes) else None
    json = None if isinstance(document, bytes) else document
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{server.url}{path}", content=content, json=json, headers=headers, trust_env=False, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


def opened(browser: Browser, server: Server, **options: Any) -> Page:
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{server.url}/classifications")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_it_fits_asks_no_other_host_and_axe_finds_nothing_wrong(
    browser: Browser, corrected: Server, scheme: Scheme, width: int
) -> None:
    with looking(browser, f"{corrected.url}/classifications", width=width, scheme=scheme) as page:
        page.evaluate(OPEN_ALL)
        check_fit(page)
        assert page.get_by_role("img", name="How often people agreed").is_visible()
        check_axe(page)


def correct_one(browser: Browser, server: Server) -> Page:
    page = opened(browser, server, java_script_enabled=False)
    card = page.get_by_role("article", name="KubePodCrashLooping")
    card.get_by_text("Correct it").click()
    card.get_by_label("noise").check()
    card.get_by_label("What to do").fill("Leave it\n\nAsk the owner")
    card.get_by_label("Your name").fill("Ada <b>")
    card.get_by_role("button", name="Save").click()
    return page


def test_a_person_corrects_a_classification_without_javascript(browser: Browser, server: Server) -> None:
    page = correct_one(browser, server)
    card = page.get_by_role("article", name="KubePodCrashLooping")
    assert card.get_by_role("status").inner_text() == "Your correction is kept."
    assert card.locator(".badge").inner_text() == "noise"
    assert card.get_by_role("listitem").all_inner_texts()[:2] == ["Leave it", "Ask the owner"]
    assert "corrected by Ada <b>" in card.inner_text()
    assert "1 in 30 days" in page.get_by_label("Figures").inner_text()


def test_a_browser_names_the_page_that_a_form_came_from_where_it_does_not_trust_the_address(
    browser: Browser, server: Server
) -> None:
    page = opened(browser, server, java_script_enabled=False)
    origins: list[str | None] = []
    page.on("request", lambda request: origins.append(request.headers.get("origin")) if request.post_data else None)
    page.get_by_text("Correct it").first.click()
    page.get_by_label("Your name").first.fill("Ada")
    page.get_by_role("button", name="Save").first.click()
    assert origins == [server.url]


def test_alerts_that_share_a_classification_are_shown_with_it(browser: Browser, untouched: Server) -> None:
    page = opened(browser, untouched, java_script_enabled=False)
    card = page.get_by_role("article", name="KubePodCrashLooping")
    card.get_by_text("Shared by 2 alerts").click()
    shown = card.locator(".alike").inner_text()
    assert ("pod=web-1" in shown, "pod=web-2" in shown) == (True, True)


def test_only_one_severity_is_shown_when_it_is_chosen(browser: Browser, untouched: Server) -> None:
    page = opened(browser, untouched, java_script_enabled=False)
    first = page.locator(".badge").first.inner_text()
    page.get_by_role("navigation", name="Severity").get_by_role("link", name=first, exact=True).click()
    assert set(page.locator(".badge").all_inner_texts()) == {first}
    assert page.get_by_role("navigation", name="Severity").locator("[aria-current]").inner_text() == first


def test_what_alerts_say_is_not_run(browser: Browser, untouched: Server) -> None:
    page = opened(browser, untouched)
    assert page.title() == "(5) Classifications · Alert History"
    assert page.locator("h2", has_text="<script>").count() == 1


@pytest.mark.parametrize(
    "mode, way",
    [
        ("transparent", "POST /enrichment/mode"),
        ("enriched", "/webhook/proxy"),
        ("transparent_with_recommendations", "/webhook/proxy"),
    ],
)
def test_without_classifications_it_says_what_is_still_lacking(
    browser: Browser, unclassified: Server, mode: str, way: str
) -> None:
    post(unclassified, "/enrichment/mode", {"mode": mode})
    text = opened(browser, unclassified).get_by_role("main").inner_text()
    assert "Nothing is classified yet." in text
    assert [each for each in ("POST /enrichment/mode", "/webhook/proxy") if each in text] == [way]


def test_an_alert_that_shares_with_none_and_one_without_a_name_are_shown_too(browser: Browser, empty: Server) -> None:
    post(empty, "/webhook", webhook({**alert(1), "labels": {"instance": "db-1"}}))
    (occurrence,) = httpx.get(f"{empty.url}/history", trust_env=False).json()["alerts"]
    post(empty, "/classification/classify", {"fingerprint": occurrence["fingerprint"]})
    card = opened(browser, empty).get_by_role("article", name="An alert without a name")
    card.get_by_text("The alert", exact=True).click()
    assert "instance=db-1" in card.locator(".alike").inner_text()


def test_a_correction_that_the_filter_no_longer_shows_is_confirmed_all_the_same(
    browser: Browser, server: Server
) -> None:
    page = opened(browser, server, java_script_enabled=False)
    page.get_by_role("navigation", name="Severity").get_by_role("link", name="critical").click()
    card = page.get_by_role("article")
    card.get_by_text("Correct it").click()
    card.get_by_label("noise").check()
    card.get_by_label("Your name").fill("Ada")
    card.get_by_role("button", name="Save").click()
    assert page.locator(".badge").all_inner_texts() == []
    assert page.get_by_role("status").inner_text() == "Your correction is kept. Show it"
    page.get_by_role("status").get_by_role("link").click()
    assert page.get_by_role("article", name="NodeFilesystemSpaceFillingUp").locator(".badge").inner_text() == "noise"


def test_who_sent_a_form_that_is_wrong_finds_the_way_back(browser: Browser, untouched: Server) -> None:
    page = opened(browser, untouched, java_script_enabled=False)
    page.get_by_text("Correct it").first.click()
    page.get_by_label("Your name").first.fill("  ")
    page.get_by_role("button", name="Save").first.click()
    assert "Your name: from 1 to 100 characters." in page.get_by_role("main").inner_text()
    page.get_by_role("link", name="Back to the classifications").click()
    assert page.url == f"{untouched.url}/classifications"


# --- What is no browser, or not our page ------------------------------------------------------------------------------


def send(
    server: Server, fields: dict[str, str] | None = None, *, headers: dict[str, str] | None = None, to: str = ""
) -> httpx.Response:
    fingerprint = to or httpx.get(f"{server.url}/history", trust_env=False).json()["alerts"][0]["fingerprint"]
    return httpx.post(
        f"{server.url}/classifications/{fingerprint}/correction",
        data={"severity": "noise", "by": "Ada", **(fields or {})},
        headers={"origin": server.url} if headers is None else headers,
        trust_env=False,
    )


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}], ids=str
)
def test_a_form_of_another_site_is_refused_and_changes_nothing(untouched: Server, headers: dict[str, str]) -> None:
    assert send(untouched, headers=headers).status_code == 403
    stats = httpx.get(f"{untouched.url}/classification/stats", trust_env=False).json()
    assert stats["accuracy"] == []


def test_a_page_of_another_site_can_not_send_json_either(untouched: Server) -> None:
    answer = httpx.post(
        f"{untouched.url}/enrichment/mode",
        content=b'{"mode": "enriched"}',
        headers={"content-type": "text/plain"},
        trust_env=False,
    )
    assert answer.status_code == 415
    assert httpx.get(f"{untouched.url}/enrichment/mode", trust_env=False).json()["mode"] == "transparent"


def test_what_is_wrong_in_a_form_is_named_as_on_the_form(untouched: Server) -> None:
    for fields, name in [
        ({"severity": "loud"}, "It is"),
        ({"by": ""}, "Your name"),
        ({"by": "x" * 101}, "Your name"),
        ({"summary": "x" * 301}, "Summary"),
        ({"recommendations": "a\n" * 6}, "What to do"),
        ({"recommendations": "x" * 301}, "What to do"),
        ({"comment": "x" * 1001}, "Why"),
    ]:
        answer = send(untouched, fields)
        assert answer.status_code == 422
        assert f"{name}: " in answer.text


def test_a_correction_of_an_alert_nobody_knows_is_not_found(untouched: Server) -> None:
    assert send(untouched, to="0" * 16).status_code == 404


def test_a_form_that_is_too_large_is_refused(untouched: Server) -> None:
    assert send(untouched, {"comment": "x" * 70_000}).status_code == 413


def test_after_a_correction_the_filter_is_kept(server: Server) -> None:
    answer = send(server, {"shown": "critical"})
    assert answer.status_code == 303
    assert "severity=critical&corrected=" in answer.headers["location"]
    assert "severity" not in send(server, {"shown": "https://evil.example"}).headers["location"]
