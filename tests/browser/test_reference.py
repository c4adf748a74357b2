"""`/docs` in a real browser: it looks as meant, and asks nobody else for anything."""

import pytest
from playwright.sync_api import Browser

from tests.browser.looking import Scheme
from tests.processes import Server


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_docs_are_styled_complete_and_ask_no_other_host(
    browser: Browser, bare: Server, scheme: Scheme, width: int
) -> None:
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    complaints: list[str] = []
    asked: set[str] = set()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: asked.add(request.url))
    page.goto(f"{bare.url}/docs")
    assert complaints == []
    assert {url for url in asked if not url.startswith("data:")} == {f"{bare.url}/docs"}
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.body).fontFamily").startswith("system-ui")
    for path in ("/history", "/webhook/proxy", "/api/v1/alerts/{id}/timeline"):
        assert page.get_by_role("heading", name=path).count() or page.get_by_text(path, exact=True).count()
