"""One Chromium for all tests of pages, and services that several of them look at."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests import servers
from tests.browser.looking import ARGUMENTS, find_chromium
from tests.processes import Server, wait_until

_DEMO_SECONDS = 120


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium. It ends before tests of other folders begin: no other loop may run while Playwright's does."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(autouse=True)
def no_page_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Closes the pages of a test behind it: pages that stay open go on asking their service."""
    yield
    if "browser" in request.fixturenames:
        for context in request.getfixturevalue("browser").contexts:
            context.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo: 90 days of a company's alerts. Tests must not change what it shows to others."""
    with _on(tmp_path_factory.mktemp("demo"), "--demo") as server:
        wait_until(lambda: "demo_replayed" in server.log(), "the demo is whole", timeout_seconds=_DEMO_SECONDS)
        yield server


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that never got an alert. Tests must leave it so."""
    with _on(tmp_path_factory.mktemp("bare")) as server:
        yield server


def _on(folder: Path, *args: str) -> AbstractContextManager[Server]:
    return servers.service({"DATABASE_URL": f"sqlite:///{folder / 'alert_history.db'}", "AUTH_MODE": "none"}, args)
