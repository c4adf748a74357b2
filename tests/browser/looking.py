"""Looks at a page as a picky reader does: does it fit, whom does it ask, what does the browser complain of, axe too."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.processes import find_program

ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 15_000
OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true })"
_CLOSE_FLOATING = "document.querySelectorAll('details.travel').forEach(each => { each.open = false })"
"""What lies above the rest of a page while it is open."""
Scheme = Literal["light", "dark"]
_OVERFLOW = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('body *')]
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
    .slice(0, 5).map(each => each.outerHTML.slice(0, 120))"""
_VIOLATIONS = """document.addEventListener('securitypolicyviolation',
    event => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))"""


def find_chromium() -> str:
    """The path of Chromium: of the one that has no windows at all, where that is installed.

    The other one keeps a whole browser's windows behind each page, and takes twice the processor's time for it.
    """
    names = ("chromium-headless-shell", "chromium")
    return find_program(*names, package="chromium", places=["/usr/bin"])


@contextmanager
def looking(
    browser: Browser, url: str, *, width: int = 1440, scheme: Scheme = "light", **options: Any
) -> Iterator[Page]:
    """The page at a URL. Behind it: nobody but its own host was asked, and the browser did not complain."""
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(_VIOLATIONS)
        complaints: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        yield page
        host = "/".join(url.split("/")[:3])
        assert complaints == []
        assert [each for each in asked if not each.startswith((f"{host}/", "data:", "blob:"))] == []


def check_fit(page: Page) -> None:
    """Nothing is wider than the window."""
    assert page.evaluate(_OVERFLOW) == []


def check_axe(page: Page) -> None:
    """Axe finds nothing wrong, with all details open."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page.evaluate(OPEN_ALL)
    violations = axe.Axe().run(page).response["violations"]
    page.evaluate(_CLOSE_FLOATING)
    assert [(each["impact"], each["id"], [node["html"] for node in each["nodes"]][:5]) for each in violations] == []
