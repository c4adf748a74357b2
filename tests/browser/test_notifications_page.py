"""What was sent and what was not, targets and the quarantine, without JavaScript, where a target fails for real.

Holds: `web.pages.notifications`, `web.pages.targets`, `web.pages.quarantine`, `web.pages.posted`.
"""

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests import servers
from tests.browser.looking import PATIENCE_MS
from tests.browser.pages import HOSTILE
from tests.payloads import alert, webhook
from tests.processes import Server
from tests.vendors import webhook as vendor
from tests.vendors.server import VendorServer, replies, serving

_PATIENCE_SECONDS = 15.0


@contextmanager
def _in_a_thread() -> Iterator[VendorServer]:
    """The vendor's server, in a loop of its own: Playwright has that of the test."""
    loop = asyncio.new_event_loop()
    started: list[VendorServer] = []
    is_ready, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with serving(vendor.Webhook()) as running:
            started.append(running)
            is_ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert is_ready.wait(_PATIENCE_SECONDS)
        yield started[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_PATIENCE_SECONDS)
        loop.close()


@pytest.fixture(scope="module")
def hook() -> Iterator[VendorServer]:
    with _in_a_thread() as running:
        yield running


@pytest.fixture(scope="module")
def server(hook: VendorServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with a target that works, one that lacks a key, and one that wants no such alerts."""
    folder: Path = tmp_path_factory.mktemp("notifications")
    targets = folder / "targets"
    _write_target(targets / "team-hook", vendor.fields(hook.url))
    _write_target(targets / "lacking", {"token": "a-secret-that-nobody-may-see"})
    _write_target(targets / "databases", vendor.fields(hook.url), match='{team="databases"}')
    environment = {
        "DATABASE_URL": f"sqlite:///{folder / 'alert_history.db'}",
        "TARGETS_DIR": str(targets),
        "ALLOW_PRIVATE_TARGETS": "true",
    }
    with servers.service(environment) as running:
        yield running


def _write_target(folder: Path, fields: dict[str, str], *, match: str = "") -> None:
    folder.mkdir(parents=True)
    for name, value in fields.items():
        (folder / name).write_text(value)
    (folder / "labels").write_text("alert-history.io/target=true\nalert-history.io/format=webhook\n")
    if match:
        (folder / "annotations").write_text(f"alert-history.io/match={json.dumps(match)}\n")


def _send(server: Server, *alerts: dict[str, Any]) -> None:
    answer = httpx.post(
        f"{server.url}/webhook/proxy",
        content=webhook(*alerts),
        headers={"content-type": "application/json"},
        trust_env=False,
        timeout=20,
    )
    assert answer.status_code == 200, answer.text


def _wait_for(server: Server, number: int, **wanted: str) -> None:
    """Until there are so many notifications of that kind."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        found = httpx.get(f"{server.url}/api/v1/notifications", params=wanted, trust_env=False).json()["notifications"]
        if len(found) == number:
            return
        time.sleep(0.05)
    raise AssertionError(f"there are not {number} of {wanted}")


@contextmanager
def _opened(browser: Browser, url: str, *, script: bool = False) -> Iterator[Page]:
    with browser.new_context(java_script_enabled=script, viewport={"width": 360, "height": 800}) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(url)
        yield page


def test_a_dead_letter_is_tried_again_by_a_button_and_arrives(
    browser: Browser, server: Server, hook: VendorServer
) -> None:
    hook.script(replies(403, "go away"))
    name = f"Dead {HOSTILE}"
    _send(server, alert(1, alertname=name))
    _wait_for(server, 1, outcome="dead", target="team-hook")
    with _opened(browser, f"{server.url}/dashboard/notifications") as page:
        row = page.get_by_role("article").filter(has_text="Dead")
        assert "answered 403: go away" in row.inner_text()
        row.get_by_text("not sent to 2 others").click()
        assert "the target is broken: key url is missing" in row.inner_text()
        assert 'it does not match {team="databases"}' in row.inner_text()
        page.get_by_role("list", name="Outcome").get_by_role("link", name="dead letters").click()
        page.get_by_role("article").get_by_role("button", name="Try again").click()
        assert "1 dead letter is queued again" in page.get_by_role("status").inner_text()
        assert "outcome=dead" in page.url
        _wait_for(server, 1, outcome="delivered", target="team-hook")
        page.get_by_role("list", name="Outcome").get_by_role("link", name=re.compile("^delivered")).click()
        row = page.get_by_role("article").filter(has_text="Dead")
        row.get_by_text("attempt").first.click()
        assert "delivered" in row.inner_text()
    assert httpx.get(f"{server.url}/api/v1/deliveries?state=dead", trust_env=False).json()["deliveries"] == []


def test_targets_show_their_faults_and_take_a_test_message(
    browser: Browser, server: Server, hook: VendorServer
) -> None:
    with _opened(browser, f"{server.url}/dashboard/targets") as page:
        lacking = page.get_by_role("article").filter(has=page.get_by_role("link", name="lacking"))
        assert "key url is missing" in lacking.inner_text()
        assert lacking.get_by_role("button").count() == 0
        card = page.get_by_role("article").filter(has=page.get_by_role("link", name="team-hook"))
        hook.script(replies(503, "later"))
        card.get_by_role("button", name="Send a test message").click()
        assert "It refused the test message" in page.get_by_role("status").inner_text()
        card.get_by_role("button", name="Send a test message").click()
        assert "It took the test message" in page.get_by_role("status").inner_text()
        page.get_by_role("button", name="Look for targets now").click()
        assert "there are 3" in page.get_by_role("status").inner_text()
        assert vendor.TOKEN not in page.content()
        assert "a-secret-that-nobody-may-see" not in page.content()


def test_what_was_refused_is_found_by_its_reason_and_read_as_it_was_sent(browser: Browser, server: Server) -> None:
    _send(server, alert(2), {**alert(3), "labels": {"alertname": HOSTILE, "x": 3}}, {**alert(4), "startsAt": HOSTILE})
    with _opened(browser, f"{server.url}/dashboard/quarantine") as page:
        assert page.get_by_role("article").count() == 2
        page.get_by_label("A part of the reason").fill("label 'x'")
        page.get_by_role("main").get_by_role("button", name="Show").click()
        assert page.get_by_role("article").count() == 1
        page.get_by_text("As it was sent", exact=True).click()
        assert HOSTILE in json.loads(page.locator("pre").inner_text())["labels"]["alertname"]
        page.get_by_role("article").get_by_role("link").first.click()
        assert page.get_by_role("heading", level=1).inner_text() == "A refused alert"
        assert HOSTILE in json.loads(page.locator("pre").inner_text())["labels"]["alertname"]


@pytest.mark.parametrize("path", ["notifications/replay", "targets/test", "targets/replay", "targets/refresh"])
def test_a_form_of_another_site_does_nothing(server: Server, path: str) -> None:
    answer = httpx.post(
        f"{server.url}/dashboard/{path}",
        data={"of_target": "team-hook", "target": "team-hook"},
        headers={"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        trust_env=False,
    )
    assert answer.status_code == 403
